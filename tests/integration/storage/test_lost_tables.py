"""A server whose database loses its tables creates them again, and writes the countries it serves."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.util import await_only

from graphql_api.catalog import Catalog
from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage import countries, lease, refreshes
from graphql_api.storage.database import Database
from graphql_api.storage.migrations import migrate
from tests.support.app import AppClient, make_settings, running_client
from tests.support.attempts import make_report
from tests.support.database import open_database
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.db_servers.process import USER, DatabaseServer
from tests.support.factories import make_country
from tests.support.fake_providers.server import Upstream
from tests.support.processes import BUNDLED_SOURCES, running_server
from tests.support.tcp_proxy import TCPProxy
from tests.support.wait import wait_until, wait_until_async

pytestmark = pytest.mark.slow

ALL_TABLES = ("countries", "refreshes", "leases", "answers", "alembic_version")
REFRESH = "mutation { refreshCountries { totalCountries } }"
READY = {"status": "ready", "countries": 250, "version": "2-250", "database": "ok"}


@dataclass(frozen=True)
class Serving:
    """An application that has refreshed once, and another connection to its database."""

    app: AppClient
    database: Database

    async def count_rows(self) -> int:
        """Return the number of stored countries; 0 without the table."""
        with suppress(DatabaseUnavailable):
            return len(await self.database.run(countries.load))
        return 0

    async def check_recovery(self) -> None:
        """Check that the rows are stored again, that clients noticed nothing, and that a refresh works."""

        async def is_stored() -> bool:
            assert (await self.app.query("{ countries { totalCount } }"))["countries"]["totalCount"] == 250
            return await self.count_rows() == 250 and (await self.app.get("/readyz")).json() == READY

        await wait_until_async(is_stored)
        assert await self.app.query(REFRESH) == {"refreshCountries": {"totalCountries": 250}}
        assert await self.app.version() == "3-250"


async def drop(database: Database, *tables: str) -> None:
    """Drop tables as an operator does."""
    async with database.connect() as connection:
        for table in tables:
            await connection.exec_driver_sql(f"DROP TABLE {table}")


@pytest.fixture
async def serving(database_url: str, tmp_path: Path, upstream: Upstream) -> AsyncIterator[Serving]:
    """Lend a serving application over each kind of database."""
    settings = make_settings(tmp_path, upstream, database_url=database_url, snapshot_poll=0.05)
    async with running_client(settings) as app, open_database(database_url) as database:
        await app.wait_for_version("2-250")
        yield Serving(app, database)


@pytest.mark.parametrize(
    "tables", [ALL_TABLES, ALL_TABLES[:-1], ("countries",), ("leases",), ("refreshes", "answers")], ids=" ".join
)
async def test_dropped_tables(serving: Serving, tables: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> None:
    """Dropped tables are created again, whichever they are."""
    caplog.set_level(logging.INFO)
    await drop(serving.database, *tables)
    await wait_until_async(lambda: any(message.startswith("Migrated") for message in caplog.messages))
    await serving.check_recovery()


@pytest.mark.parametrize("count", range(1, len(ALL_TABLES) + 1))
async def test_other_processes_serve_all_rows(database: Database, replica: Database, count: int) -> None:
    """Between any two statements of the process that restores lost tables, another one finds no empty list."""
    rows = (make_country("FR"), make_country("TR"))
    restoring, reading = Catalog(database, {}), Catalog(replica, {})
    served = set()

    def read(*_: object) -> None:
        with suppress(DatabaseUnavailable):
            await_only(reading.sync())
        served.add(reading.snapshot.rows)

    for lost_tables in combinations(ALL_TABLES, count):
        async with database.connect() as connection:
            await lease.acquire(connection, holder="me", refresh_id="1", ttl=0)
            await countries.upsert(connection, rows)
            await refreshes.append(connection, make_report("lost"))
        await restoring.sync()
        await reading.sync()
        await drop(database, *lost_tables)
        event.listen(database.engine.sync_engine, "after_cursor_execute", read)
        await migrate(database)
        await restoring.restore()
        event.remove(database.engine.sync_engine, "after_cursor_execute", read)
        assert served == {rows}, lost_tables
        assert await database.run(countries.load) == [*rows], lost_tables
        async with database.connect() as connection:
            await connection.exec_driver_sql("DELETE FROM countries")
        await reading.sync()
        assert reading.snapshot.rows == (), lost_tables


@pytest.mark.parametrize("suffixes", [("",), ("", "-wal", "-shm")], ids=["file", "all files"])
async def test_removed_file(
    tmp_path: Path, upstream: Upstream, suffixes: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """A removed SQLite file is created again, and the log says what was written."""
    path = tmp_path / "countries.db"
    async with running_client(make_settings(path, upstream, snapshot_poll=0.05)) as app:
        await app.wait_for_version("2-250")
        for suffix in suffixes:
            path.with_name(f"{path.name}{suffix}").unlink()
        async with open_database(f"sqlite:///{path}") as database:
            await Serving(app, database).check_recovery()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT COUNT(*), MIN(revision) FROM countries").fetchall() == [(250, 3)]
    assert "The database was empty; wrote the 250 countries served here." in caplog.messages


@pytest.mark.parametrize(
    ("kind", "statements"),
    [
        ("mariadb", ("DROP DATABASE {name}", "CREATE DATABASE {name}")),
        pytest.param("mysql", ("DROP DATABASE {name}", "CREATE DATABASE {name}"), marks=pytest.mark.slow),
        ("postgresql", ("DROP DATABASE {name} WITH (FORCE)", f"CREATE DATABASE {{name}} OWNER {USER}")),
    ],
)
async def test_dropped_database(
    kind: str, statements: tuple[str, ...], tmp_path: Path, upstream: Upstream, request: pytest.FixtureRequest
) -> None:
    """A database that is dropped and created again gets its tables and rows."""
    server: DatabaseServer = request.getfixturevalue(kind)
    name = server.create_database()
    settings = make_settings(tmp_path, upstream, database_url=server.url(name), snapshot_poll=0.05)
    async with running_client(settings) as app:
        await app.wait_for_version("2-250")
        for statement in statements:
            await asyncio.to_thread(server.execute, statement.format(name=name))
        async with open_database(server.url(name)) as database:
            await Serving(app, database).check_recovery()


async def test_dropped_schema(postgresql: PostgreSQL, tmp_path: Path, upstream: Upstream) -> None:
    """A schema that is dropped and created again gets its tables and rows."""
    name = postgresql.create_database()
    settings = make_settings(tmp_path, upstream, database_url=postgresql.url(name), snapshot_poll=0.05)
    async with running_client(settings) as app:
        await app.wait_for_version("2-250")
        # In a thread: a statement may wait for a transaction of the app, which needs the event loop to end.
        await asyncio.to_thread(postgresql.execute, "DROP SCHEMA public CASCADE", name)
        await asyncio.to_thread(postgresql.execute, f"CREATE SCHEMA public AUTHORIZATION {USER}", name)
        async with open_database(postgresql.url(name)) as database:
            await Serving(app, database).check_recovery()


async def test_deleted_rows(serving: Serving) -> None:
    """Rows that were deleted on purpose stay deleted: the tables are still there."""
    async with serving.database.connect() as connection:
        await connection.exec_driver_sql("DELETE FROM countries")
    await serving.app.wait_for_version("0-0")
    assert await serving.count_rows() == 0


@pytest.mark.slow
def test_dropped_database_of_workers(mysql_family: MySQLFamilyServer, tmp_path: Path) -> None:
    """Workers that find their database dropped and created again never serve an empty list, and agree afterwards."""
    name = mysql_family.create_database()
    with TCPProxy(mysql_family.port) as proxy:
        settings = {"DATABASE_URL": mysql_family.url(name, port=proxy.port), "WORKERS": "3", "SNAPSHOT_POLL": "0.1"}
        with running_server(tmp_path, **BUNDLED_SOURCES, **settings) as process:
            process.wait_for_log(r"250 unchanged\)")
            proxy.delay = 0.05
            mysql_family.execute(f"DROP DATABASE {name}")
            mysql_family.execute(f"CREATE DATABASE {name}")
            counts = set()

            def is_restored() -> bool:
                counts.add(process.query("{ countries { totalCount } }")["data"]["countries"]["totalCount"])
                return "The database was empty; wrote the 250 countries served here." in process.stderr

            wait_until(is_restored)
            for _ in range(100):
                is_restored()
            assert counts == {250}
            assert process.query(REFRESH)["data"] == {"refreshCountries": {"totalCountries": 250}}
