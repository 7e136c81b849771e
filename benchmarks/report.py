"""Where figures go: a part's JSON, its chart, and its place in README."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ProgressCallback = Callable[[str], None]
"""Tells whoever waits what is being measured."""


class MissingToolError(Exception):
    """A part cannot be measured without something; the message says how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkReport:
    """What a part of the benchmarks has found."""

    results: Mapping[str, Any]
    """Everything that was measured, as JSON has it."""
    markdown: str
    """The same as tables in Markdown."""
    chart: str
    """The same as an SVG document."""
    caption: str
    """The chart in words, for those who do not see it."""


def publish(
    root: Path, benchmark: str, report: BenchmarkReport, machine: Mapping[str, str]
) -> None:
    """Write a part's figures below the project's folder, in place of those before."""
    results = {"machine": machine, **report.results}
    text = json.dumps(results, indent=2, ensure_ascii=False)
    (root / "benchmarks" / "results" / f"{benchmark}.json").write_text(f"{text}\n", "utf-8")
    chart_path = f"docs/{benchmark}.svg"
    (root / chart_path).write_text(report.chart, "utf-8")
    readme = root / "README.md"
    section = (
        f"![{report.caption}]({chart_path})\n\n{report.markdown}\n{format_environment(machine)}\n"
    )
    readme.write_text(replace_section(readme.read_text("utf-8"), benchmark, section), "utf-8")


def format_environment(machine: Mapping[str, str]) -> str:
    """Return the machine and the versions in one line."""
    return f"Measured with {', '.join(f'{name} {value}' for name, value in machine.items())}."


def replace_section(text: str, benchmark: str, section: str) -> str:
    """Return a text in which a part's section is the one given.

    Raises:
        ValueError: the text has no place for it.
    """
    begin, end = f"<!-- benchmark {benchmark} -->", f"<!-- end of benchmark {benchmark} -->"
    before, opened, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(f"README.md has no place between {begin} and {end}.")
    return f"{before}{begin}\n{section}{end}{after}"
