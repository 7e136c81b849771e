"""Tables are Markdown, and aligned."""

from benchmarks.markdown import format_table


def test_table() -> None:
    """Words stand left, figures right, each column as wide as its widest cell."""
    assert format_table(("way", "s"), [("ORM loop", "131.50"), ("ours", "3")]).splitlines() == [
        "| way      |      s |",
        "|----------|-------:|",
        "| ORM loop | 131.50 |",
        "| ours     |      3 |",
    ]
