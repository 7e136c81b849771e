"""Looking, every second, at what is not counted but is as it is: data, database, process."""

import asyncio
import math
from collections.abc import Iterator, Mapping
from datetime import timedelta

from prometheus_client import ProcessCollector

from graphql_api.metrics import families
from graphql_api.metrics.families import Family
from graphql_api.metrics.meter import Meter
from graphql_api.refresh.service import RefreshService

_INTERVAL = 1.0
"""Seconds: what the workers tell that are not asked may be as old."""


class Sampler:
    """Writes what it sees of this process into its meter."""

    def __init__(self, meter: Meter, refreshes: RefreshService, *, stale_after: timedelta) -> None:
        """Look at the refreshes, and at what they work on."""
        self._meter = meter
        self._refreshes = refreshes
        self._stale_after = stale_after
        self._process = ProcessCollector(registry=None)
        self._seen: dict[str, float] = {}
        """What rises only, as it was last seen: what has come since is added."""

    def sample(self) -> None:
        """Look once."""
        self._meter.live()
        for family, value in (*self._data(), *self._pool(), *self._process_now()):
            self._write(family, value)

    async def keep(self) -> None:
        """Look for ever."""
        while True:
            self.sample()
            await asyncio.sleep(_INTERVAL)

    def _write(self, family: Family, value: float) -> None:
        if family.type is families.Type.COUNTER:
            self._meter.add(family, value - self._seen.get(family.name, 0))
            self._seen[family.name] = value
        else:
            self._meter.set(family, value)

    def _data(self) -> Iterator[tuple[Family, float]]:
        catalog = self._refreshes.catalog
        now, snapshot = self._refreshes.clock(), catalog.snapshot
        refreshed = snapshot.last_refreshed_at
        age = math.nan if refreshed is None else (now - refreshed).total_seconds()
        yield families.SNAPSHOT_AGE, age
        yield families.SNAPSHOT_STALE, snapshot.is_stale(now=now, stale_after=self._stale_after)
        yield families.SNAPSHOT_REVISION, snapshot.version.revision
        yield families.SNAPSHOT_COUNTRIES, len(snapshot.rows)
        yield families.DATABASE_REACHABLE, catalog.is_database_available
        yield families.REFRESH_CALLERS, self._refreshes.waiting_callers

    def _pool(self) -> Iterator[tuple[Family, float]]:
        pool = self._refreshes.database.pool_stats
        yield families.POOL_IN_USE, pool.in_use
        yield families.POOL_SIZE, pool.size
        yield families.POOL_OVERFLOW, pool.overflow
        yield families.POOL_WAITS, pool.waits

    def _process_now(self) -> Iterator[tuple[Family, float]]:
        for metric in self._process.collect():
            for sample in metric.samples:
                if sample.name in _PROCESS:
                    yield _PROCESS[sample.name], sample.value


_PROCESS: Mapping[str, Family] = {
    family.name: family
    for family in (
        families.CPU,
        families.MEMORY,
        families.OPEN_FILES,
        families.MOST_FILES,
        families.STARTED,
    )
}
