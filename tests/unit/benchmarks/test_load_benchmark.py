"""Load is measured from when a request was due, and README shows the committed figures."""

import json
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest

from benchmarks import load_benchmark
from benchmarks.load_benchmark import Latency, LoadResults, build_report
from benchmarks.open_loop_load import measure
from benchmarks.report import format_environment
from tests.support.db_servers.mariadb import MariaDB
from tests.support.fake_providers.server import FakeResponse, Upstream
from tests.support.paths import ROOT


def load_target(upstream: Upstream) -> tuple[int, Iterator[bytes]]:
    """Return the port of the upstream, and requests for its `query` for ever."""
    return int(upstream.url.rpartition(":")[2]), repeat(b"GET /query HTTP/1.1\r\n\r\n")


def test_latency() -> None:
    """Percentiles are those of the answer that so many others were as quick as."""
    latency = Latency.from_seconds([number / 1000 for number in range(1000, 0, -1)])
    assert latency == Latency(requests=1000, p50=500, p99=990, p999=999, most=1000)


def test_waiting_is_not_left_out(upstream: Upstream) -> None:
    """What is due while the only connection waits is counted from when it was due."""
    upstream.set_responses("query", FakeResponse(body=b'{"data": 1}', delay=0.3))
    port, requests = load_target(upstream)
    result = measure(port, requests, seconds=0.1, connections=1, rate=50)
    # The upstream closes each connection, so that the others are never answered.
    assert [due for due, _ in result.latencies] == [0]
    assert result.latencies[0][1] >= 0.3
    assert result.errors["no answer"] == 4


def test_errors(upstream: Upstream) -> None:
    """An answer that is not 200, or is not data, is an error."""
    port, requests = load_target(upstream)
    for response, error in [
        (FakeResponse(status=503), "HTTP/1.1 503"),
        (FakeResponse(body=b'{"errors": []}'), "errors"),
    ]:
        upstream.set_responses("query", response)
        result = measure(port, requests, seconds=0.01, connections=1, rate=100)
        assert result.errors == {error: 1}


@pytest.mark.slow
def test_load() -> None:
    """A few seconds of load with a refresh: no errors, and a table of all."""
    if MariaDB.find_program() is None:
        pytest.skip(MariaDB.install_hint)
    report = load_benchmark.run(lambda _: None, seconds=3, probe_seconds=1)
    assert report.results["errors"] == {}
    assert report.results["refreshes"] == 1
    assert list(report.results["latencies"]) == [
        "all requests",
        "within 1 s of a refresh's begin",
        "at other times",
    ]
    assert "Errors: none." in report.markdown


def test_readme() -> None:
    """README and its chart show the committed figures, and no others."""
    results: dict[str, Any] = json.loads((ROOT / "benchmarks/results/load.json").read_text("utf-8"))
    machine = results.pop("machine")
    latencies = {name: Latency(**latency) for name, latency in results.pop("latencies").items()}
    report = build_report(LoadResults(latencies=latencies, **results))
    readme = (ROOT / "README.md").read_text("utf-8")
    assert report.markdown in readme
    assert format_environment(machine) in readme
    assert f"![{report.caption}](docs/load.svg)" in readme
    assert (ROOT / "docs/load.svg").read_text("utf-8") == report.chart
