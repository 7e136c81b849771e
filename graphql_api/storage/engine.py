"""Connections: how the database is opened, how long it is waited for, and what a transaction is."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from sqlalchemy import event
from sqlalchemy.engine import URL, AdaptedConnection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from graphql_api.errors import DatabaseUnavailable, InvalidSetting

_EXAMPLE = "for example sqlite:///var/countries.db"

_PAUSE = 0.01
"""Seconds between two attempts to change a file that is in use."""


class Database:
    """An engine whose connections commit each statement, and explicit transactions over it.

    Errors of the driver leave its context managers as `DatabaseUnavailable`.
    """

    def __init__(self, url: str, *, seconds_busy: float) -> None:
        """Describe the database; nothing is opened yet.

        `seconds_busy` is how long another writer is waited for.

        Raises:
            InvalidSetting: the URL is not one of a database that the project speaks to.
        """
        self._url = _parse(url)
        self.engine = _create_engine(self._url, seconds_busy)

    def __str__(self) -> str:
        return self._url.set(drivername="sqlite").render_as_string(hide_password=True)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection on which every statement commits by itself."""
        _create_folder(self._url)
        try:
            async with self.engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise DatabaseUnavailable(
                f"The database at {self} failed: {_reason(error)}{_advice(error)}."
            ) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection whose statements are all kept, or, after an exception, none.

        The write lock is taken at once, so nothing changes between its first read and its commit.
        """
        async with self.connect() as connection:
            try:
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                await connection.exec_driver_sql("COMMIT")
            except BaseException:
                # A connection with an open transaction must never go back to the pool.
                await connection.invalidate()
                raise

    async def dispose(self) -> None:
        """Close every connection; needed before the event loop ends."""
        await self.engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is not a number
        raise InvalidSetting(f"DATABASE_URL is not a URL; give one, {_EXAMPLE}.") from None
    if parsed.drivername not in ("sqlite", "sqlite+aiosqlite"):
        raise InvalidSetting(
            f"DATABASE_URL names {parsed.drivername!r}; this version speaks to SQLite, {_EXAMPLE}."
        )
    if any((parsed.host, parsed.port, parsed.username, parsed.password)):
        raise InvalidSetting(
            "DATABASE_URL names a host or a user, and SQLite has neither; "
            f"the path follows three slashes, {_EXAMPLE}."
        )
    if parsed.database in (None, "", ":memory:"):
        raise InvalidSetting(f"DATABASE_URL names no file; give one, {_EXAMPLE}.")
    if parsed.query:
        raise InvalidSetting(
            "DATABASE_URL has options after '?', and SQLite takes none here; "
            "in a file's name write %3F for '?'."
        )
    return parsed.set(drivername="sqlite+aiosqlite")


def _create_engine(url: URL, seconds_busy: float) -> AsyncEngine:
    engine = create_async_engine(
        url, isolation_level="AUTOCOMMIT", connect_args={"timeout": seconds_busy}
    )

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: AdaptedConnection, _record: object) -> None:
        connection.run_async(lambda driver: _use_wal(driver, seconds_busy))

    return engine


async def _use_wal(connection: aiosqlite.Connection, seconds_busy: float) -> None:
    """Let readers go on while a writer writes, in this process and in others."""
    deadline = time.monotonic() + seconds_busy
    while True:
        try:
            async with connection.execute("PRAGMA journal_mode = WAL"):
                return
        except sqlite3.OperationalError as error:
            # A file that is not in this mode yet is refused at once to all who come together.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        await asyncio.sleep(_PAUSE)


def _create_folder(url: URL) -> None:
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(
            f"The folder {folder} for the database cannot be made ({error.strerror}); "
            "set DATABASE_URL to a place that can be written."
        ) from error


def _reason(error: Exception) -> str:
    original = _original(error)
    return (str(original) or type(original).__name__).splitlines()[0]


def _advice(error: Exception) -> str:
    code = getattr(_original(error), "sqlite_errorcode", None)
    misplaced = code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB)
    return "; DATABASE_URL must name a SQLite file that can be opened" if misplaced else ""


def _original(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error
