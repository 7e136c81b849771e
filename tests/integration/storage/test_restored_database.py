"""A database that is restored, replaced or emptied while a process runs: the process follows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Table

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country
from graphql_api.domain.report import Attempt
from graphql_api.storage import countries, lease, provider_cache, refreshes
from graphql_api.storage.database import Database
from graphql_api.storage.tables import countries as countries_table
from graphql_api.storage.tables import leases
from graphql_api.storage.tables import refreshes as refreshes_table
from tests.support.attempts import STARTED_AT, make_failure, make_report
from tests.support.database import Dump, dump_tables, record_statements, restore_tables
from tests.support.factories import REFRESHED_AT, make_country
from tests.support.provider_caches import FULL_CACHE


async def write(database: Database, attempt: Attempt, *rows: Country) -> None:
    """Write rows and an attempt as a refresh does."""
    async with database.connect() as connection:
        if rows:
            await countries.upsert(connection, rows)
        await refreshes.append(connection, attempt)


@asynccontextmanager
async def replaced_database(database: Database, catalog: Catalog) -> AsyncIterator[None]:
    """Assert that a catalog follows what the context makes of its database, and then reads nothing more."""
    await catalog.sync()
    before = catalog.snapshot, catalog.history
    yield
    assert (catalog.snapshot, catalog.history) == before
    await catalog.sync()
    fresh = Catalog(database, {})
    await fresh.sync()
    assert (catalog.snapshot, catalog.history) == (fresh.snapshot, fresh.history)
    assert catalog.provider_cache == fresh.provider_cache
    assert (catalog.snapshot, catalog.history) != before
    executed = record_statements(database)
    await catalog.sync()
    assert len(executed) == 1


@pytest.fixture
def catalog(database: Database) -> Catalog:
    """Return the catalog of a process that runs all the time."""
    return Catalog(database, {})


@pytest.fixture
async def backup(database: Database) -> Dump:
    """Return a backup of the database after its first refresh."""
    await write(database, make_report("1"), make_country("FR"), make_country("TR"))
    async with database.connect() as connection:
        await provider_cache.save(connection, FULL_CACHE.serialize())
    return await dump_tables(database)


async def test_restored(database: Database, catalog: Catalog, backup: Dump) -> None:
    """Data and history go back to a backup, whose revision and sequence number are lower."""
    await write(database, make_report("2"), make_country("FR", revision=2), make_country("TR", revision=2))
    await write(database, make_failure("3"))
    async with replaced_database(database, catalog):
        await restore_tables(database, backup)
    assert [attempt.id for attempt in catalog.history] == ["1"]
    assert catalog.provider_cache == FULL_CACHE


@pytest.mark.parametrize("refreshes_since", [1, 2, 3])
async def test_restored_and_refreshed(
    database: Database, catalog: Catalog, backup: Dump, replica: Database, refreshes_since: int
) -> None:
    """Refreshes after the restore are followed, whether their numbers are lower than those known, equal or higher."""
    for revision in (2, 3):
        await write(database, make_report(f"lost-{revision}"), make_country("FR", revision=revision))
    async with replaced_database(database, catalog):
        await restore_tables(replica, backup)
        for number in range(2, 2 + refreshes_since):
            time = REFRESHED_AT + timedelta(days=number)
            row = make_country("FR", revision=number, last_refreshed_at=time)
            await write(replica, make_report(str(number), finished_at=STARTED_AT + timedelta(days=number)), row)
    assert [attempt.id for attempt in catalog.history] == [str(n) for n in range(1 + refreshes_since, 0, -1)]


async def test_replaced_with_equal_numbers(
    database: Database, catalog: Catalog, backup: Dump, replica: Database
) -> None:
    """A database that began anew and has reached the same revision, count and sequence number is followed."""
    await catalog.sync()
    async with replaced_database(database, catalog):
        rows = [{**row, "last_refreshed_at": REFRESHED_AT + timedelta(days=1)} for row in backup[countries_table]]
        attempts = [{**row, "id": "other"} for row in backup[refreshes_table]]
        await restore_tables(replica, {**backup, countries_table: rows, refreshes_table: attempts})


async def test_other_rows_of_the_same_refresh(
    database: Database, catalog: Catalog, backup: Dump, replica: Database
) -> None:
    """Rows of the same numbers and time that are other countries are followed."""
    rows = [{**row, "population": row["population"] + (row["code"] == "FR")} for row in backup[countries_table]]
    await restore_tables(database, {**backup, countries_table: rows[:1]})
    async with replaced_database(database, catalog):
        await restore_tables(replica, {**backup, countries_table: rows[1:]})


@pytest.mark.parametrize("kept", [(), (leases,)], ids=["without the lease", "with the lease"])
async def test_emptied(
    database: Database, catalog: Catalog, backup: Dump, replica: Database, kept: tuple[Table, ...]
) -> None:
    """Nothing remains of a database whose rows were all deleted, not even an attempt that was about to be recorded."""
    await database.run(lambda connection: lease.acquire(connection, holder="me", refresh_id="1", ttl=0))
    await catalog.sync()
    catalog.add_attempt(make_failure("recorded before it was emptied"))
    async with replaced_database(database, catalog):
        await restore_tables(replica, {table: [] for table in backup if table not in kept})
    assert (catalog.snapshot.rows, catalog.history) == ((), ())
