"""Where figures go: a part's JSON, its chart, and its place in README."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Say = Callable[[str], None]
"""Tells whoever waits what is being measured."""


class Missing(Exception):
    """A part cannot be measured without something; the message says how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a part of the benchmarks has found."""

    figures: Mapping[str, Any]
    """Everything that was measured, as JSON has it."""
    told: str
    """The same as tables in Markdown."""
    chart: str
    """The same as an SVG document."""
    caption: str
    """The chart in words, for those who do not see it."""


def publish(root: Path, part: str, outcome: Outcome, machine: Mapping[str, str]) -> None:
    """Write a part's figures below the project's folder, in place of those before."""
    results = {"machine": machine, **outcome.figures}
    text = json.dumps(results, indent=2, ensure_ascii=False)
    (root / "benchmarks" / "results" / f"{part}.json").write_text(f"{text}\n", "utf-8")
    chart = f"docs/{part}.svg"
    (root / chart).write_text(outcome.chart, "utf-8")
    readme = root / "README.md"
    section = f"![{outcome.caption}]({chart})\n\n{outcome.told}\n{in_words(machine)}\n"
    readme.write_text(replace(readme.read_text("utf-8"), part, section), "utf-8")


def in_words(machine: Mapping[str, str]) -> str:
    """Return the machine and the versions in one line."""
    return f"Measured with {', '.join(f'{name} {what}' for name, what in machine.items())}."


def replace(text: str, part: str, section: str) -> str:
    """Return a text in which a part's section is the one given.

    Raises:
        ValueError: the text has no place for it.
    """
    begin, end = f"<!-- benchmark {part} -->", f"<!-- end of benchmark {part} -->"
    before, opened, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(f"README.md has no place between {begin} and {end}.")
    return f"{before}{begin}\n{section}{end}{after}"
