"""Connections: how the database is opened, how long it is waited for, and what is tried again."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage import errors, sql_logging, transactions
from graphql_api.storage.dialects import get_dialect
from graphql_api.storage.dialects.base import ConnectionOptions
from graphql_api.storage.tls import create_context
from graphql_api.storage.url import DatabaseKind, TLSMode, parse_database_url
from graphql_api.utils.tasks import gather

T = TypeVar("T")

DatabaseConnection = AsyncConnection
"""What the layers above hand on without knowing SQL."""

DatabaseOperation = Callable[[DatabaseConnection], Awaitable[T]]
"""What is done over a connection; it may be begun again, so it must be whole in itself."""

_MAX_RETRIES = 10
_INITIAL_BACKOFF = 0.02
"""Seconds before the second try, at most; it doubles, and chance decides how much of it is waited,
so that those who were in one another's way do not meet again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """How many connections there are, and who waits."""

    in_use: int
    size: int
    """How many are kept at most."""
    overflow: int
    """How many are open beyond those."""
    waits: int
    """How often all were lent, and one was waited for."""


class Database:
    """An engine whose connections commit each statement, and explicit transactions over it.

    Errors of the driver leave its methods as `DatabaseUnavailable`.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        pool_size: int = 10,
        max_overflow: int = 20,
        ssl_ca: str | None = None,
    ) -> None:
        """Describe the database; nothing is opened yet.

        `timeout` is how many seconds a connection, a statement or another writer is waited for;
        `ssl_ca` is the authority that its certificate must be of, as `tls.create_context` reads it.

        Raises:
            InvalidSetting: the URL or the authority is not one that the project can work with.
        """
        self._url = parse_database_url(url, has_ca=ssl_ca is not None)
        self._timeout = timeout
        self.dialect = get_dialect(self._url.kind)
        # A file that is locked is waited for by SQLite itself, which then says what was wrong.
        self._client_timeout = None if self._url.kind is DatabaseKind.SQLITE else timeout
        self._pool_capacity = pool_size + max_overflow
        self._is_encrypted = self._url.tls_mode is not TLSMode.DISABLED
        options = ConnectionOptions(
            timeout=timeout,
            pool_size=pool_size,
            max_overflow=max_overflow,
            ssl_context=create_context(self._url.tls_mode, ssl_ca) if self._is_encrypted else None,
        )
        self.engine: AsyncEngine = self.dialect.create_engine(self._url.url, options)
        self._waits = 0

    def __str__(self) -> str:
        return str(self._url)

    def log_statements(self) -> None:
        """Log every statement from now on, with its duration and without its values."""
        sql_logging.log_statements(self.engine.sync_engine)

    @property
    def pool_stats(self) -> PoolStats:
        """Return how the pool is used now."""
        pool = self._pool
        return PoolStats(
            in_use=pool.checkedout(),
            size=pool.size(),
            overflow=max(pool.overflow(), 0),
            waits=self._waits,
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[DatabaseConnection]:
        """Lend a connection on which every statement commits by itself."""
        self._create_folder()
        with self._translate_errors():
            connection = await self._open_connection()
            try:
                yield connection
            finally:
                await connection.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DatabaseConnection]:
        """Lend a connection whose statements are all kept, or, after an exception, none."""
        async with (
            self.connect() as connection,
            transactions.transaction(connection, self.dialect.begin),
        ):
            yield connection

    @asynccontextmanager
    async def connect_for_migration(self) -> AsyncIterator[DatabaseConnection]:
        """Lend a connection while no other process has one from here: for migrations."""
        async with self.connect() as connection, self.dialect.migration_lock(connection):
            yield connection

    async def run(self, operation: DatabaseOperation[T]) -> T:
        """Do work over a connection; begin again when it was in others' way, or a connection died.

        Raises:
            DatabaseUnavailable: it did not succeed within the time of the database.
        """
        async with self.connect() as connection:
            return await self.retrying(connection, operation)

    def in_transaction(self, operation: DatabaseOperation[T]) -> DatabaseOperation[T]:
        """Return work that is done in a transaction: all of it or nothing, and again as a whole."""

        async def run_in_transaction(connection: DatabaseConnection) -> T:
            async with transactions.transaction(connection, self.dialect.begin):
                return await operation(connection)

        return run_in_transaction

    async def retrying(self, connection: DatabaseConnection, operation: DatabaseOperation[T]) -> T:
        """Do work over a connection that is lent already, as `run` does."""
        deadline = time.monotonic() + self._timeout
        with self._translate_errors():
            for retry in range(_MAX_RETRIES):
                try:
                    return await operation(connection)
                except DBAPIError as error:
                    if not self._is_retryable(error) or time.monotonic() > deadline:
                        raise
                    # Lets a connection that died be replaced by the next statement.
                    await connection.rollback()
                await asyncio.sleep(_INITIAL_BACKOFF * 2**retry * random.random())  # noqa: S311 - no secret
            return await operation(connection)

    async def warm_pool(self, count: int, operation: DatabaseOperation[None]) -> None:
        """Open so many connections and do work over each, so that nobody has to wait for one.

        Raises:
            DatabaseUnavailable: one could not be opened.
        """
        async with AsyncExitStack() as stack:
            # The first one asks the server what it is, which the others then need not.
            first = await stack.enter_async_context(self.connect())
            others = [stack.enter_async_context(self.connect()) for _ in range(count - 1)]
            pooled = [first, *await gather(others)]
            await gather(self.retrying(connection, operation) for connection in pooled)

    async def dispose(self) -> None:
        """Close every connection; needed before the event loop ends."""
        deadline = None if self._client_timeout is None else time.monotonic() + self._client_timeout
        while True:
            try:
                async with asyncio.timeout(
                    None if deadline is None else deadline - time.monotonic()
                ):
                    await self.engine.dispose()
            except TimeoutError:
                # The connection whose server did not take its leave is cut off; on with the next.
                continue
            return

    async def _open_connection(self) -> DatabaseConnection:
        self._waits += self._pool.checkedout() >= self._pool_capacity
        try:
            async with asyncio.timeout(self._client_timeout):
                return await self.engine.connect()
        except (TimeoutError, PoolTimeoutError) as error:
            if self._pool.checkedout() >= self._pool_capacity:
                raise DatabaseUnavailable(
                    f"No connection to the database at {self} was free within {self._timeout:g} s; "
                    "DATABASE_POOL_SIZE and DATABASE_MAX_OVERFLOW say how many there may be."
                ) from error
            raise

    @property
    def _pool(self) -> QueuePool:
        pool = self.engine.pool
        if not isinstance(pool, QueuePool):
            raise TypeError("every dialect makes a queue of connections")
        return pool

    def _is_retryable(self, error: DBAPIError) -> bool:
        return error.connection_invalidated or self.dialect.is_transient(error.orig)

    def _create_folder(self) -> None:
        if self._url.kind is not DatabaseKind.SQLITE:
            return
        folder = Path(str(self._url.url.database)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnavailable(
                f"The folder {folder} for the database cannot be made ({error.strerror}); "
                "set DATABASE_URL to a place that can be written.",
                permanent=True,
            ) from error

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:  # OSError: TimeoutError too
            raise self._build_unavailable_error(error) from error

    def _build_unavailable_error(self, error: Exception) -> DatabaseUnavailable:
        cause = errors.unwrap_driver_error(error)
        if errors.is_timeout(cause) or self.dialect.is_timeout(cause):
            return DatabaseUnavailable(
                f"The database at {self} did not answer within {self._timeout:g} s."
            )
        hint = self.dialect.hint(cause, is_encrypted=self._is_encrypted)
        return DatabaseUnavailable(
            f"The database at {self} failed: {errors.describe(cause)}{hint}.",
            permanent=errors.is_permanent(error) or self.dialect.is_permanent(cause),
        )
