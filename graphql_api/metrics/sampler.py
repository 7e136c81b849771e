"""Samples gauges once a second: data, database pool, process."""

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from prometheus_client import ProcessCollector

from graphql_api.metrics import definitions
from graphql_api.metrics.definitions import MetricFamily, MetricType
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.refresh.service import RefreshService

_SAMPLING_INTERVAL = 1.0
"""Seconds. Gauges of workers other than the one scraped may be this stale."""
_PROCESS_COLLECTOR = ProcessCollector(registry=None)
_FAMILIES_BY_NAME = {family.name: family for family in definitions.FAMILIES}


@dataclass(slots=True)
class Sampler:
    """Records the gauges of this process that no event changes."""

    metrics: MetricsRecorder
    refresh_service: RefreshService
    stale_after: timedelta
    _last_values: dict[MetricFamily, float] = field(default_factory=dict, init=False)
    """Last value of each monotonic counter. Only the increase is added."""

    def sample(self) -> None:
        """Record every gauge once."""
        self.metrics.heartbeat()
        for family, value in self._collect():
            if family.type is MetricType.COUNTER:
                self.metrics.add(family, value - self._last_values.get(family, 0))
                self._last_values[family] = value
            else:
                self.metrics.set(family, value)

    async def run_forever(self) -> None:
        """Record every gauge once a second, until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(_SAMPLING_INTERVAL)

    def _collect(self) -> Iterator[tuple[MetricFamily, float]]:
        service, catalog = self.refresh_service, self.refresh_service.catalog
        now, snapshot = service.clock(), catalog.snapshot
        refreshed_at = snapshot.last_refreshed_at
        age = math.nan if refreshed_at is None else (now - refreshed_at).total_seconds()
        yield definitions.SNAPSHOT_AGE, age
        yield definitions.SNAPSHOT_STALE, snapshot.is_stale(now=now, stale_after=self.stale_after)
        yield definitions.SNAPSHOT_REVISION, snapshot.version.revision
        yield definitions.SNAPSHOT_COUNTRIES, len(snapshot.rows)
        yield definitions.DATABASE_REACHABLE, catalog.is_database_available
        yield definitions.REFRESH_CALLERS, service.waiting_callers
        pool_stats = service.database.pool_stats
        yield definitions.POOL_IN_USE, pool_stats.in_use
        yield definitions.POOL_SIZE, pool_stats.size
        yield definitions.POOL_OVERFLOW, pool_stats.overflow
        yield definitions.POOL_WAITS, pool_stats.waits
        for metric in _PROCESS_COLLECTOR.collect():
            for sample in metric.samples:
                if sample.name in _FAMILIES_BY_NAME:
                    yield _FAMILIES_BY_NAME[sample.name], sample.value
