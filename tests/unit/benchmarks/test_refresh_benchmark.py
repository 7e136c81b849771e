"""What is published of the refreshes is what was measured."""

import json
from typing import Any

import pytest

from benchmarks.refresh_benchmark import (
    FAR_ROUND_TRIP,
    NEAR_ROUND_TRIP,
    RefreshResults,
    build_report,
    lower_bound,
)
from benchmarks.refresh_environment import RefreshCost
from benchmarks.report import format_environment
from benchmarks.upsert_benchmark import UpsertResult
from tests.support.paths import ROOT

RESULTS: dict[str, Any] = json.loads((ROOT / "benchmarks/results/refresh.json").read_text("utf-8"))
REFRESH_RESULTS = RefreshResults(
    far={name: RefreshCost(**cost) for name, cost in RESULTS["far"].items()},
    near={name: RefreshCost(**cost) for name, cost in RESULTS["near"].items()},
    upserts=[UpsertResult(**upsert) for upsert in RESULTS["upserts"]],
)


@pytest.mark.parametrize(("trip", "seconds"), [(FAR_ROUND_TRIP, 3.0), (NEAR_ROUND_TRIP, 2.501)])
def test_limit(trip: float, seconds: float) -> None:
    """The least that a refresh can take is the slowest source and one round trip."""
    assert lower_bound(trip) == seconds


def test_readme() -> None:
    """README and its chart show the committed figures, and no others."""
    report = build_report(REFRESH_RESULTS)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert report.markdown in readme
    assert format_environment(RESULTS["machine"]) in readme
    assert f"![{report.caption}](docs/refresh.svg)" in readme
    assert (ROOT / "docs/refresh.svg").read_text("utf-8") == report.chart


def test_round_trips() -> None:
    """The committed figures have the round trips that are told of the case, and one for ours."""
    trips = [cost.trips_after_sources for cost in REFRESH_RESULTS.far.values()]
    assert trips == [253, 253, 24, 14, 1, 1, 1]
