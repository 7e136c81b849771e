"""The base class of dialects: how to open, write to and interpret one kind of database."""

import ssl
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Table
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import Insert


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How to open connections."""

    timeout: float
    """Seconds: for connecting, and for one statement."""
    pool_size: int
    max_overflow: int
    ssl_context: ssl.SSLContext | None
    """None for a connection without TLS."""

    @property
    def engine_kwargs(self) -> Mapping[str, Any]:
        """Return the arguments of `create_async_engine` that are the same for every database.

        Statements commit by themselves, and returned connections need no ROLLBACK: with a database
        500 ms away each COMMIT and ROLLBACK would cost as much as the statement.
        """
        return {
            "pool_size": self.pool_size,
            "max_overflow": self.max_overflow,
            "isolation_level": "AUTOCOMMIT",
            "pool_reset_on_return": None,
            "skip_autocommit_rollback": True,
        }


class Dialect(ABC):
    """One kind of database."""

    begin: ClassVar[str]
    """The statement that begins a transaction which reads and then writes."""
    batch_is_atomic: ClassVar[bool]
    """True if one upsert of many rows in autocommit mode is atomic."""
    needs_client_timeout: ClassVar[bool] = True
    """True if the caller must limit the time to open and close a connection."""

    @abstractmethod
    def create_engine(self, url: URL, options: ConnectionOptions) -> AsyncEngine:
        """Return an engine without opening a connection.

        Raises:
            InvalidSetting: the driver is not installed.
        """

    @abstractmethod
    def upsert(self, table: Table, columns: Sequence[str], *, key: str, fence: str) -> Insert:
        """Return a statement that inserts a row, or overwrites the row with the same `key`.

        If the stored row has a higher `fence`, the statement sets that column to null. The column
        is not nullable, so the statement fails with all its rows.
        """

    async def prepare(self, connection: AsyncConnection, sql: str) -> None:
        """Prepare an upsert, if the driver prepares statements. The default does nothing."""
        del connection, sql

    def max_statement_bytes(self, info: Mapping[str, Any]) -> int | None:
        """Return the maximum length of a statement, None if there is none. That is the default.

        `info` is the `info` of the connection.
        """
        del info
        return None

    @abstractmethod
    def is_transient(self, error: BaseException | None) -> bool:
        """Return whether a driver's error is a conflict that a retry resolves."""

    @abstractmethod
    def is_rejection(self, error: BaseException | None) -> bool:
        """Return whether the database itself reported a driver's error: the statement changed nothing."""

    def is_timeout(self, error: BaseException) -> bool:
        """Return whether a driver's error is a time limit of the server. The default is no."""
        del error
        return False

    @abstractmethod
    def is_permanent(self, error: BaseException) -> bool:
        """Return whether a driver's error stays until an operator acts."""

    @abstractmethod
    def hint(self, error: BaseException, *, is_encrypted: bool) -> str:
        """Return how to fix a driver's error, as the end of a sentence; empty if unknown."""

    @abstractmethod
    def migration_lock(self, connection: AsyncConnection) -> AbstractAsyncContextManager[None]:
        """Exclude other processes from migrating, as far as the database can."""
