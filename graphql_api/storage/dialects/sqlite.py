"""SQLite: a file, one writer at a time, readers that do not wait."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import Table, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL, AdaptedConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.dml import Insert

from graphql_api.storage.dialects.base import ConnectionOptions
from graphql_api.storage.dialects.on_conflict import overwrite_on_conflict
from graphql_api.storage.transactions import transaction

_RETRY_INTERVAL = 0.01
"""Seconds between two attempts to change a file that is in use."""

_FILE_ID_KEY = "file"
_REQUIRED_ACCESS = {
    sqlite3.SQLITE_CANTOPEN: "opened",
    sqlite3.SQLITE_NOTADB: "opened",
    sqlite3.SQLITE_READONLY: "written",
}


class SQLite:
    """The embedded default, through aiosqlite."""

    # The write lock is taken at once, so nothing changes between the first read and the commit.
    begin = "BEGIN IMMEDIATE"
    batch_is_atomic = False

    def create_engine(self, url: URL, options: ConnectionOptions) -> AsyncEngine:
        """Return an engine whose connections are in WAL mode."""
        engine = create_async_engine(
            url.set(drivername="sqlite+aiosqlite"),
            connect_args={"timeout": options.timeout},
            **options.engine_kwargs,
        )

        @event.listens_for(engine.sync_engine, "connect")
        def on_connect(connection: AdaptedConnection, record: ConnectionPoolEntry) -> None:
            connection.run_async(lambda driver: _enable_wal(driver, options.timeout))
            record.info[_FILE_ID_KEY] = _file_id(url)

        @event.listens_for(engine.sync_engine, "checkout")
        def on_checkout(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
            # What is written to a file that has no name any more is lost with the last connection.
            if record.info[_FILE_ID_KEY] != _file_id(url):
                raise DisconnectionError("The file has been removed or replaced.")

        return engine

    def upsert(self, table: Table, columns: Sequence[str], *, key: str, fence: str) -> Insert:
        """Return INSERT … ON CONFLICT."""
        return overwrite_on_conflict(insert(table), table, columns, key=key, fence=fence)

    async def prepare(self, connection: AsyncConnection, sql: str) -> None:
        """Do nothing: there is no way to the database that a statement could wait for."""

    def max_statement_bytes(self, info: Mapping[str, Any]) -> int | None:
        """Return None: values are bound, each row by itself."""
        del info
        return None

    def is_transient(self, error: BaseException | None) -> bool:
        """Tell whether another writer was in the way."""
        return _primary_error_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

    def is_timeout(self, error: BaseException) -> bool:
        """Return False: SQLite says itself what it has waited for."""
        del error
        return False

    def is_permanent(self, error: BaseException) -> bool:
        """Tell whether the file is none of SQLite's, or not to be opened or written."""
        return (
            _primary_error_code(error) in _REQUIRED_ACCESS
            or _primary_error_code(error) == sqlite3.SQLITE_CORRUPT
        )

    def hint(self, error: BaseException, *, is_encrypted: bool) -> str:
        """Return what to do about a file that is none, or must not be written."""
        del is_encrypted
        required_access = _REQUIRED_ACCESS.get(_primary_error_code(error))
        return (
            f"; DATABASE_URL must name a SQLite file that can be {required_access}"
            if required_access
            else ""
        )

    @asynccontextmanager
    async def migration_lock(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Hold the write lock: all migrations are one transaction."""
        async with transaction(connection, self.begin):
            yield


def _primary_error_code(error: BaseException | None) -> int:
    """Return the low byte of the code; the rest tells more, such as SQLITE_BUSY_SNAPSHOT."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _file_id(url: URL) -> tuple[int, int] | None:
    """Return what tells the file from any other that has its name later; None if there is none."""
    try:
        file_stat = Path(str(url.database)).stat()
    except OSError:
        return None
    return file_stat.st_dev, file_stat.st_ino


async def _enable_wal(connection: aiosqlite.Connection, timeout: float) -> None:  # noqa: ASYNC109 - kept by the loop below
    """Let readers go on while a writer writes, in this process and in others."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            async with connection.execute("PRAGMA journal_mode = WAL"):
                return
        except sqlite3.OperationalError as error:
            # A file that is not in this mode yet is refused at once to all who come together.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        await asyncio.sleep(_RETRY_INTERVAL)
