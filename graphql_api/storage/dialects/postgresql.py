"""PostgreSQL: rows are bound to one prepared statement and sent together."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import ExceptionContext, Table, event, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.dml import Insert

from graphql_api.errors import InvalidSetting
from graphql_api.storage.dialects.base import ConnectionOptions
from graphql_api.storage.dialects.on_conflict import overwrite_on_conflict
from graphql_api.storage.transactions import transaction

_DEFAULT_PORT = 5432
_CONFLICT_SQLSTATES = ("40001", "40P01", "55P03", "23505")
"""Serialisation failure, deadlock, a lock that another one held too long, and a number that another
one has taken."""
_ACCESS_DENIED_SQLSTATES = ("28000", "28P01", "3D000")
_FORBIDDEN_SQLSTATE = "42501"
_TIMEOUT_SQLSTATE = "57014"
_READ_ONLY_SQLSTATE = "25006"
"""Since another server has taken over."""
_TLS_REQUIRED_MESSAGES = ("no encryption", "SSL off", "insecure")  # pg_hba.conf's words, and Neon's
_MIGRATION_LOCK_ID = 7_264_105_316_297_814_016
"""Names the migrations of this project among the advisory locks of a database."""


class PostgreSQL:
    """PostgreSQL, through asyncpg, which the extra `postgresql` installs."""

    begin = "BEGIN"
    # asyncpg sends the rows of one statement before one Sync: an implicit transaction.
    batch_is_atomic = True

    def create_engine(self, url: URL, options: ConnectionOptions) -> AsyncEngine:
        """Return an engine whose statements are bounded on the server too."""
        timeout_ms = f"{options.timeout * 1000:.0f}"
        try:
            engine = create_async_engine(
                url.set(drivername="postgresql+asyncpg", port=url.port or _DEFAULT_PORT),
                connect_args={
                    "timeout": options.timeout,
                    "command_timeout": options.timeout,
                    "ssl": options.ssl_context or False,
                    "server_settings": {
                        "statement_timeout": timeout_ms,
                        "lock_timeout": timeout_ms,
                    },
                },
                **options.engine_kwargs,
            )
        except ModuleNotFoundError:
            raise InvalidSetting(
                "DATABASE_URL names PostgreSQL, whose driver is not installed: "
                "pip install 'asyncpg>=0.32'."
            ) from None
        event.listen(engine.sync_engine, "handle_error", _mark_disconnected)
        return engine

    def upsert(self, table: Table, columns: Sequence[str], *, key: str, fence: str) -> Insert:
        """Return INSERT … ON CONFLICT."""
        return overwrite_on_conflict(insert(table), table, columns, key=key, fence=fence)

    async def prepare(self, connection: AsyncConnection, sql: str) -> None:
        """Prepare it on the server, which would cost its first use a round trip."""
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            await driver.executemany(sql, [])
        except Exception as error:
            # Behind SQLAlchemy's back, which must be told.
            driver.terminate()
            await connection.invalidate(error)
            raise OperationalError(sql, None, error, connection_invalidated=True) from error

    def max_statement_bytes(self, info: Mapping[str, Any]) -> int | None:
        """Return None: values are bound, each row by itself."""
        del info
        return None

    def is_transient(self, error: BaseException | None) -> bool:
        """Tell whether it was a conflict with another transaction."""
        return getattr(error, "sqlstate", None) in _CONFLICT_SQLSTATES

    def is_timeout(self, error: BaseException) -> bool:
        """Tell whether the server gave up working; the driver says it in Python's own way."""
        return getattr(error, "sqlstate", None) == _TIMEOUT_SQLSTATE

    def is_permanent(self, error: BaseException) -> bool:
        """Tell whether the server refuses who asks, or what is asked."""
        return getattr(error, "sqlstate", None) in (*_ACCESS_DENIED_SQLSTATES, _FORBIDDEN_SQLSTATE)

    def hint(self, error: BaseException, *, is_encrypted: bool) -> str:
        """Return what to do about a user, a database or a connection that is refused."""
        if not is_encrypted and any(message in str(error) for message in _TLS_REQUIRED_MESSAGES):
            return "; add ?sslmode=require to DATABASE_URL"
        is_access_denied = getattr(error, "sqlstate", None) in _ACCESS_DENIED_SQLSTATES
        return "; check user, password and database in DATABASE_URL" if is_access_denied else ""

    @asynccontextmanager
    async def migration_lock(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Hold an advisory lock: all migrations are one transaction."""
        async with transaction(connection, self.begin):
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK_ID}
            )
            yield


def _mark_disconnected(context: ExceptionContext) -> OperationalError | None:
    """Part with a connection that is of no more use; return what to raise instead of its error."""
    error = context.original_exception
    if getattr(error, "sqlstate", None) == _READ_ONLY_SQLSTATE:
        context.is_disconnect = True
    if isinstance(error, TimeoutError) and context.connection is not None:
        context.is_disconnect = True
        driver = context.connection.connection.driver_connection
        if driver is not None:
            # It is not waited for once more.
            driver.terminate()
    dbapi: Any = context.dialect.loaded_dbapi
    if isinstance(error, dbapi.asyncpg.InternalClientError):
        # The server has taken its leave, and asyncpg has not yet seen the end of the connection.
        context.is_disconnect = True
        return OperationalError(context.statement, None, error, connection_invalidated=True)
    return None
