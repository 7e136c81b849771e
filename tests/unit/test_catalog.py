"""The catalog: it follows the database, changes all or nothing, and serves without it."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country, CountryIdentity
from graphql_api.domain.history import MAX_STORED_REFRESHES
from graphql_api.domain.report import Attempt
from graphql_api.domain.snapshot import DataVersion, Snapshot
from graphql_api.errors import CountryNotFound, DatabaseUnavailable
from graphql_api.storage import countries, lease, refreshes
from graphql_api.storage.database import Database, DatabaseConnection
from graphql_api.storage.migrations import migrate
from tests.support.attempts import STARTED_AT, make_failure, make_report
from tests.support.database import begin_transaction, migrated_sqlite, open_database, record_statements
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.factories import country_codes, make_country
from tests.support.tcp_proxy import TCPProxy
from tests.support.wait import wait_until_async

FRANCE, TURKEY = make_country("FR"), make_country("TR", alpha3="TUR", name="Türkiye")
REFERENCE = {
    "FR": CountryIdentity(
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
    """Return the path of the database."""
    return tmp_path / "countries.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """Lend the database of `catalog`, migrated."""
    async with migrated_sqlite(path) as database:
        yield database


@pytest.fixture
def catalog(database: Database) -> Catalog:
    """Return the catalog under test."""
    return Catalog(database, REFERENCE)


@pytest.fixture
async def replica(catalog: Catalog, path: Path) -> AsyncIterator[Catalog]:
    """Lend the catalog of another process: the same database through connections of its own."""
    async with open_database(f"sqlite:///{path}") as database:
        yield Catalog(database, catalog.reference)


async def store_rows(catalog: Catalog, *rows: Country) -> Snapshot:
    """Store and publish rows as a refresh does."""
    snapshot = Snapshot.from_rows(rows, REFERENCE)

    async def store(connection: DatabaseConnection) -> None:
        await lease.acquire(connection, holder="me", refresh_id="1", ttl=0)
        await countries.upsert(connection, rows)

    async with catalog.write_lock:
        await catalog._database.run(store)
        catalog.snapshot = snapshot
    return snapshot


def minute(number: int) -> datetime:
    """Return a time a number of minutes after the first attempt."""
    return STARTED_AT + timedelta(minutes=number)


async def record_attempt(database: Database, attempt: Attempt) -> None:
    """Store an attempt as a refresh does."""
    async with begin_transaction(database) as connection:
        await refreshes.append(connection, attempt)


async def load_rows(database: Database) -> list[Country]:
    """Return the stored rows, in order of code."""
    async with database.connect() as connection:
        return sorted(await countries.load(connection), key=lambda row: row.code)


def test_new(catalog: Catalog) -> None:
    """A new catalog has an empty snapshot and no history."""
    assert catalog.snapshot == Snapshot.from_rows((), REFERENCE)
    assert (catalog.history, catalog.last_refresh, catalog.last_failure) == ((), None, None)
    assert catalog.is_database_available is True


async def test_published_equals_reloaded(catalog: Catalog, replica: Catalog) -> None:
    """The published snapshot equals the one that another process loads."""
    await store_rows(catalog, FRANCE, TURKEY)
    await replica.sync()
    assert replica.snapshot == catalog.snapshot
    assert replica.snapshot.by_name["gaul"] == FRANCE


async def test_prepare(catalog: Catalog, replica: Catalog) -> None:
    """Each snapshot is prepared for queries before it is served."""
    await store_rows(catalog, FRANCE, TURKEY)
    prepared: list[tuple[Snapshot, Snapshot]] = []
    replica.prepare = lambda snapshot: prepared.append((snapshot, replica.snapshot))
    empty = replica.snapshot
    await replica.sync()
    stored = replica.snapshot
    await replica.delete(FRANCE)
    assert prepared == [(stored, empty), (replica.snapshot, stored)]


async def test_stale_write(catalog: Catalog, replica: Catalog, database: Database) -> None:
    """A stale write is rejected and not published."""
    await store_rows(replica, make_country("FR", revision=5))
    with pytest.raises(countries.StaleWriteError):
        await store_rows(catalog, make_country("FR", revision=4, name="late"))
    assert await load_rows(database) == [make_country("FR", revision=5)]
    assert country_codes(catalog.snapshot.rows) == []
    await catalog.sync()
    assert catalog.snapshot.rows == (make_country("FR", revision=5),)


async def test_store_without_database(catalog: Catalog, database: Database, path: Path) -> None:
    """Rows that cannot be written are not published."""
    await store_rows(catalog, FRANCE)
    snapshot_before = catalog.snapshot
    await replace_with_directory(database, path)
    with pytest.raises(DatabaseUnavailable):
        await store_rows(catalog, TURKEY)
    assert catalog.snapshot is snapshot_before


async def test_sync_follows_rows(catalog: Catalog, replica: Catalog) -> None:
    """Rows that another process stored or deleted are served after a sync, and not before."""
    await store_rows(catalog, FRANCE, TURKEY)
    assert replica.snapshot.version == DataVersion(0, 0)
    await replica.sync()
    assert replica.snapshot.rows == (FRANCE, TURKEY)
    await catalog.delete(FRANCE)
    assert replica.snapshot.version == DataVersion(1, 2)
    await replica.sync()
    assert replica.snapshot == Snapshot.from_rows([replace(TURKEY, revision=2)], REFERENCE)


async def test_sync_follows_history(replica: Catalog, database: Database) -> None:
    """Attempts that another process stored are in the history after a sync, newest first."""
    report, failure = make_report("1", finished_at=minute(1)), make_failure("2", at=minute(2))
    newest = make_report("3", finished_at=minute(3))
    await record_attempt(database, report)
    await record_attempt(database, failure)
    await replica.sync()
    assert list(replica.history) == [failure, report]
    await record_attempt(database, newest)
    await replica.sync()
    assert list(replica.history) == [newest, failure, report]
    assert (replica.last_refresh, replica.last_failure) == (newest, failure)
    assert replica.snapshot.version == DataVersion(0, 0)


async def test_sync_with_a_new_database(catalog: Catalog, replica: Catalog, database: Database) -> None:
    """A database that was created again gets the served rows, and no process serves none."""
    await store_rows(catalog, FRANCE, TURKEY)
    await record_attempt(database, make_report("1"))
    for process in (catalog, replica):
        await process.sync()
    async with database.connect() as connection:
        await connection.exec_driver_sql("DELETE FROM countries")
        await connection.exec_driver_sql("DELETE FROM refreshes")
        await connection.exec_driver_sql("UPDATE leases SET revision = 0")
    for process in (replica, catalog):
        before = process.snapshot
        await process.sync()
        assert process.snapshot is before
        assert (process.history, await load_rows(database)) == ((), [FRANCE, TURKEY])


@pytest.mark.parametrize("has_history", [False, True])
async def test_sync_with_deleted_rows(catalog: Catalog, database: Database, *, has_history: bool) -> None:
    """Rows that were deleted on purpose are served no more, and not written again."""
    await store_rows(catalog, FRANCE)
    if has_history:
        await record_attempt(database, make_report("1"))
    await catalog.sync()
    async with database.connect() as connection:
        await connection.exec_driver_sql("DELETE FROM countries")
    await catalog.sync()
    assert catalog.snapshot.rows == ()
    assert await load_rows(database) == []


async def test_sync_costs_one_statement(catalog: Catalog, database: Database) -> None:
    """Without a change, a sync is one statement and keeps the same snapshot object."""
    await store_rows(catalog, FRANCE)
    await record_attempt(database, make_report("1"))
    await catalog.sync()
    before, executed = catalog.snapshot, record_statements(database)
    await catalog.sync()
    assert [statement.split()[0] for statement in executed] == ["SELECT"]
    assert catalog.snapshot is before


async def test_sync_beside_a_writer(catalog: Catalog, replica: Catalog, database: Database, path: Path) -> None:
    """Rows that were read before this process changed the data do not replace the change."""
    await store_rows(replica, FRANCE)
    newer = Snapshot.from_rows([make_country("FR", revision=2)], REFERENCE)

    def write_concurrently(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "alpha3" in statement:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("UPDATE countries SET revision = 2")
            catalog.snapshot = newer

    event.listen(database.engine.sync_engine, "after_cursor_execute", write_concurrently)
    await catalog.sync()
    assert catalog.snapshot is newer


async def test_delete(catalog: Catalog, database: Database) -> None:
    """A deleted country is gone from the database and the snapshot, whose other rows have a new revision."""
    await store_rows(catalog, FRANCE, TURKEY)
    await catalog.delete(FRANCE)
    assert await load_rows(database) == [replace(TURKEY, revision=2)]
    assert catalog.snapshot == Snapshot.from_rows([replace(TURKEY, revision=2)], REFERENCE)
    assert catalog.snapshot.version == DataVersion(2, 1)


async def test_delete_after_another_process(catalog: Catalog, replica: Catalog) -> None:
    """The second of two processes that delete a country gets an error, and the country is gone."""
    await store_rows(catalog, FRANCE, TURKEY)
    await replica.sync()
    await replica.delete(TURKEY)
    with pytest.raises(CountryNotFound) as exc_info:
        await catalog.delete(TURKEY)
    assert str(exc_info.value) == "Türkiye has just been deleted by another client."
    assert catalog.snapshot == replica.snapshot
    assert catalog.snapshot.rows == (replace(FRANCE, revision=2),)


async def test_delete_twice_at_once(catalog: Catalog) -> None:
    """Of two deletions of a country at once, one deletes it and the other fails."""
    await store_rows(catalog, FRANCE, TURKEY)
    deletions = (catalog.delete(FRANCE), catalog.delete(FRANCE))
    results = await asyncio.gather(*deletions, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), CountryNotFound]
    assert catalog.snapshot.rows == (replace(TURKEY, revision=2),)


async def test_delete_without_database(catalog: Catalog, database: Database, path: Path) -> None:
    """A deletion that the database did not execute does not change the snapshot."""
    await store_rows(catalog, FRANCE)
    snapshot_before = catalog.snapshot
    await replace_with_directory(database, path)
    with pytest.raises(DatabaseUnavailable):
        await catalog.delete(FRANCE)
    assert catalog.snapshot is snapshot_before
    await restore_file(path)
    await catalog.sync()
    assert catalog.snapshot is snapshot_before


async def replace_with_directory(database: Database, path: Path) -> None:
    """Replace the database file by a folder."""
    await database.dispose()
    await asyncio.to_thread(path.rename, path.with_suffix(".away"))
    await asyncio.to_thread(path.mkdir)


async def restore_file(path: Path) -> None:
    """Restore the database file."""
    await asyncio.to_thread(path.rmdir)
    await asyncio.to_thread(path.with_suffix(".away").rename, path)


async def test_database_outage(catalog: Catalog, replica: Catalog, database: Database, path: Path) -> None:
    """Without the database the loaded data is served; afterwards the catalog follows it again."""
    await store_rows(catalog, FRANCE)
    await record_attempt(database, make_report("1"))
    await catalog.sync()
    before, history = catalog.snapshot, catalog.history
    await replace_with_directory(database, path)
    with pytest.raises(DatabaseUnavailable):
        await catalog.sync()
    assert (catalog.snapshot, catalog.history) == (before, history)
    assert catalog.is_database_available is False
    await restore_file(path)
    await replica.sync()
    await store_rows(replica, TURKEY)
    await catalog.sync()
    assert catalog.is_database_available is True
    assert catalog.snapshot.rows == (FRANCE, TURKEY)


async def test_corrupt_file(catalog: Catalog, database: Database, path: Path) -> None:
    """A file that is no database any more counts as unavailable."""
    await store_rows(catalog, FRANCE)
    before = catalog.snapshot
    await database.dispose()
    await asyncio.to_thread(path.write_bytes, b"garbage" * 1000)
    with pytest.raises(DatabaseUnavailable):
        await catalog.sync()
    assert (catalog.snapshot, catalog.is_database_available) == (before, False)


async def test_poll(mysql_family: MySQLFamilyServer, caplog: pytest.LogCaptureFixture) -> None:
    """Polling serves changes of other processes, and logs an outage and its end once each."""
    caplog.set_level(logging.INFO, logger="graphql_api")
    name = mysql_family.create_database()
    async with open_database(mysql_family.url(name)) as direct_database:
        await migrate(direct_database)
        replica = Catalog(direct_database, REFERENCE)
        with TCPProxy(mysql_family.port) as proxy:
            async with open_database(mysql_family.url(name, port=proxy.port)) as proxied_database:
                catalog = Catalog(proxied_database, REFERENCE)
                poll_task = asyncio.create_task(catalog.poll(0.005, catalog.sync))
                await store_rows(replica, FRANCE)
                await wait_until_async(lambda: catalog.snapshot.version == DataVersion(1, 1))
                await asyncio.to_thread(proxy.refuse)
                await asyncio.to_thread(proxy.cut)
                await wait_until_async(lambda: not catalog.is_database_available)
                await asyncio.sleep(0.1)
                assert catalog.snapshot.rows == (FRANCE,)
                await store_rows(replica, make_country("FR", revision=2), TURKEY)
                await asyncio.to_thread(proxy.accept)
                await wait_until_async(lambda: catalog.is_database_available)
                await wait_until_async(lambda: catalog.snapshot.version == DataVersion(2, 2))
                poll_task.cancel()
                await asyncio.wait([poll_task])
    assert [(record.levelname, record.message) for record in caplog.records] == [
        (
            "ERROR",
            (
                f"The database at {proxied_database} failed: Connect call failed ('127.0.0.1', {proxy.port}) (111); "
                "check host and port in DATABASE_URL. Serving the data loaded before."
            ),
        ),
        ("INFO", "The database responds again."),
    ]


async def test_poll_while_the_pool_is_exhausted(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A poll that finds every connection in use does not call the database unavailable; the log has the setting."""
    caplog.set_level(logging.INFO, logger="graphql_api")
    async with migrated_sqlite(path) as database, open_small_database(path, timeout=0.02) as small_database:
        catalog, replica = Catalog(small_database, REFERENCE), Catalog(database, REFERENCE)
        await store_rows(replica, FRANCE)
        poll_task = asyncio.create_task(catalog.poll(0.005, catalog.sync))
        async with small_database.connect():
            await wait_until_async(lambda: small_database.pool_stats.waits >= 3)
            assert catalog.is_database_available is True
        await wait_until_async(lambda: catalog.snapshot.rows == (FRANCE,))
        poll_task.cancel()
        await asyncio.wait([poll_task])
    assert [(record.levelname, record.message) for record in caplog.records] == [
        (
            "WARNING",
            (
                "Changes of other processes are served later: All 1 connections to the database were in use for "
                "0.02 s; nothing was changed. Raise DATABASE_POOL_SIZE or DATABASE_MAX_OVERFLOW."
            ),
        )
    ]


async def test_delete_beside_a_sync(path: Path) -> None:
    """With a pool of one connection, a deletion waits for a sync, and neither fails."""
    async with migrated_sqlite(path) as database, open_small_database(path, timeout=5) as small_database:
        replica, catalog = Catalog(database, REFERENCE), Catalog(small_database, REFERENCE)
        await store_rows(replica, FRANCE, TURKEY)
        await catalog.sync()
        await store_rows(replica, make_country("FR", revision=2), TURKEY)
        await asyncio.gather(catalog.sync(), catalog.delete(FRANCE))
        assert catalog.snapshot.rows == (replace(TURKEY, revision=3),)
        assert await load_rows(database) == [replace(TURKEY, revision=3)]


async def test_deletions_use_one_connection(path: Path) -> None:
    """Deletions at once use one connection at a time, so that others find one."""
    async with migrated_sqlite(path) as database:
        catalog = Catalog(database, REFERENCE)
        await store_rows(catalog, FRANCE, TURKEY)
        async with catalog.write_lock:
            deletions = [asyncio.create_task(catalog.delete(country)) for country in (FRANCE, TURKEY)]
            await wait_until_async(lambda: database.pool_stats.in_use > 0)
            await asyncio.sleep(0.05)
            assert database.pool_stats.in_use == 1
        await asyncio.gather(*deletions)
        assert await load_rows(database) == []


def open_small_database(path: Path, *, timeout: float) -> AbstractAsyncContextManager[Database]:
    """Lend the database through a pool of one connection."""
    return open_database(f"sqlite:///{path}", timeout=timeout, pool_size=1, max_overflow=0)


async def test_poll_continues_after_an_error(
    catalog: Catalog, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Polling continues after a row that cannot be parsed, and logs it."""
    async with database.connect() as connection:
        await countries.upsert(connection, [FRANCE])
        await connection.exec_driver_sql("UPDATE countries SET last_refreshed_at = 'never'")
    poll_task = asyncio.create_task(catalog.poll(0.005, catalog.sync))
    await wait_until_async(lambda: bool(caplog.messages))
    async with catalog.write_lock, database.connect() as connection:
        await countries.upsert(connection, [FRANCE])
    await wait_until_async(lambda: catalog.snapshot.rows == (FRANCE,))
    poll_task.cancel()
    await asyncio.wait([poll_task])
    assert set(caplog.messages) == {"The data in the database cannot be read; trying again."}


async def test_attempt_appears_once(catalog: Catalog, database: Database) -> None:
    """An attempt is in the history at once, and not twice when the database has it, too."""
    first, second = make_report("1", finished_at=minute(1)), make_failure("2", at=minute(2))
    catalog.add_attempt(first)
    assert list(catalog.history) == [first]
    await record_attempt(database, first)
    await catalog.sync()
    assert list(catalog.history) == [first]
    catalog.add_attempt(second)
    assert list(catalog.history) == [second, first]


async def test_history_order(catalog: Catalog, replica: Catalog, database: Database) -> None:
    """Attempts are in order of time on every replica, also those that were stored late."""
    late, remote, own = (make_failure(str(number), at=minute(number)) for number in (1, 2, 3))
    catalog.add_attempt(late)
    catalog.add_attempt(own)
    await record_attempt(database, remote)
    await catalog.sync()
    assert list(catalog.history) == [own, remote, late]
    await record_attempt(database, own)
    await record_attempt(database, late)
    for each in (catalog, replica):
        await each.sync()
        assert list(each.history) == [own, remote, late]


async def test_lost_attempt(catalog: Catalog, replica: Catalog, database: Database, path: Path) -> None:
    """An attempt that could not be stored is listed until the database responds; one that was stored stays."""
    lost, stored = make_failure("1", at=minute(1)), make_failure("2", at=minute(2))
    for attempt in (lost, stored):
        catalog.add_attempt(attempt)
        catalog.mark_lost(attempt)
    await record_attempt(database, stored)
    await replace_with_directory(database, path)
    with pytest.raises(DatabaseUnavailable):
        await catalog.sync()
    assert catalog.history == (stored, lost)
    await restore_file(path)
    for each in (catalog, replica):
        await each.sync()
        assert each.history == (stored,)


def test_history_is_bounded(catalog: Catalog) -> None:
    """The history in memory is bounded like the stored one, and drops the oldest attempts."""
    attempts = [make_failure(str(number), at=minute(number)) for number in range(MAX_STORED_REFRESHES + 2)]
    for attempt in attempts:
        catalog.add_attempt(attempt)
    assert catalog.history == tuple(reversed(attempts[2:]))
