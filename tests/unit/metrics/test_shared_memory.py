"""Shared metrics: the numbers of all workers are combined, also of dead ones."""

import os
import time

import pytest

from graphql_api.metrics import definitions
from graphql_api.metrics.definitions import MetricFamily
from graphql_api.metrics.exposition import expose
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.metrics.shared_memory import SharedMetrics
from tests.support.metrics_scrape import Samples, parse_samples


def scrape(shared_metrics: SharedMetrics, *, later: float = 0) -> Samples:
    """Return the samples of a scrape, `later` seconds from now."""
    body, _ = expose(shared_metrics, accept="", now=time.monotonic() + later)
    return parse_samples(body.decode())


def read_value(recorder: MetricsRecorder, family: MetricFamily) -> float:
    """Return the value of a metric without labels."""
    return scrape(recorder.shared_metrics)[family.name]


QUERIES = 'graphql_api_requests_total{kind="query",status="200"}'
DURATION_SERIES = 'graphql_api_request_duration_seconds_{}{{kind="query"{}}}'.format


def two_workers() -> tuple[SharedMetrics, MetricsRecorder, MetricsRecorder]:
    """Return the metrics of two live workers, with their recorders."""
    shared_metrics = SharedMetrics(workers=2)
    recorders = MetricsRecorder(shared_metrics, worker=0), MetricsRecorder(shared_metrics, worker=1)
    for recorder in recorders:
        recorder.heartbeat()
    return shared_metrics, *recorders


def test_sums() -> None:
    """Counters, histograms and gauges of use are summed."""
    shared_metrics, first, second = two_workers()
    for recorder, seconds in ((first, 0.0001), (second, 0.3), (second, 100.0)):
        recorder.record_request("query", 200, seconds)
        recorder.add(definitions.CONNECTIONS, 1)
    samples = scrape(shared_metrics)
    assert samples[QUERIES] == 3
    assert samples[DURATION_SERIES("bucket", ',le="0.0001"')] == 1
    assert samples[DURATION_SERIES("bucket", ',le="0.25"')] == 1
    assert samples[DURATION_SERIES("bucket", ',le="0.5"')] == 2
    assert samples[DURATION_SERIES("bucket", ',le="10.0"')] == 2
    assert samples[DURATION_SERIES("bucket", ',le="+Inf"')] == samples[DURATION_SERIES("count", "")] == 3
    assert samples[DURATION_SERIES("sum", "")] == pytest.approx(100.3001)
    assert samples["graphql_api_connections"] == 3
    assert samples["graphql_api_workers"] == 2


def test_extremes() -> None:
    """Other gauges are combined to the worst: the oldest data, an unreachable database."""
    shared_metrics, first, second = two_workers()
    for recorder, age, revision, reachable in ((first, 5, 8, 1), (second, 7, 7, 0)):
        recorder.set(definitions.SNAPSHOT_AGE, age)
        recorder.set(definitions.SNAPSHOT_REVISION, revision)
        recorder.set(definitions.DATABASE_REACHABLE, reachable)
    samples = scrape(shared_metrics)
    assert samples["graphql_api_snapshot_age_seconds"] == 7
    assert samples["graphql_api_snapshot_revision"] == 7
    assert samples["graphql_api_database_reachable"] == 0


def test_unset() -> None:
    """A gauge that has not been sampled is left out, not exported as 0."""
    shared_metrics, first, _ = two_workers()
    assert "graphql_api_snapshot_age_seconds" not in scrape(shared_metrics)
    first.set(definitions.SNAPSHOT_AGE, 1)
    assert scrape(shared_metrics)["graphql_api_snapshot_age_seconds"] == 1


def test_replaced() -> None:
    """The replacement of a dead worker continues its counters and resets its gauges."""
    shared_metrics, first, second = two_workers()
    for recorder in (first, second, second):
        recorder.record_request("query", 200, 0.1)
        recorder.add(definitions.CONNECTIONS, 1)
    replacement = MetricsRecorder(shared_metrics, worker=1)
    replacement.heartbeat()
    replacement.record_request("query", 200, 0.1)
    samples = scrape(shared_metrics)
    assert (samples[QUERIES], samples["graphql_api_connections"]) == (4, 1)


def test_silent() -> None:
    """The gauges of a worker without heartbeats are left out, and its counters stay."""
    shared_metrics, first, second = two_workers()
    for recorder in (first, second):
        recorder.record_request("query", 200, 0.1)
    samples = scrape(shared_metrics, later=11)
    assert (samples[QUERIES], "graphql_api_workers" in samples) == (2, False)
    first.heartbeat()
    assert scrape(shared_metrics, later=0)["graphql_api_workers"] == 2


def test_forked() -> None:
    """The parent exports what a forked process has counted."""
    shared_metrics = SharedMetrics(workers=2)
    child = os.fork()
    if child == 0:
        recorder = MetricsRecorder(shared_metrics, worker=1)
        for _ in range(1000):
            recorder.record_request("query", 200, 0.1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    MetricsRecorder(shared_metrics, worker=0).record_request("query", 200, 0.1)
    assert scrape(shared_metrics)[QUERIES] == 1001


def test_unforeseen() -> None:
    """An unexpected status or code is counted as other, without a new series."""
    shared_metrics, first, _ = two_workers()
    before = scrape(shared_metrics)
    first.record_request("none", 418, 0.1)
    first.record_error("X")
    samples = scrape(shared_metrics)
    assert list(samples) == list(before)
    assert samples['graphql_api_requests_total{kind="none",status="other"}'] == 1
    assert samples['graphql_api_errors_total{code="other"}'] == 1
