"""Starts are measured to the first answer, and README shows the committed figures."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import starting
from benchmarks.publishing import in_words
from benchmarks.starting import Figures, longest, outcome

ROOT = Path(__file__).parents[2]


def test_longest() -> None:
    """A package is its modules, each without those that it imports."""
    said = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:      1500 |       1500 |   one.a\n"
        "import time:       250 |       1750 | one\n"
        "2026-11-26 INFO import time: not a line of Python's\n"
        "import time:      2600 |       2600 |     two._b.c\n"
    )
    assert longest(said) == {"two": 2.6, "one": 1.8}


@pytest.mark.slow
def test_starting() -> None:
    """Each kind of start answers, and what is imported is named, SQLAlchemy among the longest."""
    found = starting.run(lambda _: None, rounds=1)
    assert {kind: len(taken) for kind, taken in found.figures["starts"].items()} == {
        "the first, which fills SQLite": 1,
        "with data": 1,
        "with data, WORKERS=2": 1,
    }
    assert len(found.figures["imports"]) == 6
    assert found.figures["imports"]["sqlalchemy"] > 0


def test_readme() -> None:
    """README and its chart show the committed figures, and no others."""
    path = ROOT / "benchmarks/results/start.json"
    results: dict[str, Any] = json.loads(path.read_text("utf-8"))
    machine = results.pop("machine")
    published = outcome(Figures(**results))
    readme = (ROOT / "README.md").read_text("utf-8")
    assert published.told in readme
    assert in_words(machine) in readme
    assert f"![{published.caption}](docs/start.svg)" in readme
    assert (ROOT / "docs/start.svg").read_text("utf-8") == published.chart
