"""Publishes a part's figures: its JSON, its chart, and its section of docs/performance.md."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ProgressCallback = Callable[[str], None]
"""Called with a description of what is measured next."""


class MissingToolError(Exception):
    """A required tool is missing. The message says how to install it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkReport:
    """Figures of one part of the benchmarks."""

    results: Mapping[str, Any]
    """All figures, as stored in JSON."""
    markdown: str
    """The figures as Markdown tables."""
    chart: str
    """The figures as an SVG document."""
    caption: str
    """Alternative text of the chart."""


def publish(root: Path, benchmark: str, report: BenchmarkReport, machine: Mapping[str, str]) -> None:
    """Replace a part's published figures in the project's folder."""
    results = {"machine": machine, **report.results}
    text = json.dumps(results, indent=2, ensure_ascii=False)
    (root / "benchmarks" / "results" / f"{benchmark}.json").write_text(f"{text}\n", "utf-8")
    docs = root / "docs"
    (docs / f"{benchmark}.svg").write_text(report.chart, "utf-8")
    page = docs / "performance.md"
    figure = f"![{report.caption}]({benchmark}.svg)"
    section = f"{figure}\n\n{report.markdown}\n{format_environment(machine)}\n"
    page.write_text(replace_section(page.read_text("utf-8"), benchmark, section), "utf-8")


def format_environment(machine: Mapping[str, str]) -> str:
    """Return machine and versions in one sentence."""
    return f"Measured with {', '.join(f'{name} {value}' for name, value in machine.items())}."


def replace_section(text: str, benchmark: str, section: str) -> str:
    """Return the text with a part's section replaced.

    Raises:
        ValueError: the text does not have the section's markers.
    """
    begin, end = f"<!-- benchmark {benchmark} -->", f"<!-- end of benchmark {benchmark} -->"
    before, opened, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(f"docs/performance.md lacks the markers {begin} and {end}.")
    return f"{before}{begin}\n{section}{end}{after}"
