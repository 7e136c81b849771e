"""The database: its connection pool, retries, time limits, and the errors it raises."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from graphql_api.errors import ConnectionPoolExhausted, DatabaseUnavailable
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
        # Not left to the pool: its time limit does not tell a full pool from a server that does not respond.
        self._free_connections = asyncio.Semaphore(self._pool_capacity)
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

    def trace_statements(self) -> None:
        """Record a span for every statement from now on."""
        from graphql_api.storage import sql_tracing  # noqa: PLC0415 - imports OpenTelemetry

        sql_tracing.trace_statements(self.engine.sync_engine)

    @property
    def pool_stats(self) -> PoolStats:
        """Return the present state of the pool."""
        pool = self._pool
        return PoolStats(
            in_use=pool.checkedout(), size=pool.size(), overflow=max(pool.overflow(), 0), waits=self._waits
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[DatabaseConnection]:
        """Lend a connection on which every statement commits by itself.

        Raises:
            ConnectionPoolExhausted: all connections stayed in use.
            DatabaseUnavailable: the database does not respond.
        """
        await self._wait_for_connection()
        try:
            connection = await self._open_connection()
            with self._translate_errors():
                try:
                    yield connection
                finally:
                    await connection.close()
        finally:
            self._free_connections.release()

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
        retry, unconfirmed = 0, False
        while True:
            try:
                return await operation(connection)
            except (SQLAlchemyError, OSError) as error:  # OSError includes TimeoutError
                unconfirmed = unconfirmed or self._is_unconfirmed(error)
                if retry == _MAX_RETRIES or not self._is_retryable(error) or time.monotonic() > deadline:
                    raise self._build_unavailable_error(error, unconfirmed=unconfirmed) from error
                # Makes the next statement open a new connection if this one is lost.
                await connection.rollback()
            delay = backoff_delay(
                retry,
                initial=_INITIAL_BACKOFF,
                maximum=_MAX_BACKOFF,
                jitter=random.random(),  # noqa: S311 - no secret
            )
            await asyncio.sleep(delay)
            retry += 1

    async def warm_pool(self, max_connections: int, operation: DatabaseOperation[None]) -> None:
        """Open connections and run an operation on each, so that no caller waits later.

        Opens at most `max_connections`, at most as many as the pool keeps open, and none while all are in use.

        Raises:
            DatabaseUnavailable: a connection could not be opened, or the operation failed.
        """
        async with AsyncExitStack() as stack:
            if self._count_free() < 1:
                return
            # SQLAlchemy inspects the server on the first connection, the others reuse the result.
            first = await stack.enter_async_context(self.connect())
            # Waiting for one that is in use, while holding another, could block its user.
            others = min(max_connections - 1, self._count_free())
            pooled = [first, *await gather(stack.enter_async_context(self.connect()) for _ in range(others))]
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

    def _count_free(self) -> int:
        """Return how many connections may be opened now that stay open when idle."""
        return self._pool.size() - self._pool.checkedout()

    async def _wait_for_connection(self) -> None:
        self._waits += self._free_connections.locked()
        try:
            async with asyncio.timeout(self._timeout):
                await self._free_connections.acquire()
        except TimeoutError:
            raise ConnectionPoolExhausted(
                f"All {self._pool_capacity} connections to the database were in use for {self._timeout:g} s; "
                "nothing was changed. Raise DATABASE_POOL_SIZE or DATABASE_MAX_OVERFLOW."
            ) from None

    async def _open_connection(self) -> DatabaseConnection:
        try:
            async with asyncio.timeout(self._client_timeout):
                return await self.engine.connect()
        except (SQLAlchemyError, OSError) as error:
            raise self._build_unavailable_error(error, unconfirmed=False) from error

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
        except (SQLAlchemyError, OSError) as error:
            raise self._build_unavailable_error(error, unconfirmed=self._is_unconfirmed(error)) from error

    def _is_retryable(self, error: Exception) -> bool:
        return isinstance(error, DBAPIError) and (error.connection_invalidated or self.dialect.is_transient(error.orig))

    def _is_unconfirmed(self, error: Exception) -> bool:
        """Return whether the statement that raised `error` may have been executed."""
        return not (isinstance(error, DBAPIError) and self.dialect.is_rejection(error.orig))

    def _build_unavailable_error(self, error: Exception, *, unconfirmed: bool) -> DatabaseUnavailable:
        cause = errors.unwrap_driver_error(error)
        if errors.is_timeout(cause) or self.dialect.is_timeout(cause):
            message = f"The database at {self} did not respond within {self._timeout:g} s."
            return DatabaseUnavailable(message, unconfirmed=unconfirmed)
        hint = self.dialect.hint(cause, is_encrypted=self._is_encrypted)
        return DatabaseUnavailable(
            f"The database at {self} failed: {errors.describe(cause)}{hint}.",
            permanent=errors.is_permanent(error) or self.dialect.is_permanent(cause),
            unconfirmed=unconfirmed,
        )
