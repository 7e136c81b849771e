"""Samples gauges once a second: data, database pool, process."""

import asyncio
import math
from collections.abc import Iterator
from datetime import timedelta

from prometheus_client import ProcessCollector

from graphql_api.metrics import definitions
from graphql_api.metrics.definitions import MetricFamily, MetricType
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.refresh.service import RefreshService

_SAMPLING_INTERVAL = 1.0
"""Seconds. Gauges of workers other than the one scraped may be this stale."""
_FAMILIES_BY_NAME = {family.name: family for family in definitions.FAMILIES}


class Sampler:
    """Records the gauges of this process that no event changes."""

    def __init__(
        self, metrics: MetricsRecorder, refresh_service: RefreshService, *, stale_after: timedelta
    ) -> None:
        """Sample the service, its catalog and its database."""
        self._metrics = metrics
        self._refresh_service = refresh_service
        self._stale_after = stale_after
        self._process_collector = ProcessCollector(registry=None)
        self._last_values: dict[MetricFamily, float] = {}
        """Last value of each monotonic counter. Only the increase is added."""

    def sample(self) -> None:
        """Record every gauge once."""
        self._metrics.heartbeat()
        for family, value in self._collect():
            if family.type is MetricType.COUNTER:
                self._metrics.add(family, value - self._last_values.get(family, 0))
                self._last_values[family] = value
            else:
                self._metrics.set(family, value)

    async def run_forever(self) -> None:
        """Record every gauge once a second, until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(_SAMPLING_INTERVAL)

    def _collect(self) -> Iterator[tuple[MetricFamily, float]]:
        service, catalog = self._refresh_service, self._refresh_service.catalog
        now, snapshot = service.clock(), catalog.snapshot
        refreshed_at = snapshot.last_refreshed_at
        age = math.nan if refreshed_at is None else (now - refreshed_at).total_seconds()
        yield definitions.SNAPSHOT_AGE, age
        yield definitions.SNAPSHOT_STALE, snapshot.is_stale(now=now, stale_after=self._stale_after)
        yield definitions.SNAPSHOT_REVISION, snapshot.version.revision
        yield definitions.SNAPSHOT_COUNTRIES, len(snapshot.rows)
        yield definitions.DATABASE_REACHABLE, catalog.is_database_available
        yield definitions.REFRESH_CALLERS, service.waiting_callers
        pool_stats = service.database.pool_stats
        yield definitions.POOL_IN_USE, pool_stats.in_use
        yield definitions.POOL_SIZE, pool_stats.size
        yield definitions.POOL_OVERFLOW, pool_stats.overflow
        yield definitions.POOL_WAITS, pool_stats.waits
        for metric in self._process_collector.collect():
            for sample in metric.samples:
                if sample.name in _FAMILIES_BY_NAME:
                    yield _FAMILIES_BY_NAME[sample.name], sample.value
