"""The database: its connection pool, retries, time limits, and the errors it raises."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage import errors, sql_logging
from graphql_api.storage.dialects import get_dialect
from graphql_api.storage.dialects.base import ConnectionOptions
from graphql_api.storage.tls import create_context
from graphql_api.storage.transactions import transaction
from graphql_api.storage.url import TLSMode, parse_database_url
from graphql_api.utils.backoff import backoff_delay
from graphql_api.utils.tasks import gather

T = TypeVar("T")

DatabaseConnection = AsyncConnection
"""A pooled connection, opaque to the layers above."""

DatabaseOperation = Callable[[DatabaseConnection], Awaitable[T]]
"""Work on a connection. A retry calls it again from the start."""

_MAX_RETRIES = 10
_INITIAL_BACKOFF = 0.02
"""Seconds."""
_MAX_BACKOFF = 5.0
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """Numbers of connections."""

    in_use: int
    size: int
    """Maximum that stays open when idle."""
    overflow: int
    """Open beyond `size`."""
    waits: int
    """How often a caller had to wait because all connections were in use."""


class Database:
    """A pool of connections that commit each statement.

    Raises `DatabaseUnavailable` for every error of the driver.
    """

    def __init__(
        self, url: str, *, timeout: float, pool_size: int = 10, max_overflow: int = 20, ssl_ca: str | None = None
    ) -> None:
        """Configure the pool without opening a connection.

        `timeout` is in seconds. It limits connecting, a statement, and the wait for a connection
        or a lock. `ssl_ca` is a certificate authority as `tls.create_context` reads it.

        Raises:
            InvalidSetting: the URL or the certificate authority is unusable.
        """
        self._url = parse_database_url(url, has_ca=ssl_ca is not None)
        self._timeout = timeout
        self.dialect = get_dialect(self._url.kind)
        self._client_timeout = timeout if self.dialect.needs_client_timeout else None
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
        """Return the present state of the pool."""
        pool = self._pool
        return PoolStats(
            in_use=pool.checkedout(), size=pool.size(), overflow=max(pool.overflow(), 0), waits=self._waits
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[DatabaseConnection]:
        """Lend a connection on which every statement commits by itself."""
        with self._translate_errors():
            connection = await self._open_connection()
            try:
                yield connection
            finally:
                await connection.close()

    async def run(self, operation: DatabaseOperation[T]) -> T:
        """Run an operation on a pooled connection, with the retries of `retrying`.

        Raises:
            DatabaseUnavailable: the operation failed.
        """
        async with self.connect() as connection:
            return await self.retrying(connection, operation)

    def in_transaction(self, operation: DatabaseOperation[T]) -> DatabaseOperation[T]:
        """Return the operation as one transaction, which a retry repeats as a whole."""

        async def run_in_transaction(connection: DatabaseConnection) -> T:
            async with transaction(connection, self.dialect.begin):
                return await operation(connection)

        return run_in_transaction

    async def retrying(self, connection: DatabaseConnection, operation: DatabaseOperation[T]) -> T:
        """Run an operation on `connection`, again after a conflict or a lost connection.

        Raises:
            DatabaseUnavailable: the operation failed for another reason, or still failed after the
                time limit or 10 retries.
        """
        deadline = time.monotonic() + self._timeout
        with self._translate_errors():
            for retry in range(_MAX_RETRIES):
                try:
                    return await operation(connection)
                except DBAPIError as error:
                    is_retryable = error.connection_invalidated or self.dialect.is_transient(error.orig)
                    if not is_retryable or time.monotonic() > deadline:
                        raise
                    # Makes the next statement open a new connection if this one is lost.
                    await connection.rollback()
                delay = backoff_delay(
                    retry,
                    initial=_INITIAL_BACKOFF,
                    maximum=_MAX_BACKOFF,
                    jitter=random.random(),  # noqa: S311 - no secret
                )
                await asyncio.sleep(delay)
            return await operation(connection)

    async def warm_pool(self, count: int, operation: DatabaseOperation[None]) -> None:
        """Open `count` connections and run an operation on each, so that no caller waits later.

        Raises:
            DatabaseUnavailable: a connection could not be opened, or the operation failed.
        """
        async with AsyncExitStack() as stack:
            # SQLAlchemy inspects the server on the first connection, the others reuse the result.
            first = await stack.enter_async_context(self.connect())
            others = [stack.enter_async_context(self.connect()) for _ in range(count - 1)]
            pooled = [first, *await gather(others)]
            await gather(self.retrying(connection, operation) for connection in pooled)

    async def dispose(self) -> None:
        """Close every connection. Call it before the event loop ends."""
        deadline = None if self._client_timeout is None else time.monotonic() + self._client_timeout
        while True:
            try:
                async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                    await self.engine.dispose()
            except TimeoutError:
                # The server of one connection did not respond: that one is dropped. Go on.
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
                    f"All {self._pool_capacity} connections to the database at {self} were in use "
                    f"for {self._timeout:g} s; raise DATABASE_POOL_SIZE or DATABASE_MAX_OVERFLOW."
                ) from error
            raise

    @property
    def _pool(self) -> QueuePool:
        pool = self.engine.pool
        if not isinstance(pool, QueuePool):
            raise TypeError("every dialect uses a QueuePool")
        return pool

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:  # OSError includes TimeoutError
            raise self._build_unavailable_error(error) from error

    def _build_unavailable_error(self, error: Exception) -> DatabaseUnavailable:
        cause = errors.unwrap_driver_error(error)
        if errors.is_timeout(cause) or self.dialect.is_timeout(cause):
            return DatabaseUnavailable(f"The database at {self} did not respond within {self._timeout:g} s.")
        hint = self.dialect.hint(cause, is_encrypted=self._is_encrypted)
        return DatabaseUnavailable(
            f"The database at {self} failed: {errors.describe(cause)}{hint}.",
            permanent=errors.is_permanent(error) or self.dialect.is_permanent(cause),
        )
