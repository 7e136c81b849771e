"""The startup benchmark: kinds of starts, and import times by package."""

import pytest

from benchmarks import startup_benchmark
from benchmarks.startup_benchmark import sum_import_times


def test_import_times() -> None:
    """A package's import time is the sum of its modules' own times."""
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
    """Each kind of start is measured, and SQLAlchemy is among the slowest imports."""
    report = startup_benchmark.run(lambda _: None, rounds=1)
    assert {kind: len(seconds) for kind, seconds in report.results["starts"].items()} == {
        "first start, which fills SQLite": 1,
        "with data": 1,
        "with data, WORKERS=2": 1,
    }
    assert len(report.results["imports"]) == 6
    assert report.results["imports"]["sqlalchemy"] > 0
