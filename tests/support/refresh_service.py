"""Refresh services over real databases for tests, and provider responses with changes."""

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country
from graphql_api.domain.report import Attempt
from graphql_api.domain.snapshot import Snapshot
from graphql_api.images.cache import SummaryImageCache
from graphql_api.refresh.progress import Phase, Progress
from graphql_api.refresh.service import RefreshLimits, RefreshService
from graphql_api.refresh.sources import SourceConfig
from graphql_api.sources.reference import load_reference
from graphql_api.sources.retry import RetryPolicy
from graphql_api.storage import lease
from graphql_api.storage.countries import load
from graphql_api.storage.database import Database
from graphql_api.storage.migrations import migrate
from tests.support.database import copy_migrated_file
from tests.support.fake_providers.fixtures import (
    select_countries_providers,
    select_rates_providers,
    select_statistics_providers,
)
from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Upstream
from tests.support.http_client import lazy_http_client
from tests.support.wait import wait_until_async

REFERENCE = load_reference()
START = datetime(2026, 11, 24, 3, 0, 0, 123_456, tzinfo=UTC)
"""First time that the clock returns."""
LONG_TIMEOUT = 20.0
"""Timeout in seconds that no test reaches."""
SERVER_ERROR = FakeResponse(status=500)
NO_LIMITS = RefreshLimits()
_COUNTRIES_RESPONSE = FakeResponse(body=COUNTRIES)
IMMEDIATE_RETRIES = RetryPolicy(base_delay=0)
"""Retries without delay."""


def clock_time(second: int) -> datetime:
    """Return the time of the clock's call number `second`, counted from 0: one second per call."""
    return START + timedelta(seconds=second)


def make_source_config(
    upstream: Upstream,
    *,
    bundled: bool = False,
    api_timeout: float = LONG_TIMEOUT,
    refresh_timeout: float = LONG_TIMEOUT,
) -> SourceConfig:
    """Return the sources that `upstream` fakes, optionally with bundled data as a fallback."""
    fallback = [("bundled", None)] if bundled else []
    return SourceConfig(
        countries=select_countries_providers(("geonames", upstream.countries_url), *fallback),
        rates=select_rates_providers(("er-api", upstream.rates_url), *fallback),
        statistics=select_statistics_providers(("world-bank", upstream.statistics_url), *fallback),
        api_timeout=api_timeout,
        refresh_timeout=refresh_timeout,
        retries=IMMEDIATE_RETRIES,
    )


@dataclass(frozen=True)
class ServiceInstance:
    """The parts of a process that refresh: a database, a catalog and a service."""

    path: Path
    database: Database
    catalog: Catalog
    service: RefreshService

    async def load_rows(self) -> list[Country]:
        """Return the stored rows, in order of code."""
        async with self.database.connect() as connection:
            return sorted(await load(connection), key=lambda row: row.code)

    async def load_row(self, code: str) -> Country:
        """Return a stored row by its code."""
        return next(row for row in await self.load_rows() if row.code == code)

    async def reload_catalog(self) -> Catalog:
        """Return the catalog of a process that starts now."""
        catalog = Catalog(self.database, REFERENCE)
        await catalog.sync()
        return catalog

    async def execute_externally(self, statement: str) -> None:
        """Execute SQL in the database file like another program, once the service is idle."""
        await self.service.close()
        await asyncio.to_thread(execute_sql, self.path, statement)

    async def load_history(self) -> tuple[Attempt, ...]:
        """Return the stored history, once the service is idle."""
        await self.service.close()
        return (await self.reload_catalog()).history


@asynccontextmanager
async def running_instance(
    location: Path | str,
    sources: SourceConfig,
    *,
    name: str = "refresh",
    database_timeout: float = LONG_TIMEOUT,
    limits: RefreshLimits = NO_LIMITS,
    **options: Any,  # noqa: ANN401 - what Database takes
) -> AsyncIterator[ServiceInstance]:
    """Run a service over a file or a URL; `name-1` is the id of its first refresh."""
    url = location if isinstance(location, str) else f"sqlite:///{location}"
    if isinstance(location, Path):
        await asyncio.to_thread(copy_migrated_file, location)
    database = Database(url, timeout=database_timeout, **options)
    await migrate(database)
    catalog = Catalog(database, REFERENCE)
    async with lazy_http_client() as http_client:
        service = RefreshService(
            database=database,
            catalog=catalog,
            summary_images=SummaryImageCache(),
            http_client=http_client,
            sources=sources,
            limits=limits,
            holder=name,
            clock=map(clock_time, count()).__next__,
            new_id=map(f"{name}-{{}}".format, count(1)).__next__,
        )
        try:
            yield ServiceInstance(Path(location), database, catalog, service)
        finally:
            await service.close()
            await database.dispose()


@dataclass(frozen=True)
class InitialState:
    """Rows and snapshot before an action that must not change them."""

    instance: ServiceInstance
    rows: list[Country]
    snapshot: Snapshot

    @classmethod
    async def capture(cls, instance: ServiceInstance) -> "InitialState":
        """Capture the current state."""
        return cls(instance, await instance.load_rows(), instance.catalog.snapshot)

    async def is_unchanged(self) -> bool:
        """Return whether every row is the same and the snapshot is the same object."""
        is_same_snapshot = self.instance.catalog.snapshot is self.snapshot
        return is_same_snapshot and await self.instance.load_rows() == self.rows


class ProgressRecorder:
    """Listener that records events, and runs an action at a phase."""

    def __init__(self, phase: Phase | None = None, action: Callable[[], object] = lambda: None) -> None:
        """Record every event; call `action` at `phase`."""
        self.events: list[Progress] = []
        self._phase = phase
        self._action = action

    def __call__(self, progress: Progress) -> None:
        """Record an event."""
        self.events.append(progress)
        if progress.phase is self._phase:
            self._action()

    @property
    def phases(self) -> list[tuple[Phase, float]]:
        """The phase and the fraction of each event."""
        return [(progress.phase, progress.fraction) for progress in self.events]


def execute_sql(path: Path, statement: str) -> None:
    """Execute SQL in the database file like another program."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


@contextmanager
def hold_write_lock(path: Path) -> Iterator[None]:
    """Hold SQLite's write lock like another program."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


async def wait_for_lease(instance: ServiceInstance) -> None:
    """Wait until a process holds the lease."""

    async def is_held() -> bool:
        return await instance.database.run(lease.read) is not None

    await wait_until_async(is_held)


def hold_countries(
    upstream: Upstream, response: FakeResponse = _COUNTRIES_RESPONSE, *, status: int = 200
) -> threading.Event:
    """Hold back the response with the countries until the returned event is set."""
    released = threading.Event()
    upstream.set_responses("countries", replace(response, status=status, hold_until=released.is_set))
    return released


def countries_response(changes: dict[str, str | None]) -> FakeResponse:
    """Return the countries with some lines replaced, by code; None removes a line."""
    lines = [line for line in COUNTRIES.decode().splitlines() if not line.startswith("#")]
    by_code = {line[:2]: line for line in lines} | changes
    return FakeResponse(body="\n".join(line for line in by_code.values() if line is not None).encode())


def change_column(code: str, old: str, new: str) -> dict[str, str | None]:
    """Return the line of a country, by its code, with one column changed."""
    original = next(row for row in COUNTRIES.decode().splitlines() if row.startswith(f"{code}\t"))
    assert original.count(f"\t{old}\t") == 1
    return {code: original.replace(f"\t{old}\t", f"\t{new}\t")}


def first_countries(number: int) -> FakeResponse:
    """Return the first `number` countries of the reference, in order of code."""
    return countries_response(dict.fromkeys([*sorted(REFERENCE)[number:], "AN", "CS"]))


def rates_response(**changes: float | None) -> FakeResponse:
    """Return the rates with some replaced; None removes a rate."""
    table = json.loads(RATES)
    rates = {**table["rates"], **changes}
    remaining = {code: rate for code, rate in rates.items() if rate is not None}
    return FakeResponse(body=json.dumps({**table, "rates": remaining}).encode())
