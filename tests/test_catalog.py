"""The catalog: it follows the database, changes it or nothing, and serves on when it is gone."""

import asyncio
import gc
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from graphql_api.catalog import Catalog, Pictures
from graphql_api.domain.country import Country, Identity
from graphql_api.domain.report import Attempt
from graphql_api.domain.snapshot import Snapshot, Version
from graphql_api.errors import CountryNotFound, DatabaseUnavailable
from graphql_api.picture import draw
from graphql_api.storage import countries, refreshes
from graphql_api.storage.engine import Database
from graphql_api.storage.migrations import migrate
from tests.databases import connections_ended, opened, statements
from tests.rows import codes_of, make_country
from tests.servers.mariadb import MariaDB
from tests.servers.relay import Relay
from tests.storage.attempts import make_failure, make_report

FRANCE, TURKEY = make_country("FR"), make_country("TR", alpha3="TUR", name="Türkiye")
REFERENCE = {
    "FR": Identity(
        code="FR",
        alpha3="FRA",
        name="France",
        region="Europe",
        subregion="Western Europe",
        flag_url="https://flagcdn.com/fr.svg",
        aliases=("Gaul",),
    )
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database is."""
    return tmp_path / "countries.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """Lend the database of `catalog`, migrated."""
    async with opened(f"sqlite:///{path}") as database:
        await migrate(database)
        yield database
    await connections_ended()


@pytest.fixture
def catalog(database: Database) -> Catalog:
    """Return the catalog under test."""
    return Catalog(database, REFERENCE)


@pytest.fixture
async def replica(catalog: Catalog, path: Path) -> AsyncIterator[Catalog]:
    """Lend what another process has: a catalog of the same database, with its own connections."""
    async with opened(f"sqlite:///{path}") as database:
        yield Catalog(database, catalog.reference)


async def store(catalog: Catalog, *rows: Country) -> Snapshot:
    """Store and publish rows as a refresh does."""
    snapshot = Snapshot.of(rows, REFERENCE)
    async with catalog.writing:
        await catalog._database.run(lambda connection: countries.upsert(connection, rows))
        catalog.snapshot = snapshot
    return snapshot


async def record(database: Database, attempt: Attempt) -> None:
    """Write an attempt down as a refresh does."""
    async with database.transaction() as connection:
        await refreshes.append(connection, attempt)


async def loaded(database: Database) -> list[Country]:
    """Return the rows of the database, in order of code."""
    async with database.connect() as connection:
        return sorted(await countries.load(connection), key=lambda row: row.code)


async def until(true: Callable[[], bool]) -> None:
    """Wait until something has come true."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.005)


def test_beginning(catalog: Catalog) -> None:
    """Before anything is loaded there is an empty snapshot, no history, and no complaint."""
    assert catalog.snapshot == Snapshot.of((), REFERENCE)
    assert (catalog.history, catalog.last_refresh, catalog.last_failure) == ((), None, None)
    assert catalog.database_answers is True


async def test_store_publishes_what_a_reload_gives(catalog: Catalog, replica: Catalog) -> None:
    """The stored snapshot is served at once, and equals what another process loads."""
    await store(catalog, FRANCE, TURKEY)
    await replica.sync()
    assert replica.snapshot == catalog.snapshot
    assert replica.snapshot.by_name["gaul"] == FRANCE


async def test_late_store(catalog: Catalog, replica: Catalog, database: Database) -> None:
    """What a refresh writes that lost its lease is refused, and not published."""
    await store(replica, make_country("FR", revision=5))
    with pytest.raises(countries.Overtaken):
        await store(catalog, make_country("FR", revision=4, name="late"))
    assert await loaded(database) == [make_country("FR", revision=5)]
    assert codes_of(catalog.snapshot.rows) == []
    await catalog.sync()
    assert catalog.snapshot.rows == (make_country("FR", revision=5),)


async def test_store_on_a_database_that_is_gone(
    catalog: Catalog, database: Database, path: Path
) -> None:
    """A refresh that cannot be written is not published."""
    await store(catalog, FRANCE)
    before = catalog.snapshot
    await take_away(database, path)
    with pytest.raises(DatabaseUnavailable):
        await store(catalog, TURKEY)
    assert catalog.snapshot is before


async def test_sync_follows_rows(catalog: Catalog, replica: Catalog) -> None:
    """What another process stored or deleted is served after sync, and not before."""
    await store(catalog, FRANCE, TURKEY)
    assert replica.snapshot.version == Version(0, 0)
    await replica.sync()
    assert replica.snapshot.rows == (FRANCE, TURKEY)
    await catalog.delete(FRANCE)
    assert replica.snapshot.version == Version(1, 2)
    await replica.sync()
    assert replica.snapshot == Snapshot.of([TURKEY], REFERENCE)


async def test_sync_follows_history(replica: Catalog, database: Database) -> None:
    """What another process recorded is in the history after sync, newest first."""
    report, failure, newest = make_report("1"), make_failure("2"), make_report("3")
    await record(database, report)
    await record(database, failure)
    await replica.sync()
    assert list(replica.history) == [failure, report]
    await record(database, newest)
    await replica.sync()
    assert list(replica.history) == [newest, failure, report]
    assert (replica.last_refresh, replica.last_failure) == (newest, failure)
    assert replica.snapshot.version == Version(0, 0)


async def test_sync_costs_one_statement(catalog: Catalog, database: Database) -> None:
    """When nothing has changed, sync is one statement and keeps the very snapshot."""
    await store(catalog, FRANCE)
    await record(database, make_report("1"))
    await catalog.sync()
    before, seen = catalog.snapshot, statements(database)
    await catalog.sync()
    assert [statement.split()[0] for statement in seen] == ["SELECT"]
    assert catalog.snapshot is before


async def test_sync_beside_a_writer(
    catalog: Catalog, replica: Catalog, database: Database, path: Path
) -> None:
    """What was read before this process changed the data is not published over the change."""
    await store(replica, FRANCE)
    newer = Snapshot.of([make_country("FR", revision=2)], REFERENCE)

    def overtake(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "alpha3" in statement:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("UPDATE countries SET revision = 2")
            catalog.snapshot = newer

    event.listen(database.engine.sync_engine, "after_cursor_execute", overtake)
    await catalog.sync()
    assert catalog.snapshot is newer


async def test_delete(catalog: Catalog, database: Database) -> None:
    """A deleted country is gone from the database and the snapshot, whose version has changed."""
    await store(catalog, FRANCE, TURKEY)
    await catalog.delete(FRANCE)
    assert await loaded(database) == [TURKEY]
    assert catalog.snapshot == Snapshot.of([TURKEY], REFERENCE)
    assert catalog.snapshot.version == Version(1, 1)


async def test_delete_what_somebody_else_deleted(catalog: Catalog, replica: Catalog) -> None:
    """The second of two processes that delete a country is told, and sees it gone."""
    await store(catalog, FRANCE, TURKEY)
    await replica.sync()
    await replica.delete(TURKEY)
    with pytest.raises(CountryNotFound) as caught:
        await catalog.delete(TURKEY)
    assert str(caught.value) == "Türkiye was deleted by somebody else just now."
    assert catalog.snapshot.rows == (FRANCE,)


async def test_delete_twice_at_once(catalog: Catalog) -> None:
    """Of two deletions of a country at once, one deletes and the other is told."""
    await store(catalog, FRANCE, TURKEY)
    deletions = (catalog.delete(FRANCE), catalog.delete(FRANCE))
    results = await asyncio.gather(*deletions, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), CountryNotFound]
    assert catalog.snapshot.rows == (TURKEY,)


async def test_delete_from_a_database_that_is_gone(
    catalog: Catalog, database: Database, path: Path
) -> None:
    """A deletion that the database did not do does not show."""
    await store(catalog, FRANCE)
    before = catalog.snapshot
    await take_away(database, path)
    with pytest.raises(DatabaseUnavailable):
        await catalog.delete(FRANCE)
    assert catalog.snapshot is before
    await bring_back(path)
    await catalog.sync()
    assert catalog.snapshot is before


async def take_away(database: Database, path: Path) -> None:
    """Put a folder in the place of the database's file."""
    await database.dispose()
    await asyncio.to_thread(path.rename, path.with_suffix(".away"))
    await asyncio.to_thread(path.mkdir)


async def bring_back(path: Path) -> None:
    """Put the file back."""
    await asyncio.to_thread(path.rmdir)
    await asyncio.to_thread(path.with_suffix(".away").rename, path)


async def test_reads_go_on(
    catalog: Catalog, replica: Catalog, database: Database, path: Path
) -> None:
    """While the database is gone what was loaded is served, and afterwards it is followed again."""
    await store(catalog, FRANCE)
    await record(database, make_report("1"))
    await catalog.sync()
    before, history = catalog.snapshot, catalog.history
    await take_away(database, path)
    with pytest.raises(DatabaseUnavailable):
        await catalog.sync()
    assert (catalog.snapshot, catalog.history) == (before, history)
    assert catalog.database_answers is False
    await bring_back(path)
    await replica.sync()
    await store(replica, TURKEY)
    await catalog.sync()
    assert catalog.database_answers is True
    assert catalog.snapshot.rows == (FRANCE, TURKEY)


async def test_garbage(catalog: Catalog, database: Database, path: Path) -> None:
    """A file that has become something else is as if the database were gone."""
    await store(catalog, FRANCE)
    before = catalog.snapshot
    await database.dispose()
    await asyncio.to_thread(path.write_bytes, b"garbage" * 1000)
    with pytest.raises(DatabaseUnavailable):
        await catalog.sync()
    assert (catalog.snapshot, catalog.database_answers) == (before, False)


async def test_poll(mariadb: MariaDB, caplog: pytest.LogCaptureFixture) -> None:
    """Polling serves what others wrote, and logs once each that the database went and is back."""
    caplog.set_level(logging.INFO, logger="graphql_api")
    name = mariadb.create_database()
    async with opened(mariadb.url(name)) as near:
        await migrate(near)
        replica = Catalog(near, REFERENCE)
        with Relay(mariadb.port) as relay:
            async with opened(mariadb.url(name, port=relay.port)) as far:
                catalog = Catalog(far, REFERENCE)
                polling = asyncio.create_task(catalog.poll(0.005))
                await store(replica, FRANCE)
                await until(lambda: catalog.snapshot.version == Version(1, 1))
                await asyncio.to_thread(relay.refuse)
                await asyncio.to_thread(relay.cut)
                await until(lambda: not catalog.database_answers)
                await asyncio.sleep(0.1)
                assert catalog.snapshot.rows == (FRANCE,)
                await store(replica, make_country("FR", revision=2), TURKEY)
                await asyncio.to_thread(relay.accept)
                await until(lambda: catalog.database_answers)
                await until(lambda: catalog.snapshot.version == Version(2, 2))
                polling.cancel()
                await asyncio.wait([polling])
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "The database does not answer; serving what was loaded before."),
        ("INFO", "The database answers again."),
    ]


async def test_poll_survives(
    catalog: Catalog, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Polling goes on after a row that cannot be understood, and says so."""
    async with database.connect() as connection:
        await countries.upsert(connection, [FRANCE])
        await connection.exec_driver_sql("UPDATE countries SET last_refreshed_at = 'never'")
    polling = asyncio.create_task(catalog.poll(0.005))
    await until(lambda: bool(caplog.messages))
    async with catalog.writing, database.connect() as connection:
        await countries.upsert(connection, [FRANCE])
    await until(lambda: catalog.snapshot.rows == (FRANCE,))
    polling.cancel()
    await asyncio.wait([polling])
    assert set(caplog.messages) == {"What the database holds cannot be read; trying again."}


async def test_remember_and_record(catalog: Catalog, database: Database) -> None:
    """An attempt shows at once, and once only when the database has it too."""
    first, second = make_report("1"), make_failure("2")
    catalog.remember(first)
    assert list(catalog.history) == [first]
    await record(database, first)
    await catalog.sync()
    assert list(catalog.history) == [first]
    catalog.remember(second)
    assert list(catalog.history) == [second, first]


async def test_history_goes_forward(catalog: Catalog, replica: Catalog, database: Database) -> None:
    """What the database gets late stays below the attempts that it is still to get."""
    oldest, lost, newer, newest = (make_failure(name) for name in ("1", "2", "3", "4"))
    for attempt in (oldest, lost, newer, newest):
        catalog.remember(attempt)
    for attempt in (oldest, newer):
        await record(database, attempt)
        await catalog.sync()
        assert list(catalog.history) == [newest, newer, lost, oldest]
    elsewhere = make_report("5")
    await record(database, newest)
    await record(database, elsewhere)
    await catalog.sync()
    assert list(catalog.history) == [elsewhere, newest, newer, lost, oldest]
    await replica.sync()
    assert list(replica.history) == [elsewhere, newest, newer, oldest]


def test_history_is_bounded(catalog: Catalog) -> None:
    """The history in memory is as long as the one in the database, and drops the oldest."""
    attempts = [make_failure(str(number)) for number in range(refreshes.KEPT + 2)]
    for attempt in attempts:
        catalog.remember(attempt)
    assert catalog.history == tuple(reversed(attempts[2:]))


def snapshot_of(total: int, gdp: float = 1e9) -> Snapshot:
    """Return a snapshot whose picture is another one for every number."""
    rows = [make_country(f"{number:02}", estimated_gdp=gdp) for number in range(total)]
    return Snapshot.of(rows, {})


UNDRAWABLE = snapshot_of(1, float("nan"))
"""No estimate is stored that is not a finite number; this one shows what a failure does."""


async def test_picture_is_drawn_once() -> None:
    """All who ask for a picture, at once or later, get the one that was drawn first."""
    pictures = Pictures()
    first, *others = await asyncio.gather(*(pictures.of(snapshot_of(1)) for _ in range(5)))
    others.append(await pictures.of(snapshot_of(1)))
    assert first == draw(snapshot_of(1).summary())
    assert [picture is first for picture in others] == [True] * 5


async def test_four_pictures_are_kept() -> None:
    """The fifth picture takes the place of the first one, and of no other."""
    pictures = Pictures()
    drawn = [await pictures.of(snapshot_of(total)) for total in range(5)]
    assert len(set(drawn)) == 5
    kept = [await pictures.of(snapshot_of(total)) is drawn[total] for total in (1, 2, 3, 4, 0)]
    assert kept == [True, True, True, True, False]


async def test_cancelled_asker() -> None:
    """An asker who goes away stops neither the drawing nor another asker."""
    pictures = Pictures()
    leaving = asyncio.create_task(pictures.of(snapshot_of(1)))
    staying = asyncio.create_task(pictures.of(snapshot_of(1)))
    await asyncio.sleep(0)
    leaving.cancel()
    picture = await staying
    assert leaving.cancelled()
    assert await pictures.of(snapshot_of(1)) is picture


async def test_failed_picture_is_drawn_again() -> None:
    """A drawing that failed is told to all who waited for it, and tried again by the next one."""
    pictures = Pictures()
    askers = (pictures.of(UNDRAWABLE), pictures.of(UNDRAWABLE))
    first, second = await asyncio.gather(*askers, return_exceptions=True)
    assert (type(first), first is second) == (ValueError, True)
    with pytest.raises(ValueError, match="cannot convert float NaN to integer") as caught:
        await pictures.of(UNDRAWABLE)
    assert caught.value is not first


async def test_failure_that_nobody_waits_for() -> None:
    """When all askers have gone, a failed drawing does not complain from the grave."""
    complaints: list[dict[str, Any]] = []
    loop, begin, pictures = asyncio.get_running_loop(), threading.Event(), Pictures()
    loop.set_exception_handler(lambda _, about: complaints.append(about))
    loop.set_default_executor(ThreadPoolExecutor(1))
    before_it = loop.run_in_executor(None, begin.wait)
    asker = asyncio.create_task(pictures.of(UNDRAWABLE))
    await asyncio.sleep(0)
    asker.cancel()
    await asyncio.wait([asker])
    begin.set()
    assert await before_it is True
    await asyncio.wait(pictures._drawn.values())
    assert asker.cancelled()
    del asker, pictures
    gc.collect()
    assert complaints == []
