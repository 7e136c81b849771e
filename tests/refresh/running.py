"""What the tests of a refresh share: a service over a real file, and bodies with changes."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country
from graphql_api.domain.report import Attempt
from graphql_api.domain.snapshot import Snapshot
from graphql_api.refresh.progress import Phase, Progress
from graphql_api.refresh.run import Sources
from graphql_api.refresh.service import Bounds, RefreshService
from graphql_api.sources.reference import load_reference
from graphql_api.sources.retries import Retries
from graphql_api.sources.web import Web
from graphql_api.storage.countries import load
from graphql_api.storage.engine import Database
from graphql_api.storage.migrations import migrate
from tests.upstream.players import choose_countries, choose_rates
from tests.upstream.server import COUNTRIES, RATES, Answer, Upstream

REFERENCE = load_reference()
START = datetime(2026, 11, 24, 3, 0, 0, 123_456, tzinfo=UTC)
"""What the clock says when it is first asked."""
LONG = 20.0
"""Seconds that no test here waits."""
DOWN = Answer(status=500)
UNBOUNDED = Bounds()
AT_ONCE = Retries(seconds=0)
"""Retries without a pause."""


def at(second: int) -> datetime:
    """Return what the clock says when it was asked so often before: a second more each time."""
    return START + timedelta(seconds=second)


def asking(
    upstream: Upstream,
    *,
    bundled: bool = False,
    seconds_each: float = LONG,
    seconds_together: float = LONG,
) -> Sources:
    """Return the sources that `upstream` plays, with or without the bundled data after them."""
    last = [("bundled", None)] if bundled else []
    return Sources(
        countries=choose_countries(("geonames", upstream.countries_url), *last),
        rates=choose_rates(("er-api", upstream.rates_url), *last),
        seconds_each=seconds_each,
        seconds_together=seconds_together,
        retries=AT_ONCE,
    )


@dataclass(frozen=True)
class Running:
    """A process's worth of the project: its database, its catalog and its refreshes."""

    path: Path
    database: Database
    catalog: Catalog
    service: RefreshService

    async def rows(self) -> list[Country]:
        """Return the rows that the database holds, in order of code."""
        async with self.database.connect() as connection:
            return sorted(await load(connection), key=lambda row: row.code)

    async def row(self, code: str) -> Country:
        """Return one row that the database holds."""
        return next(row for row in await self.rows() if row.code == code)

    async def reloaded(self) -> Catalog:
        """Return what another process that starts now would hold."""
        catalog = Catalog(self.database, REFERENCE)
        await catalog.sync()
        return catalog

    async def meddle(self, statement: str) -> None:
        """Do one thing to the database as somebody else would, once nothing more follows."""
        await self.service.close()
        await asyncio.to_thread(execute, self.path, statement)

    async def recorded(self) -> tuple[Attempt, ...]:
        """Return the history that the database holds, once nothing more follows."""
        await self.service.close()
        return (await self.reloaded()).history


@asynccontextmanager
async def running(
    where: Path | str,
    sources: Sources,
    *,
    name: str = "refresh",
    seconds_busy: float = LONG,
    bounds: Bounds = UNBOUNDED,
) -> AsyncIterator[Running]:
    """Start a process's worth over a file or a URL; its refreshes are name-1, name-2, and so on."""
    url = where if isinstance(where, str) else f"sqlite:///{where}"
    database = Database(url, timeout=seconds_busy)
    await migrate(database)
    catalog = Catalog(database, REFERENCE)
    async with Web("tests") as web:
        service = RefreshService(
            database=database,
            catalog=catalog,
            web=web,
            sources=sources,
            bounds=bounds,
            holder=name,
            clock=map(at, count()).__next__,
            new_id=map(f"{name}-{{}}".format, count(1)).__next__,
        )
        try:
            yield Running(Path(where), database, catalog, service)
        finally:
            await service.close()
            await database.dispose()


@dataclass(frozen=True)
class Before:
    """What there was before an action that must change nothing."""

    running: Running
    rows: list[Country]
    snapshot: Snapshot

    @classmethod
    async def of(cls, running: Running) -> "Before":
        """Look now."""
        return cls(running, await running.rows(), running.catalog.snapshot)

    async def is_unchanged(self) -> bool:
        """Tell whether every row is the same, and the snapshot not even replaced."""
        same = self.running.catalog.snapshot is self.snapshot
        return same and await self.running.rows() == self.rows


class Told:
    """A listener that keeps what it is told, and does something at one phase."""

    def __init__(self, at: Phase | None = None, do: Callable[[], object] = lambda: None) -> None:
        """Keep everything; at the phase `at`, do `do`."""
        self.progress: list[Progress] = []
        self._at = at
        self._do = do

    def __call__(self, progress: Progress) -> None:
        """Be told."""
        self.progress.append(progress)
        if progress.phase is self._at:
            self._do()

    @property
    def phases(self) -> list[tuple[Phase, float]]:
        """Return the phases told, with the share done."""
        return [(progress.phase, progress.fraction) for progress in self.progress]


def execute(path: Path, statement: str) -> None:
    """Do one thing to the database at once, as somebody else would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that writers need, as somebody else would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def listing(changes: dict[str, str | None]) -> Answer:
    """Return the countries with these lines, by code, replaced; or left out, for None."""
    lines = [line for line in COUNTRIES.decode().splitlines() if not line.startswith("#")]
    by_code = {line[:2]: line for line in lines} | changes
    return Answer(body="\n".join(line for line in by_code.values() if line is not None).encode())


def line(code: str, old: str, new: str) -> dict[str, str | None]:
    """Return the line of a country with one column changed."""
    before = next(one for one in COUNTRIES.decode().splitlines() if one.startswith(f"{code}\t"))
    assert before.count(f"\t{old}\t") == 1
    return {code: before.replace(f"\t{old}\t", f"\t{new}\t")}


def first(number: int) -> Answer:
    """Return the first so many of the countries that are known, in order of code."""
    return listing(dict.fromkeys([*sorted(REFERENCE)[number:], "AN", "CS"]))


def rating(**changes: float | None) -> Answer:
    """Return the rates with these replaced; or left out, for None."""
    answer = json.loads(RATES)
    rates = {**answer["rates"], **changes}
    kept = {code: rate for code, rate in rates.items() if rate is not None}
    return Answer(body=json.dumps({**answer, "rates": kept}).encode())
