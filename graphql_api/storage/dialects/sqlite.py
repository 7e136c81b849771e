"""SQLite: one file, one writer at a time, readers that never wait."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from sqlalchemy import Table, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL, AdaptedConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.dml import Insert

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage.dialects.base import ConnectionOptions, Dialect
from graphql_api.storage.dialects.on_conflict import overwrite_on_conflict
from graphql_api.storage.transactions import transaction

_RETRY_INTERVAL = 0.01
"""Seconds between two attempts to switch a busy file to WAL mode."""

_FILE_ID_KEY = "file"
_REQUIRED_ACCESS = {
    sqlite3.SQLITE_CANTOPEN: "opened",
    sqlite3.SQLITE_NOTADB: "opened",
    sqlite3.SQLITE_READONLY: "written",
}


class SQLite(Dialect):
    """SQLite through aiosqlite, the default."""

    # Takes the write lock at once, so nothing changes between the first read and the commit.
    begin = "BEGIN IMMEDIATE"
    batch_is_atomic = False
    # SQLite itself limits the wait for a locked file, and its error names the reason.
    needs_client_timeout = False

    def create_engine(self, url: URL, options: ConnectionOptions) -> AsyncEngine:
        """Return an engine whose connections use WAL mode and create the folder of the file."""
        engine = create_async_engine(
            url.set(drivername="sqlite+aiosqlite"), connect_args={"timeout": options.timeout}, **options.engine_kwargs
        )

        @event.listens_for(engine.sync_engine, "do_connect")
        def on_do_connect(*_: object) -> None:
            _create_folder(Path(str(url.database)).parent)

        @event.listens_for(engine.sync_engine, "connect")
        def on_connect(connection: AdaptedConnection, record: ConnectionPoolEntry) -> None:
            connection.run_async(lambda driver: _enable_wal(driver, options.timeout))
            record.info[_FILE_ID_KEY] = _file_id(url)

        @event.listens_for(engine.sync_engine, "checkout")
        def on_checkout(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
            # Data written to a deleted file is lost when its last connection closes.
            if record.info[_FILE_ID_KEY] != _file_id(url):
                raise DisconnectionError("The file was deleted or replaced.")

        return engine

    def upsert(self, table: Table, columns: Sequence[str], *, key: str, fence: str) -> Insert:
        """Return INSERT … ON CONFLICT."""
        return overwrite_on_conflict(insert(table), table, columns, key=key, fence=fence)

    def is_transient(self, error: BaseException | None) -> bool:
        """Return whether another writer holds the lock."""
        return _primary_error_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

    def is_rejection(self, error: BaseException | None) -> bool:
        """Return whether it is SQLite's own, and not of reading or writing the file."""
        return _primary_error_code(error) not in (0, sqlite3.SQLITE_IOERR)

    def is_permanent(self, error: BaseException) -> bool:
        """Return whether the file is corrupt, or cannot be opened or written."""
        return _primary_error_code(error) in _REQUIRED_ACCESS or _primary_error_code(error) == sqlite3.SQLITE_CORRUPT

    def hint(self, error: BaseException, *, is_encrypted: bool) -> str:
        """Return how to fix a file that cannot be opened or written."""
        del is_encrypted
        required_access = _REQUIRED_ACCESS.get(_primary_error_code(error))
        return f"; DATABASE_URL must name a SQLite file that can be {required_access}" if required_access else ""

    @asynccontextmanager
    async def migration_lock(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Hold the write lock in the one transaction of all migrations."""
        async with transaction(connection, self.begin):
            yield


def _primary_error_code(error: BaseException | None) -> int:
    """Return the low byte of an extended code such as SQLITE_BUSY_SNAPSHOT."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _create_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(
            f"Cannot create the folder {folder} for the database ({error.strerror}); "
            "set DATABASE_URL to a writable path.",
            permanent=True,
        ) from error


def _file_id(url: URL) -> tuple[int, int] | None:
    """Return device and inode, which change if the file is replaced; None without a file."""
    try:
        file_stat = Path(str(url.database)).stat()
    except OSError:
        return None
    return file_stat.st_dev, file_stat.st_ino


async def _enable_wal(connection: aiosqlite.Connection, timeout: float) -> None:  # noqa: ASYNC109 - the deadline of its own loop
    """Switch to WAL mode, so that readers do not wait for a writer."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            async with connection.execute("PRAGMA journal_mode = WAL"):
                return
        except sqlite3.OperationalError as error:
            # SQLite does not wait here: connections that switch at the same time fail at once.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        await asyncio.sleep(_RETRY_INTERVAL)
