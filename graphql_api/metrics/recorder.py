"""Records the metrics of one worker. Each call takes less than a microsecond."""

import time
from bisect import bisect_left
from dataclasses import fields

from graphql_api.domain.report import Attempt, RefreshReport, Timings
from graphql_api.metrics import definitions
from graphql_api.metrics.definitions import MetricFamily
from graphql_api.metrics.shared_memory import MetricRow, MetricSlot, SharedMetrics
from graphql_api.sources.fetch import FetchAttempt, FetchOutcome

_OTHER_STATUS = 0
"""Stands for every unexpected status."""
_EVENT_GAUGES = (
    definitions.CACHE_BYTES,
    definitions.CONNECTIONS,
    definitions.WEBSOCKETS,
    definitions.SUBSCRIPTIONS,
)
"""Gauges that events raise and lower. The sampler does not write them."""


class Counter:
    """A counter of one worker."""

    def __init__(self, slot: MetricSlot, row: MetricRow) -> None:
        """Continue from the numbers in the row."""
        self._row = row
        self._offsets = slot.get_offsets_by_labels()

    def add(self, *labels: str) -> None:
        """Add one to the series with these label values."""
        self._row[self._offsets[labels]] += 1


class Histogram:
    """A histogram of one worker."""

    def __init__(self, family: MetricFamily, slot: MetricSlot, row: MetricRow) -> None:
        """Continue from the numbers in the row."""
        self._row = row
        self._offsets = slot.get_offsets_by_labels()
        self._bounds = tuple(family.buckets)
        self._sum_offset = len(self._bounds) + 1

    def observe(self, seconds: float, *labels: str) -> None:
        """Record a duration in the series with these label values."""
        start = self._offsets[labels]
        self._row[start + bisect_left(self._bounds, seconds)] += 1
        self._row[start + self._sum_offset] += seconds


class MetricsRecorder:
    """Records the metrics of one worker."""

    def __init__(self, shared_metrics: SharedMetrics, *, worker: int = 0) -> None:
        """Take over the row of a worker, counted from 0."""
        self.shared_metrics = shared_metrics
        self._row = shared_metrics.row_for(worker)
        self._requests = _index_by_status(shared_metrics.slots[definitions.REQUESTS.name])
        self._durations = self._histogram(definitions.REQUEST_DURATION)
        self._errors = self._counter(definitions.ERRORS)
        self._lookups = self._counter(definitions.CACHE_LOOKUPS)
        self._refreshes = self._counter(definitions.REFRESHES)
        self._phases = self._histogram(definitions.REFRESH_PHASE_DURATION)
        self._provider_fetches = self._counter(definitions.PROVIDER_ANSWERS)
        self._provider_durations = self._histogram(definitions.PROVIDER_DURATION)
        for gauge in _EVENT_GAUGES:
            self.set(gauge, 0)
        for gauge in (definitions.WORKERS, definitions.BUILD):
            self.set(gauge, 1)

    @classmethod
    def standalone(cls) -> "MetricsRecorder":
        """Return the recorder of a process without other workers."""
        return cls(SharedMetrics(definitions.FAMILIES, workers=1))

    def set(self, family: MetricFamily, value: float) -> None:
        """Set a gauge without labels."""
        self._row[self.shared_metrics.slots[family.name].start] = value

    def add(self, family: MetricFamily, change: float) -> None:
        """Change a gauge or counter without labels."""
        self._row[self.shared_metrics.slots[family.name].start] += change

    def heartbeat(self) -> None:
        """Mark this worker as alive."""
        self._row[0] = time.monotonic()

    def record_request(self, kind: str, status: int, seconds: float) -> None:
        """Count a response, with the time since its request's head."""
        offsets = self._requests[kind]
        self._row[offsets.get(status, offsets[_OTHER_STATUS])] += 1
        self._durations.observe(seconds, kind)

    def record_error(self, code: str) -> None:
        """Count an error in a GraphQL response."""
        self._errors.add(code if code in definitions.ERROR_CODES else definitions.OTHER)

    def record_cache_lookup(self, result: str) -> None:
        """Count a cacheable response, see `definitions.LOOKUP_RESULTS`."""
        self._lookups.add(result)

    def record_refresh(self, attempt: Attempt) -> None:
        """Count a refresh that ended, and its phases if it succeeded."""
        if isinstance(attempt, RefreshReport):
            self._refreshes.add(attempt.trigger, definitions.SUCCESS)
            self._observe_phases(attempt.timings)
        else:
            self._refreshes.add(attempt.trigger, attempt.code)

    def record_fetch(self, fetch_attempt: FetchAttempt) -> None:
        """Count the use of a provider."""
        self._provider_fetches.add(fetch_attempt.provider, fetch_attempt.outcome)
        if fetch_attempt.outcome is not FetchOutcome.KEPT:
            self._provider_durations.observe(fetch_attempt.seconds, fetch_attempt.provider)

    def _observe_phases(self, timings: Timings) -> None:
        for field in fields(timings):
            milliseconds = getattr(timings, field.name)
            if milliseconds is not None:
                self._phases.observe(milliseconds / 1000, field.name.removesuffix("_ms"))

    def _histogram(self, family: MetricFamily) -> Histogram:
        return Histogram(family, self.shared_metrics.slots[family.name], self._row)

    def _counter(self, family: MetricFamily) -> Counter:
        return Counter(self.shared_metrics.slots[family.name], self._row)


def _index_by_status(slot: MetricSlot) -> dict[str, dict[int, int]]:
    """Return the offset of each request counter by kind and numeric status."""
    offsets: dict[str, dict[int, int]] = {}
    for (kind, status), offset in slot.get_offsets_by_labels().items():
        offsets.setdefault(kind, {})[
            _OTHER_STATUS if status == definitions.OTHER else int(status)
        ] = offset
    return offsets
