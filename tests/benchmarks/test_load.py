"""Load is measured from when a request was due, and README shows the committed figures."""

import json
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from benchmarks import load
from benchmarks.generator import measure
from benchmarks.load import Figures, Latency, outcome
from benchmarks.publishing import in_words
from tests.servers.mariadb import MariaDB
from tests.upstream.server import Answer, Upstream

ROOT = Path(__file__).parents[2]


def asked(upstream: Upstream) -> tuple[int, Iterator[bytes]]:
    """Return the port of the upstream, and requests for its `query` for ever."""
    return int(upstream.url.rpartition(":")[2]), repeat(b"GET /query HTTP/1.1\r\n\r\n")


def test_latency() -> None:
    """Percentiles are those of the answer that so many others were as quick as."""
    latency = Latency.of([number / 1000 for number in range(1000, 0, -1)])
    assert latency == Latency(requests=1000, p50=500, p99=990, p999=999, most=1000)


def test_waiting_is_not_left_out(upstream: Upstream) -> None:
    """What is due while the only connection waits is counted from when it was due."""
    upstream.answer("query", Answer(body=b'{"data": 1}', delay=0.3))
    port, requests = asked(upstream)
    measured = measure(port, requests, seconds=0.1, connections=1, rate=50)
    # The upstream closes each connection, so that the others are never answered.
    assert [due for due, _ in measured.taken] == [0]
    assert measured.taken[0][1] >= 0.3
    assert measured.errors["no answer"] == 4


def test_errors(upstream: Upstream) -> None:
    """An answer that is not 200, or is not data, is an error."""
    port, requests = asked(upstream)
    for answer, wrong in [
        (Answer(status=503), "HTTP/1.1 503"),
        (Answer(body=b'{"errors": []}'), "errors"),
    ]:
        upstream.answer("query", answer)
        measured = measure(port, requests, seconds=0.01, connections=1, rate=100)
        assert measured.errors == {wrong: 1}


@pytest.mark.slow
def test_load() -> None:
    """A few seconds of load with a refresh: no errors, and a table of all."""
    if MariaDB.find() is None:
        pytest.skip(MariaDB.missing)
    found = load.run(lambda _: None, seconds=3, probe=1)
    assert found.figures["errors"] == {}
    assert found.figures["refreshes"] == 1
    assert list(found.figures["latencies"]) == [
        "all requests",
        "within 1 s of a refresh's begin",
        "at other times",
    ]
    assert "Errors: none." in found.told


def test_readme() -> None:
    """README and its chart show the committed figures, and no others."""
    results: dict[str, Any] = json.loads((ROOT / "benchmarks/results/load.json").read_text("utf-8"))
    machine = results.pop("machine")
    latencies = {name: Latency(**each) for name, each in results.pop("latencies").items()}
    published = outcome(Figures(latencies=latencies, **results))
    readme = (ROOT / "README.md").read_text("utf-8")
    assert published.told in readme
    assert in_words(machine) in readme
    assert f"![{published.caption}](docs/load.svg)" in readme
    assert (ROOT / "docs/load.svg").read_text("utf-8") == published.chart
