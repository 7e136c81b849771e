"""Markdown tables, aligned for terminals."""

from collections.abc import Sequence


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is aligned left, and the others right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    separator = [f"{'-' * (width + 1)}:" for width in widths]
    separator[0] = "-" * (widths[0] + 2)
    lines = [_format_row(header, widths), f"|{'|'.join(separator)}|", *(_format_row(row, widths) for row in rows)]
    return "\n".join(lines)


def _format_row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    padded_cells = [f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in rest)]
    return f"| {' | '.join(padded_cells)} |"
