"""Databases for tests, closed before the event loop ends."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Table, delete, event, insert, select

from graphql_api.domain.country import Country
from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage import transactions
from graphql_api.storage.database import Database, DatabaseConnection
from graphql_api.storage.migrations import migrate
from graphql_api.storage.tables import countries, metadata
from tests.support.wait import WAIT_TIMEOUT

MYSQL_FAMILY = ("mariadb", pytest.param("mysql", marks=pytest.mark.slow))
"""Fixtures of MariaDB and MySQL. In `make test` MariaDB stands for both, for the sake of time."""
SERVERS = (*MYSQL_FAMILY, "postgresql")
"""Fixtures of the servers that tests share."""
NEW_SERVERS = ("new_mariadb", pytest.param("new_mysql", marks=pytest.mark.slow), "new_postgresql")
"""Fixtures of the factories of servers."""


@asynccontextmanager
async def open_database(
    url: str,
    *,
    timeout: float = 10,  # noqa: ASYNC109 - the database's, not this function's
    **options: Any,  # noqa: ANN401 - what Database takes
) -> AsyncIterator[Database]:
    """Lend a database that is not migrated, and close it."""
    database = Database(url, timeout=timeout, **options)
    try:
        yield database
    finally:
        await database.dispose()


@asynccontextmanager
async def begin_transaction(database: Database) -> AsyncIterator[DatabaseConnection]:
    """Lend a connection in a transaction, which commits at the end of the context."""
    async with database.connect() as connection, transactions.transaction(connection, database.dialect.begin):
        yield connection


@cache
def _build_migrated_file() -> bytes:
    async def build(path: Path) -> None:
        async with open_database(f"sqlite:///{path}") as database:
            await migrate(database)

    with TemporaryDirectory() as folder:
        path = Path(folder, "migrated.db")
        asyncio.run(build(path))
        with closing(sqlite3.connect(path)) as connection:
            return connection.serialize()


def copy_migrated_file(path: Path) -> None:
    """Create a migrated SQLite file if there is none. Migrating each takes ten times as long."""
    if not path.exists():
        path.write_bytes(_build_migrated_file())


@asynccontextmanager
async def migrated_sqlite(path: Path) -> AsyncIterator[Database]:
    """Return a migrated SQLite database; waits for its threads at the end."""
    await asyncio.to_thread(copy_migrated_file, path)
    async with open_database(f"sqlite:///{path}") as database:
        await migrate(database)
        yield database
    await wait_for_connection_threads()


async def wait_for_connection_threads() -> None:
    """Wait for the threads of closed connections. aiosqlite does not if opening failed."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, WAIT_TIMEOUT)
            assert not thread.is_alive(), "a connection was not closed"


@contextmanager
def permanent_failure(message: str) -> Iterator[None]:
    """Assert that the block raises a permanent DatabaseUnavailable with this message."""
    with pytest.raises(DatabaseUnavailable) as exc_info:
        yield
    assert (str(exc_info.value), exc_info.value.permanent) == (message, True)


async def insert_country(connection: DatabaseConnection, row: Country) -> None:
    """Insert a new row, in the transaction of the connection if there is one."""
    values = {field.name: getattr(row, field.name) for field in fields(Country)}
    await connection.execute(insert(countries).values(values))


Dump = dict[Table, list[dict[str, Any]]]
"""The rows of every table."""


async def dump_tables(database: Database) -> Dump:
    """Return every row, as a backup does."""
    async with database.connect() as connection:
        return {
            table: [dict(row) for row in (await connection.execute(select(table))).mappings()]
            for table in metadata.sorted_tables
        }


async def restore_tables(database: Database, dump: Dump) -> None:
    """Replace every row by those of a backup."""
    async with begin_transaction(database) as connection:
        for table, rows in dump.items():
            await connection.execute(delete(table))
            if rows:
                await connection.execute(insert(table), rows)


def record_statements(database: Database) -> list[str]:
    """Return a list that receives the text of every statement from now on."""
    recorded: list[str] = []

    def on_execute(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        recorded.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", on_execute)
    return recorded
