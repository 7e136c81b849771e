"""The soak benchmark: it passes, and finds growth and unexpected log lines."""

import json
from dataclasses import asdict
from xml.etree import ElementTree as ET

import pytest

from benchmarks import soak_benchmark
from benchmarks.process_stats import Sample, slope_per_minute
from tests.support.db_servers.mariadb import MariaDB


def make_samples(*megabytes: float) -> list[Sample]:
    """Return samples of a process with this memory, one per second."""
    return [
        Sample(second=second, megabytes=value, files=9, sockets=5, threads=3, connections=2, answers=7)
        for second, value in enumerate(megabytes)
    ]


@pytest.mark.parametrize(
    ("megabytes", "expected"), [((5,), 0), ((5, 5, 5), 0), ((5, 6, 7), 60), ((7, 6.5, 6), -30), ((5, 6, 5, 6), 12)]
)
def test_slope(megabytes: tuple[float, ...], expected: float) -> None:
    """Growth is the least-squares slope per minute."""
    assert slope_per_minute(make_samples(*megabytes), lambda sample: sample.megabytes) == pytest.approx(expected)


def test_growth() -> None:
    """Growth beyond its limit is reported."""
    assert soak_benchmark.describe_growth(1.0, 1.0) == []
    assert soak_benchmark.describe_growth(1.01, 1.01) == [
        "memory grows by 1.01 MB a minute",
        "open files grow by 1.01 a minute",
    ]


def test_log() -> None:
    """Log lines that no fault explains are reported."""
    expected_lines = (
        "21:00:00 ERROR   The database at mysql://db did not respond within 10 s. Serving the data loaded before.\n"
        "21:00:01 INFO    The database responds again.\n"
    )
    assert soak_benchmark.find_unexpected_lines(expected_lines) == []
    unexpected_lines = "21:00:02 ERROR   Task exception was never retrieved\nTraceback (most recent call last)"
    assert soak_benchmark.find_unexpected_lines(expected_lines + unexpected_lines) == [
        "logged: 21:00:02 ERROR   Task exception was never retrieved",
        "logged: Traceback (most recent call last)",
    ]


@pytest.mark.slow
def test_soak() -> None:
    """A few seconds among faults pass, and the report, JSON and chart have the figures."""
    if MariaDB.find_program() is None:
        pytest.skip(MariaDB.install_hint)
    results = soak_benchmark.run(6)
    assert results.wrong == []
    assert [len(results.samples), results.database] == [6, "MariaDB"]
    assert min(results.answers, sum(results.refreshes.values()), sum(results.faults.values())) > 0
    assert soak_benchmark.format_report(results).endswith("\npassed: every response was right, and nothing grew")
    assert json.loads(json.dumps(asdict(results)))["seed"] == soak_benchmark.SEED
    chart = ET.fromstring(soak_benchmark.draw_chart(results))  # noqa: S314 - our own
    lines = chart.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.get("points", "").split()) for line in lines] == [6] * 5
