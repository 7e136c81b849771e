"""The refresh benchmark: its limit, and the round trips of the committed figures."""

import json

import pytest

from benchmarks.refresh_benchmark import FAR_ROUND_TRIP, NEAR_ROUND_TRIP, lower_bound
from tests.support.paths import ROOT


@pytest.mark.parametrize(("trip", "seconds"), [(FAR_ROUND_TRIP, 3.0), (NEAR_ROUND_TRIP, 2.501)])
def test_limit(trip: float, seconds: float) -> None:
    """The limit of a refresh is its slowest source plus one round trip."""
    assert lower_bound(trip) == seconds


def test_round_trips() -> None:
    """The committed figures have the original case's round trips, and one for this project."""
    results = json.loads((ROOT / "benchmarks/results/refresh.json").read_text("utf-8"))
    trips = [cost["trips_after_sources"] for cost in results["far"].values()]
    assert trips == [253, 253, 24, 14, 1, 1, 1]
