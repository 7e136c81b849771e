"""What is published of the refreshes is what was measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.publishing import in_words
from benchmarks.refreshing import FAR, NEAR, Figures, limit, outcome
from benchmarks.stage import Cost
from benchmarks.upserts import Upserts

ROOT = Path(__file__).parents[2]
RESULTS: dict[str, Any] = json.loads((ROOT / "benchmarks/results/refresh.json").read_text("utf-8"))
FIGURES = Figures(
    far={name: Cost(**cost) for name, cost in RESULTS["far"].items()},
    near={name: Cost(**cost) for name, cost in RESULTS["near"].items()},
    upserts=[Upserts(**each) for each in RESULTS["upserts"]],
)


@pytest.mark.parametrize(("trip", "seconds"), [(FAR, 3.0), (NEAR, 2.501)])
def test_limit(trip: float, seconds: float) -> None:
    """The least that a refresh can take is the slowest source and one round trip."""
    assert limit(trip) == seconds


def test_readme() -> None:
    """README and its chart show the committed figures, and no others."""
    published = outcome(FIGURES)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert published.told in readme
    assert in_words(RESULTS["machine"]) in readme
    assert f"![{published.caption}](docs/refresh.svg)" in readme
    assert (ROOT / "docs/refresh.svg").read_text("utf-8") == published.chart


def test_round_trips() -> None:
    """The committed figures have the round trips that are told of the case, and one for ours."""
    trips = [cost.trips_after_sources for cost in FIGURES.far.values()]
    assert trips == [253, 253, 24, 14, 1, 1, 1]
