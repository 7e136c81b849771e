"""The numbers of several workers are told as one, whichever is asked, and whoever has died."""

import os
import time

import pytest

from graphql_api.metrics import families
from graphql_api.metrics.board import Board
from graphql_api.metrics.exposition import expose
from graphql_api.metrics.families import FAMILIES, Family
from graphql_api.metrics.meter import Meter
from tests.http.scraping import Series, read


def seen(board: Board, *, later: float = 0) -> Series:
    """Return what a scrape tells so many seconds from now."""
    body, _ = expose(board, accept="", now=time.monotonic() + later)
    return read(body.decode())


def value(meter: Meter, family: Family) -> float:
    """Return a number that has one series."""
    return seen(meter.board)[family.name]


QUERIES = 'graphql_api_requests_total{kind="query",status="200"}'
QUICK = 'graphql_api_request_duration_seconds_{}{{kind="query"{}}}'.format


def two() -> tuple[Board, Meter, Meter]:
    """Return a board of two workers that live."""
    board = Board(FAMILIES, workers=2)
    meters = Meter(board, worker=0), Meter(board, worker=1)
    for meter in meters:
        meter.live()
    return board, *meters


def test_sums() -> None:
    """Counters, histograms and what is in use are added up."""
    board, one, other = two()
    for meter, seconds in ((one, 0.0001), (other, 0.3), (other, 100.0)):
        meter.answered("query", 200, seconds)
        meter.add(families.CONNECTIONS, 1)
    told = seen(board)
    assert told[QUERIES] == 3
    assert told[QUICK("bucket", ',le="0.0001"')] == 1
    assert told[QUICK("bucket", ',le="0.25"')] == 1
    assert told[QUICK("bucket", ',le="0.5"')] == 2
    assert told[QUICK("bucket", ',le="10.0"')] == 2
    assert told[QUICK("bucket", ',le="+Inf"')] == told[QUICK("count", "")] == 3
    assert told[QUICK("sum", "")] == pytest.approx(100.3001)
    assert told["graphql_api_connections"] == 3
    assert told["graphql_api_workers"] == 2


def test_extremes() -> None:
    """Of what cannot be added the worst is told: the oldest data, and a database that is away."""
    board, one, other = two()
    for meter, age, revision, reachable in ((one, 5, 8, 1), (other, 7, 7, 0)):
        meter.set(families.SNAPSHOT_AGE, age)
        meter.set(families.SNAPSHOT_REVISION, revision)
        meter.set(families.DATABASE_REACHABLE, reachable)
    told = seen(board)
    assert told["graphql_api_snapshot_age_seconds"] == 7
    assert told["graphql_api_snapshot_revision"] == 7
    assert told["graphql_api_database_reachable"] == 0


def test_unset() -> None:
    """What nobody has looked at yet is left out, instead of being told as 0."""
    board, one, _ = two()
    assert "graphql_api_snapshot_age_seconds" not in seen(board)
    one.set(families.SNAPSHOT_AGE, 1)
    assert seen(board)["graphql_api_snapshot_age_seconds"] == 1


def test_replaced() -> None:
    """Who takes the place of a worker that died goes on counting, and forgets what it gauged."""
    board, one, other = two()
    for meter in (one, other, other):
        meter.answered("query", 200, 0.1)
        meter.add(families.CONNECTIONS, 1)
    new = Meter(board, worker=1)
    new.live()
    new.answered("query", 200, 0.1)
    told = seen(board)
    assert (told[QUERIES], told["graphql_api_connections"]) == (4, 1)


def test_silent() -> None:
    """The gauges of a worker that has not been heard of are left out; what it counted stays."""
    board, one, other = two()
    for meter in (one, other):
        meter.answered("query", 200, 0.1)
    told = seen(board, later=11)
    assert (told[QUERIES], "graphql_api_workers" in told) == (2, False)
    one.live()
    assert seen(board, later=0)["graphql_api_workers"] == 2


def test_forked() -> None:
    """What a process counts that was forked is told by the one that forked it."""
    board = Board(FAMILIES, workers=2)
    child = os.fork()
    if child == 0:
        meter = Meter(board, worker=1)
        for _ in range(1000):
            meter.answered("query", 200, 0.1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    Meter(board, worker=0).answered("query", 200, 0.1)
    assert seen(board)[QUERIES] == 1001


def test_unforeseen() -> None:
    """A status or a code that nobody foresaw is counted as another one, and makes no series."""
    board, one, _ = two()
    before = seen(board)
    one.answered("none", 418, 0.1)
    one.failed("X")
    told = seen(board)
    assert list(told) == list(before)
    assert told['graphql_api_requests_total{kind="none",status="other"}'] == 1
    assert told['graphql_api_errors_total{code="other"}'] == 1
