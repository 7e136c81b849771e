"""Migrations: they create the tables of the code, once, also with concurrent processes."""

import asyncio
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Inspector, inspect, select, text

import graphql_api
from graphql_api.domain.country import Country
from graphql_api.storage import countries
from graphql_api.storage.database import Database
from graphql_api.storage.migrations import HEAD, VERSION_TABLE, migrate
from graphql_api.storage.migrations.upgrade import create_config
from graphql_api.storage.tables import metadata
from tests.support.database import begin_transaction, open_database, permanent_failure
from tests.support.factories import STATISTICS_FIELDS

MIGRATION_PROGRAM = """
import asyncio, sys
from graphql_api.storage.database import Database
from graphql_api.storage.migrations import migrate

async def main():
    database = Database(sys.argv[1], timeout=30)
    print(await migrate(database), "alembic" in sys.modules)
    await database.dispose()

asyncio.run(main())
"""


async def describe(database: Database) -> dict[str, Any]:
    """Return the description of the tables by the database itself."""
    async with database.connect() as connection:
        return await connection.run_sync(lambda sync_connection: describe_tables(inspect(sync_connection)))


def describe_tables(inspector: Inspector) -> dict[str, Any]:
    return {
        name: (
            [{**column, "type": repr(column["type"])} for column in inspector.get_columns(name)],
            inspector.get_pk_constraint(name),
            inspector.get_unique_constraints(name),
            inspector.get_indexes(name),
        )
        for name in inspector.get_table_names()
    }


def test_head() -> None:
    """HEAD is the newest revision in versions/, and there is no other branch."""
    assert ScriptDirectory.from_config(create_config()).get_heads() == [HEAD]


async def test_tables_are_those_of_the_code(empty_database: Database) -> None:
    """Alembic finds no difference between a migrated database and tables.py."""
    await migrate_to(empty_database, HEAD)

    def compare(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    async with empty_database.connect() as connection:
        assert await connection.run_sync(compare) == []


async def load_rows(database: Database) -> dict[str, Any]:
    """Return all rows by table."""
    async with database.connect() as connection:
        return {
            table.name: [*map(tuple, await connection.execute(select(table)))]
            for table in (*metadata.sorted_tables, VERSION_TABLE)
        }


async def test_tables_to_the_last_column(database: Database, other_url: str) -> None:
    """A database that was created at once has the same description and rows as one of all migrations."""
    created, rows = await describe(database), await load_rows(database)
    assert sorted(created) == ["alembic_version", "answers", "countries", "leases", "refreshes"]
    async with open_database(other_url) as migrated:
        await migrate_to(migrated, HEAD)
        assert await describe(migrated) == created
        assert await load_rows(migrated) == rows
    assert rows["leases"] == [("refresh", None, None, None, 0.0, 0)]
    assert rows["alembic_version"] == [(HEAD,)]


async def migrate_to(database: Database, revision: str) -> None:
    """Migrate as a version whose newest revision this was."""
    config = create_config()

    def upgrade(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with database.connect() as connection, database.dialect.migration_lock(connection):
        await connection.run_sync(lambda sync_connection: VERSION_TABLE.create(sync_connection, checkfirst=True))
        await connection.run_sync(upgrade)


async def insert_old_row(database: Database, provider: str) -> None:
    """Insert France as 0.1.0 did, without statistics and with a date of its figures."""
    names = ", ".join(OLD_ROW)
    placeholders = ", ".join(f":{name}" for name in OLD_ROW)
    async with begin_transaction(database) as connection:
        await connection.execute(
            text(f"INSERT INTO countries ({names}) VALUES ({placeholders})"),  # noqa: S608 - constants
            {**OLD_ROW, "countries_provider": provider},
        )


OLD_ROW: dict[str, Any] = {
    "code": "FR",
    "alpha3": "FRA",
    "name": "France",
    "capital": "Paris",
    "region": "Europe",
    "subregion": "Western Europe",
    "population": 66987244,
    "area_km2": 547030.0,
    "currency_code": "EUR",
    "exchange_rate": 0.88,
    "estimated_gdp": 1e11,
    "flag_url": "https://flags.example/fr.svg",
    "last_refreshed_at": datetime(2026, 11, 25, 8, 0, 0, 123456),  # noqa: DTZ001 - stored without a time zone
    "revision": 7,
    "countries_provider": "",
    "countries_as_of": datetime(2026, 7, 28),  # noqa: DTZ001 - stored without a time zone
    "rates_provider": "er-api",
    "rates_as_of": datetime(2026, 9, 29, 0, 2, 31),  # noqa: DTZ001 - stored without a time zone
}


@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])
@pytest.mark.parametrize("provider", ["bundled", "geonames"])
async def test_rows_of_earlier_versions(empty_database: Database, revision: str, provider: str) -> None:
    """A row of an earlier version keeps all that is true of it; statistics and the date of figures are null."""
    await migrate_to(empty_database, revision)
    await insert_old_row(empty_database, provider)
    assert await migrate(empty_database) is True
    async with empty_database.connect() as connection:
        (row,) = await countries.load(connection)
    assert row == Country(
        **OLD_ROW
        | dict.fromkeys(STATISTICS_FIELDS)
        | {
            "countries_provider": provider,
            "countries_as_of": None,
            "last_refreshed_at": datetime(2026, 11, 25, 8, 0, 0, 123456, tzinfo=UTC),
            "rates_as_of": datetime(2026, 9, 29, 0, 2, 31, tzinfo=UTC),
        }
    )


async def test_interrupted_migration(empty_database: Database) -> None:
    """A migration that was interrupted after a column is completed, as on MySQL, which commits each by itself."""
    await migrate_to(empty_database, "0003")
    await insert_old_row(empty_database, "bundled")
    async with begin_transaction(empty_database) as connection:
        await connection.execute(text("ALTER TABLE countries ADD COLUMN population_year INTEGER"))
    assert await migrate(empty_database) is True
    async with empty_database.connect() as connection:
        (row,) = await countries.load(connection)
    assert (row.code, row.population_year, row.statistics_provider) == ("FR", None, None)


async def test_interrupted_first_migration(empty_database: Database) -> None:
    """Tables of the first migration without the later columns are not taken for those of another program."""
    await migrate_to(empty_database, "0001")
    async with begin_transaction(empty_database) as connection:
        await connection.execute(text("DROP TABLE alembic_version"))
    assert await migrate(empty_database) is True
    async with empty_database.connect() as connection:
        assert await countries.load(connection) == []


async def test_interrupted_creation(empty_database: Database, other_url: str) -> None:
    """A creation that was interrupted before the first row is completed, as on MySQL, which commits each table."""
    async with empty_database.connect() as connection:
        await connection.run_sync(metadata.create_all)
    assert await migrate(empty_database) is True
    async with open_database(other_url) as created:
        await migrate(created)
        assert await load_rows(created) == await load_rows(empty_database)
        assert await describe(created) == await describe(empty_database)


async def test_twice(empty_database: Database) -> None:
    """The first call migrates, the second one does nothing."""
    assert await migrate(empty_database) is True
    before = await describe(empty_database)
    assert await migrate(empty_database) is False
    assert await describe(empty_database) == before


async def test_newer_database(database: Database) -> None:
    """A database of a newer version is rejected by name and left unchanged."""
    async with database.connect() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = await describe(database)
    message = (
        f"The database at {database} has the schema '9999' of a newer version; "
        "run that version, or set DATABASE_URL to another database."
    )
    with permanent_failure(message):
        await migrate(database)
    assert await describe(database) == before
    async with database.connect() as connection:
        result = await connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        assert result.scalars().all() == ["9999"]


async def test_foreign_database(empty_database: Database) -> None:
    """A database with a foreign table under a name of this project is left unchanged."""
    async with empty_database.connect() as connection:
        await connection.exec_driver_sql("CREATE TABLE refreshes (theirs INTEGER)")
    before = await describe(empty_database)
    message = (
        f"The database at {empty_database} has a table 'refreshes' that this program did not "
        "create; set DATABASE_URL to an empty database."
    )
    with permanent_failure(message):
        await migrate(empty_database)
    assert await describe(empty_database) == before


@pytest.mark.parametrize("revision", [None, "0003"])
async def test_connections_at_once(empty_database: Database, database_url: str, revision: str | None) -> None:
    """Of eight pools that migrate an empty or an old database at once, one does and the others wait."""
    if revision is not None:
        await migrate_to(empty_database, revision)
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(open_database(database_url)) for _ in range(8)]
        results = await asyncio.gather(*map(migrate, databases))
    assert sorted(results) == [False] * 7 + [True]


@pytest.mark.slow
async def test_processes_at_once(database_url: str) -> None:
    """Of four processes that migrate an empty database at once, one does and none fails."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATION_PROGRAM, database_url, stdout=PIPE, stderr=PIPE
        )
        for _ in range(4)
    ]
    outputs = await asyncio.gather(*(process.communicate() for process in processes))
    assert [errors for _, errors in outputs] == [b""] * 4
    assert sorted(output.split()[0] for output, _ in outputs) == [b"False"] * 3 + [b"True"]


@pytest.mark.slow
async def test_package_in_a_folder_with_a_hard_name(database_url: str, tmp_path: Path) -> None:
    """The migrations are found wherever the package is installed."""
    async with open_database(database_url) as database:
        await migrate_to(database, "0003")
    package = Path(graphql_api.__file__).parent
    folder = tmp_path / "100%(here)s and more"
    shutil.copytree(package, folder / package.name)
    command = [sys.executable, "-c", f"{MIGRATION_PROGRAM}\nprint(Database.__init__.__code__.co_filename)"]
    process = await asyncio.create_subprocess_exec(*command, database_url, cwd=folder, stdout=PIPE, stderr=PIPE)
    module = folder / package.name / "storage" / "database.py"
    assert await process.communicate() == (f"True True\n{module}\n".encode(), b"")


@pytest.mark.slow
def test_alembic_is_imported_only_to_migrate(database_url: str) -> None:
    """A process that finds the database empty or at HEAD does not pay for importing Alembic."""
    command = [sys.executable, "-c", MIGRATION_PROGRAM, database_url]
    outputs = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)]
    assert outputs == [b"True False\n", b"False False\n"]
