"""Published figures: docs/performance.md and its charts show the committed results."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import growth_benchmark, load_benchmark, queries_benchmark, refresh_benchmark, startup_benchmark
from benchmarks.__main__ import BENCHMARKS
from benchmarks.growth_benchmark import GrowthResults
from benchmarks.load_benchmark import Latency, LoadResults
from benchmarks.refresh_benchmark import RefreshResults
from benchmarks.refresh_environment import RefreshCost
from benchmarks.report import BenchmarkReport, format_environment, publish, replace_section
from benchmarks.startup_benchmark import StartupResults
from benchmarks.upsert_benchmark import UpsertResult
from benchmarks.wrk import WrkResult
from tests.support.paths import ROOT

REPORT = BenchmarkReport(results={"seconds": 3}, markdown="| table |\n", chart="<svg/>\n", caption="A chart")
PAGE = "before\n<!-- benchmark x -->\nold\n<!-- end of benchmark x -->\nafter\n"


def refresh_report(results: dict[str, Any]) -> BenchmarkReport:
    """Build the report of committed results."""
    costs = {
        distance: {name: RefreshCost(**cost) for name, cost in results[distance].items()}
        for distance in ("far", "near")
    }
    upserts = [UpsertResult(**upsert) for upsert in results["upserts"]]
    return refresh_benchmark.build_report(RefreshResults(**costs, upserts=upserts))


def queries_report(results: dict[str, Any]) -> BenchmarkReport:
    """Build the report of committed results."""
    return queries_benchmark.build_report(
        {
            name: {server: WrkResult(**wrk_result) for server, wrk_result in servers.items()}
            for name, servers in results["questions"].items()
        }
    )


def load_report(results: dict[str, Any]) -> BenchmarkReport:
    """Build the report of committed results."""
    latencies = {name: Latency(**latency) for name, latency in results.pop("latencies").items()}
    return load_benchmark.build_report(LoadResults(latencies=latencies, **results))


def startup_report(results: dict[str, Any]) -> BenchmarkReport:
    """Build the report of committed results."""
    return startup_benchmark.build_report(StartupResults(**results))


def growth_report(results: dict[str, Any]) -> BenchmarkReport:
    """Build the report of committed results."""
    return growth_benchmark.build_report(GrowthResults(**results))


REPORT_BUILDERS: Mapping[str, Callable[[dict[str, Any]], BenchmarkReport]] = {
    "refresh": refresh_report,
    "serving": queries_report,
    "growth": growth_report,
    "load": load_report,
    "start": startup_report,
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_published_figures(name: str) -> None:
    """The page and the chart of each part show exactly its committed results."""
    results = json.loads((ROOT / f"benchmarks/results/{name}.json").read_text("utf-8"))
    machine = results.pop("machine")
    report = REPORT_BUILDERS[name](results)
    page = (ROOT / "docs/performance.md").read_text("utf-8")
    assert (
        f"<!-- benchmark {name} -->\n![{report.caption}]({name}.svg)\n\n{report.markdown}\n"
        f"{format_environment(machine)}\n<!-- end of benchmark {name} -->"
    ) in page
    assert (ROOT / f"docs/{name}.svg").read_text("utf-8") == report.chart


def test_publish(tmp_path: Path) -> None:
    """Publishing replaces JSON, chart and section, however often it is repeated."""
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/performance.md").write_text(PAGE, "utf-8")
    for _ in range(2):
        publish(tmp_path, "x", REPORT, {"Python": "3", "on": "2 cores"})
    results = json.loads((tmp_path / "benchmarks/results/x.json").read_text("utf-8"))
    assert results == {"machine": {"Python": "3", "on": "2 cores"}, "seconds": 3}
    assert (tmp_path / "docs/x.svg").read_text("utf-8") == "<svg/>\n"
    assert (tmp_path / "docs/performance.md").read_text("utf-8") == (
        "before\n<!-- benchmark x -->\n![A chart](x.svg)\n\n| table |\n\n"
        "Measured with Python 3, on 2 cores.\n<!-- end of benchmark x -->\nafter\n"
    )


@pytest.mark.parametrize("text", ["", PAGE.replace("end of", ""), PAGE.replace("x", "y")])
def test_missing_markers(text: str) -> None:
    """A page without a part's markers is not changed."""
    with pytest.raises(ValueError, match="lacks the markers <!-- benchmark x --> and"):
        replace_section(text, "x", "new")
