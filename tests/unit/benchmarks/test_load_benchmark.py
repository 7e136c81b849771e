"""The load benchmark: latency from when a request was due, and errors."""

from collections.abc import Iterator
from itertools import repeat

import pytest

from benchmarks import load_benchmark
from benchmarks.load_benchmark import Latency
from benchmarks.open_loop_load import measure
from tests.support.db_servers.mariadb import MariaDB
from tests.support.fake_providers.server import FakeResponse, Upstream


def load_target(upstream: Upstream) -> tuple[int, Iterator[bytes]]:
    """Return the upstream's port, and endless requests for its `query`."""
    return int(upstream.url.rpartition(":")[2]), repeat(b"GET /query HTTP/1.1\r\n\r\n")


def test_latency() -> None:
    """A percentile is the latency that this fraction of the requests did not exceed."""
    latency = Latency.from_seconds([number / 1000 for number in range(1000, 0, -1)])
    assert latency == Latency(requests=1000, p50=500, p99=990, p999=999, most=1000)


def test_waiting_counts(upstream: Upstream) -> None:
    """Requests that wait for the only connection are measured from when they were due."""
    upstream.set_responses("query", FakeResponse(body=b'{"data": 1}', delay=0.3))
    port, requests = load_target(upstream)
    result = measure(port, requests, seconds=0.1, connections=1, rate=50)
    # The upstream closes each connection, so the other requests get no response.
    assert [due for due, _ in result.latencies] == [0]
    assert result.latencies[0][1] >= 0.3
    assert result.errors["no response"] == 4


def test_errors(upstream: Upstream) -> None:
    """A status other than 200, and a response with errors, is an error."""
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
    """A few seconds of load with a refresh have no errors."""
    if MariaDB.find_program() is None:
        pytest.skip(MariaDB.install_hint)
    report = load_benchmark.run(lambda _: None, seconds=3, probe_seconds=1)
    assert report.results["errors"] == {}
    assert report.results["refreshes"] == 1
    assert list(report.results["latencies"]) == ["all requests", "within 1 s of a refresh's start", "at other times"]
    assert 50 < report.results["megabytes"] < 200
    assert "Errors: none. Afterwards the process has " in report.markdown
