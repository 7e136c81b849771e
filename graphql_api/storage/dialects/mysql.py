"""MySQL and MariaDB: one text statement carries all rows of an upsert."""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sqlalchemy import ExceptionContext, Table, event, func, null, text
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.dml import Insert

from graphql_api.storage.dialects.asyncmy_connection import connect
from graphql_api.storage.dialects.base import ConnectionOptions, Dialect

_DEFAULT_PORT = 3306
_MAX_DRIVER_STATEMENT_BYTES = 1_000_000
"""asyncmy silently splits an upsert of more than 1,024,000 bytes in two statements."""
_MAX_PACKET_KEY = "max_allowed_packet"

_CONFLICT_CODES = (1213, 1205, 1062, 3101, 8022, 8028, 9007)
"""Deadlock, also as a Galera cluster reports it; lock wait timeout; duplicate key of a sequence
number; conflicts of Group Replication and of TiDB."""
_NOT_WRITABLE_CODES = (1047, 1290, 1792, 1836)
"""A node outside its cluster, and a server that became read-only after a failover."""
_NO_DATABASE_CODE = 1046
"""The connection's database was dropped. A new connection finds the one created in its place."""
_ACCESS_DENIED_CODES = (1044, 1045, 1049, 1698)
_FORBIDDEN_CODES = (1129, 1130, 1142, 1143, 1227, 1251)
"""Blocked or unknown host, missing privilege, unsupported authentication method."""
_TLS_REQUIRED_CODE = 3159
_MIN_SERVER_CODE = 1000
_DRIVER_CODES = range(2000, 3000)
_UNCONFIRMED_CODES = (1047, 1180)
"""A Galera node lost its cluster, perhaps while it committed; an error during COMMIT."""
_TIMEOUT_CODES = (1969, 3024)  # MariaDB's max_statement_time, and MySQL's max_execution_time

# The sql_mode of the server may have NO_BACKSLASH_ESCAPES or ANSI_QUOTES, which change the meaning
# of quoted text.
# SQLAlchemy adds SET NAMES, as some servers ignore the character set of the handshake.
_SESSION_SQL = (
    # MySQL warns about strict mode without the three modes in the middle.
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION', "
    "innodb_lock_wait_timeout = %s"
    # Executable comments of MariaDB and of MySQL. The limits end statements whose caller is gone. MySQL's is for
    # SELECT alone; a write waits for a locked row or table, by default for a year.
    " /*M!100100 , max_statement_time = %s */ /*!50708 , max_execution_time = %s, lock_wait_timeout = %s */"
)


class MySQL(Dialect):
    """MySQL and MariaDB, through asyncmy."""

    begin = "START TRANSACTION"
    batch_is_atomic = True

    def create_engine(self, url: URL, options: ConnectionOptions) -> AsyncEngine:
        """Return an engine whose sessions have the same settings on every server."""
        engine = create_async_engine(
            url.set(drivername="mysql+asyncmy", port=url.port or _DEFAULT_PORT),
            connect_args={
                "async_creator_fn": partial(connect, timeout=options.timeout),
                "autocommit": True,
                "ssl": options.ssl_context,
            },
            **options.engine_kwargs,
        )
        timeouts = (
            math.ceil(options.timeout),  # InnoDB takes whole seconds
            options.timeout,
            math.ceil(options.timeout * 1000),
            math.ceil(options.timeout),
        )

        # insert=True: before SQLAlchemy inspects the server.
        @event.listens_for(engine.sync_engine, "connect", insert=True)
        def on_connect(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
            cursor = connection.cursor()
            cursor.execute(_SESSION_SQL, timeouts)
            cursor.execute("SELECT @@max_allowed_packet")
            (record.info[_MAX_PACKET_KEY],) = cursor.fetchone() or (_MAX_DRIVER_STATEMENT_BYTES,)
            cursor.close()

        event.listen(engine.sync_engine, "handle_error", _mark_disconnected)
        return engine

    def upsert(self, table: Table, columns: Sequence[str], *, key: str, fence: str) -> Insert:
        """Return INSERT … ON DUPLICATE KEY UPDATE."""
        statement = insert(table)
        new = statement.inserted
        updates = {name: new[name] for name in columns if name not in (key, fence)}
        fenced_value = func.IF(new[fence] >= table.c[fence], new[fence], null())
        return statement.on_duplicate_key_update({**updates, fence: fenced_value})

    def max_statement_bytes(self, info: Mapping[str, Any]) -> int | None:
        """Return the lower of the server's and the driver's limit."""
        return min(_MAX_DRIVER_STATEMENT_BYTES, int(info[_MAX_PACKET_KEY]) - 1024)

    def is_transient(self, error: BaseException | None) -> bool:
        """Return whether it is a deadlock, a lock wait timeout or a duplicate key."""
        return _error_code(error) in _CONFLICT_CODES

    def is_rejection(self, error: BaseException | None) -> bool:
        """Return whether the server reported it, and not while it committed."""
        code = _error_code(error)
        is_of_server = isinstance(code, int) and code >= _MIN_SERVER_CODE and code not in _DRIVER_CODES
        return is_of_server and code not in _UNCONFIRMED_CODES

    def is_timeout(self, error: BaseException) -> bool:
        """Return whether the server stopped the statement."""
        return _error_code(error) in _TIMEOUT_CODES

    def is_permanent(self, error: BaseException) -> bool:
        """Return whether the server rejects the user, the host or the connection."""
        return _error_code(error) in (*_ACCESS_DENIED_CODES, *_FORBIDDEN_CODES) or _requires_tls(error)

    def hint(self, error: BaseException, *, is_encrypted: bool) -> str:
        """Return how to fix a rejected user, database or connection."""
        if _requires_tls(error):
            return "; add ?ssl-mode=REQUIRED to DATABASE_URL"
        if _error_code(error) not in _ACCESS_DENIED_CODES:
            return ""
        # MariaDB rejects a connection without TLS with the error of a wrong password.
        tls_hint = "" if is_encrypted else ", and add ?ssl-mode=REQUIRED if the server requires TLS"
        return f"; check user, password and database in DATABASE_URL{tls_hint}"

    @asynccontextmanager
    async def migration_lock(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Hold a named lock. MySQL commits each DDL statement, so a transaction does not help."""
        name = {"name": "graphql_api.migrations"}
        await connection.execute(text("SELECT GET_LOCK(:name, 60)"), name)
        try:
            yield
        finally:
            await connection.execute(text("SELECT RELEASE_LOCK(:name)"), name)


def _requires_tls(error: BaseException) -> bool:
    # Vitess and TiDB have no code for it, only this word.
    return _error_code(error) == _TLS_REQUIRED_CODE or "insecure" in str(error)


def _mark_disconnected(context: ExceptionContext) -> None:
    """Drop a connection to a server that is read-only now, or to a database that was dropped."""
    if _error_code(context.original_exception) in (*_NOT_WRITABLE_CODES, _NO_DATABASE_CODE):
        context.is_disconnect = True


def _error_code(error: BaseException | None) -> object:
    return error.args[0] if error is not None and error.args else None
