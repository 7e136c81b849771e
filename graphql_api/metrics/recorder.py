"""Records the metrics of one worker. Each call takes less than a microsecond."""

import time
from bisect import bisect_left
from dataclasses import asdict

from graphql_api.domain.report import Attempt, RefreshReport
from graphql_api.metrics import definitions
from graphql_api.metrics.definitions import MetricFamily
from graphql_api.metrics.shared_memory import SharedMetrics
from graphql_api.sources.fetch import FetchOutcome

_STATUS_LABELS = {int(status): status for status in definitions.STATUSES if status != definitions.OTHER}


class MetricsRecorder:
    """Records the metrics of one worker."""

    def __init__(self, shared_metrics: SharedMetrics, *, worker: int = 0) -> None:
        """Take over the row of a worker, counted from 0."""
        self.shared_metrics = shared_metrics
        self._row = shared_metrics.row_for(worker)
        self._offsets = shared_metrics.offsets

    @classmethod
    def standalone(cls) -> "MetricsRecorder":
        """Return the recorder of a process without other workers."""
        return cls(SharedMetrics(workers=1))

    def set(self, family: MetricFamily, value: float) -> None:
        """Set a gauge without labels."""
        self._row[self._offsets[family][()]] = value

    def add(self, family: MetricFamily, change: float, *labels: str) -> None:
        """Change the series of a gauge or counter with these label values."""
        self._row[self._offsets[family][labels]] += change

    def heartbeat(self) -> None:
        """Mark this worker as alive."""
        self._row[0] = time.monotonic()

    def record_request(self, kind: str, status: int, seconds: float) -> None:
        """Count a response, with the time since its request's head."""
        label = _STATUS_LABELS.get(status, definitions.OTHER)
        # Not `add`, which would cost each cached response another call.
        self._row[self._offsets[definitions.REQUESTS][kind, label]] += 1
        self._observe(definitions.REQUEST_DURATION, seconds, kind)

    def record_error(self, code: str) -> None:
        """Count an error in a GraphQL response."""
        label = code if code in definitions.ERROR_CODES else definitions.OTHER
        self.add(definitions.ERRORS, 1, label)

    def record_cache_lookup(self, result: str) -> None:
        """Count a cacheable response, see `definitions.LOOKUP_RESULTS`."""
        self.add(definitions.CACHE_LOOKUPS, 1, result)

    def record_refresh(self, attempt: Attempt) -> None:
        """Count a refresh that ended, and its phases if it succeeded."""
        if not isinstance(attempt, RefreshReport):
            self.add(definitions.REFRESHES, 1, attempt.trigger, attempt.code)
            return
        self.add(definitions.REFRESHES, 1, attempt.trigger, definitions.SUCCESS)
        for name, milliseconds in asdict(attempt.timings).items():
            if milliseconds is not None:
                phase = name.removesuffix("_ms")
                self._observe(definitions.REFRESH_PHASE_DURATION, milliseconds / 1000, phase)

    def record_fetch(self, provider: str, outcome: FetchOutcome, seconds: float) -> None:
        """Count the use of a provider."""
        self.add(definitions.PROVIDER_ANSWERS, 1, provider, outcome)
        if outcome is not FetchOutcome.CACHED:
            self._observe(definitions.PROVIDER_DURATION, seconds, provider)

    def _observe(self, family: MetricFamily, seconds: float, *labels: str) -> None:
        start = self._offsets[family][labels]
        self._row[start + bisect_left(family.buckets, seconds)] += 1
        self._row[start + len(family.buckets) + 1] += seconds
