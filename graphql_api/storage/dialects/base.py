"""The protocol of a dialect: how one kind of database is opened, written to and understood."""

import ssl
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Table
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import Insert


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How connections are opened."""

    timeout: float
    """Seconds: for connecting, for one statement, and for a free connection of the pool."""
    pool_size: int
    max_overflow: int
    ssl_context: ssl.SSLContext | None
    """None for a connection without TLS."""

    @property
    def engine_kwargs(self) -> Mapping[str, Any]:
        """Return the arguments of `create_async_engine` that are the same for every database.

        Every statement commits by itself, and a connection that comes back needs no ROLLBACK: on
        a database that is 500 ms away each of them would cost as much as the statement.
        """
        return {
            "pool_size": self.pool_size,
            "max_overflow": self.max_overflow,
            "pool_timeout": self.timeout,
            "isolation_level": "AUTOCOMMIT",
            "pool_reset_on_return": None,
            "skip_autocommit_rollback": True,
        }


class Dialect(Protocol):
    """What the rest of the storage asks of a kind of database."""

    begin: str
    """The statement that begins a transaction which may read and then write."""
    batch_is_atomic: bool
    """Whether many rows given to one upsert on a connection that commits by itself are one."""

    def create_engine(self, url: URL, options: ConnectionOptions) -> AsyncEngine:
        """Return an engine; nothing is opened yet.

        Raises:
            InvalidSetting: a package that it needs is not installed.
        """

    def upsert(self, table: Table, columns: Sequence[str], *, key: str, fence: str) -> Insert:
        """Return the statement that inserts a row, or overwrites the one of the same `key`.

        Where the stored row's column `fence` is higher the new one would be null, which it must
        not be: the statement fails, with all its rows.
        """

    async def prepare(self, connection: AsyncConnection, sql: str) -> None:
        """Let the driver get ready for the text of an upsert, if it can."""

    def max_statement_bytes(self, info: Mapping[str, Any]) -> int | None:
        """Return how long a statement may be, or None where nothing limits it.

        `notes` are those of the connection.
        """

    def is_transient(self, error: BaseException | None) -> bool:
        """Tell whether the driver's error is of a conflict with others, gone with a new try."""

    def is_timeout(self, error: BaseException) -> bool:
        """Tell whether the driver's error is that a statement took too long."""

    def is_permanent(self, error: BaseException) -> bool:
        """Tell whether the driver's error lasts until a person does something about it."""

    def hint(self, error: BaseException, *, is_encrypted: bool) -> str:
        """Return what to do about the driver's error, as the end of a sentence, or nothing."""

    def migration_lock(self, connection: AsyncConnection) -> AbstractAsyncContextManager[None]:
        """Keep other processes from migrating meanwhile, as well as this database can."""
