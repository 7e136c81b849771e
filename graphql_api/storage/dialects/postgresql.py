"""PostgreSQL: one prepared statement, with the values of all rows sent together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import ExceptionContext, Table, event, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.dml import Insert

from graphql_api.errors import InvalidSetting
from graphql_api.storage.dialects.base import ConnectionOptions, Dialect
from graphql_api.storage.dialects.on_conflict import overwrite_on_conflict
from graphql_api.storage.transactions import transaction

_DEFAULT_PORT = 5432
_CONFLICT_SQLSTATES = ("40001", "40P01", "55P03", "23505")
"""Serialization failure, deadlock, lock timeout, and duplicate key of a sequence number."""
_ACCESS_DENIED_SQLSTATES = ("28000", "28P01", "3D000")
_FORBIDDEN_SQLSTATE = "42501"
_TIMEOUT_SQLSTATE = "57014"
_UNCONFIRMED_SQLSTATES = ("08", "40003")
"""Lost connections, and a statement whose completion is unknown."""
_READ_ONLY_SQLSTATE = "25006"
"""The server became read-only after a failover."""
_TLS_REQUIRED_MESSAGES = ("no encryption", "SSL off", "insecure")  # of pg_hba.conf, and of Neon
_MIGRATION_LOCK_ID = 7_264_105_316_297_814_016
"""Id of the advisory lock of this project's migrations."""


class PostgreSQL(Dialect):
    """PostgreSQL through asyncpg, which the extra `postgresql` installs."""

    begin = "BEGIN"
    # asyncpg sends all rows before one Sync, which makes them an implicit transaction.
    batch_is_atomic = True

    def create_engine(self, url: URL, options: ConnectionOptions) -> AsyncEngine:
        """Return an engine with time limits on the client and on the server."""
        timeout_ms = f"{options.timeout * 1000:.0f}"
        try:
            engine = create_async_engine(
                url.set(drivername="postgresql+asyncpg", port=url.port or _DEFAULT_PORT),
                connect_args={
                    "timeout": options.timeout,
                    "command_timeout": options.timeout,
                    "ssl": options.ssl_context or False,
                    "server_settings": {"statement_timeout": timeout_ms, "lock_timeout": timeout_ms},
                },
                **options.engine_kwargs,
            )
        except ModuleNotFoundError:
            raise InvalidSetting(
                "DATABASE_URL names PostgreSQL, whose driver is not installed: pip install 'asyncpg>=0.32'."
            ) from None
        event.listen(engine.sync_engine, "handle_error", _mark_disconnected)
        return engine

    def upsert(self, table: Table, columns: Sequence[str], *, key: str, fence: str) -> Insert:
        """Return INSERT … ON CONFLICT."""
        return overwrite_on_conflict(insert(table), table, columns, key=key, fence=fence)

    async def prepare(self, connection: AsyncConnection, sql: str) -> None:
        """Prepare the upsert on the server, to save its first use a round trip."""
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            await driver.executemany(sql, [])
        except Exception as error:
            # SQLAlchemy has not seen this use of the connection, so invalidate it explicitly.
            driver.terminate()
            await connection.invalidate(error)
            raise OperationalError(sql, None, error, connection_invalidated=True) from error

    def is_transient(self, error: BaseException | None) -> bool:
        """Return whether it is a conflict with another transaction."""
        return getattr(error, "sqlstate", None) in _CONFLICT_SQLSTATES

    def is_rejection(self, error: BaseException | None) -> bool:
        """Return whether the server reported it. asyncpg itself uses the codes of lost connections."""
        sqlstate: str | None = getattr(error, "sqlstate", None)
        return sqlstate is not None and not sqlstate.startswith(_UNCONFIRMED_SQLSTATES)

    def is_timeout(self, error: BaseException) -> bool:
        """Return whether the server stopped the statement."""
        return getattr(error, "sqlstate", None) == _TIMEOUT_SQLSTATE

    def is_permanent(self, error: BaseException) -> bool:
        """Return whether the server rejects the user, the database or the permission."""
        return getattr(error, "sqlstate", None) in (*_ACCESS_DENIED_SQLSTATES, _FORBIDDEN_SQLSTATE)

    def hint(self, error: BaseException, *, is_encrypted: bool) -> str:
        """Return how to fix a rejected user, database or connection."""
        if not is_encrypted and any(message in str(error) for message in _TLS_REQUIRED_MESSAGES):
            return "; add ?sslmode=require to DATABASE_URL"
        is_access_denied = getattr(error, "sqlstate", None) in _ACCESS_DENIED_SQLSTATES
        return "; check user, password and database in DATABASE_URL" if is_access_denied else ""

    @asynccontextmanager
    async def migration_lock(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Hold an advisory lock in the one transaction of all migrations."""
        async with transaction(connection, self.begin):
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK_ID})
            yield


def _mark_disconnected(context: ExceptionContext) -> OperationalError | None:
    """Drop an unusable connection. Return the error to raise instead, if any."""
    error = context.original_exception
    if getattr(error, "sqlstate", None) == _READ_ONLY_SQLSTATE:
        context.is_disconnect = True
    if isinstance(error, TimeoutError) and context.connection is not None:
        context.is_disconnect = True
        driver = context.connection.connection.driver_connection
        if driver is not None:
            # A regular close would wait for the server again.
            driver.terminate()
    dbapi: Any = context.dialect.loaded_dbapi
    if isinstance(error, dbapi.asyncpg.InternalClientError):
        # The server has closed the connection, and asyncpg has not noticed yet.
        context.is_disconnect = True
        return OperationalError(context.statement, None, error, connection_invalidated=True)
    return None
