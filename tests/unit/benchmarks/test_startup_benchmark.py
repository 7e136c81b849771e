"""Starts are measured to the first answer, and README shows the committed figures."""

import json
from typing import Any

import pytest

from benchmarks import startup_benchmark
from benchmarks.report import format_environment
from benchmarks.startup_benchmark import StartupResults, build_report, sum_import_times
from tests.support.paths import ROOT


def test_longest() -> None:
    """A package is its modules, each without those that it imports."""
    log = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:      1500 |       1500 |   one.a\n"
        "import time:       250 |       1750 | one\n"
        "2026-11-26 INFO import time: not a line of Python's\n"
        "import time:      2600 |       2600 |     two._b.c\n"
    )
    assert sum_import_times(log) == {"two": 2.6, "one": 1.8}


@pytest.mark.slow
def test_starting() -> None:
    """Each kind of start answers, and what is imported is named, SQLAlchemy among the longest."""
    report = startup_benchmark.run(lambda _: None, rounds=1)
    assert {kind: len(seconds) for kind, seconds in report.results["starts"].items()} == {
        "the first, which fills SQLite": 1,
        "with data": 1,
        "with data, WORKERS=2": 1,
    }
    assert len(report.results["imports"]) == 6
    assert report.results["imports"]["sqlalchemy"] > 0


def test_readme() -> None:
    """README and its chart show the committed figures, and no others."""
    path = ROOT / "benchmarks/results/start.json"
    results: dict[str, Any] = json.loads(path.read_text("utf-8"))
    machine = results.pop("machine")
    report = build_report(StartupResults(**results))
    readme = (ROOT / "README.md").read_text("utf-8")
    assert report.markdown in readme
    assert format_environment(machine) in readme
    assert f"![{report.caption}](docs/start.svg)" in readme
    assert (ROOT / "docs/start.svg").read_text("utf-8") == report.chart
