"""Database errors: which are permanent, and which are transient."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from sqlalchemy.exc import DataError, OperationalError, ProgrammingError

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage.dialects import get_dialect
from graphql_api.storage.errors import TLSNotSupported, is_permanent
from graphql_api.storage.url import DatabaseKind
from tests.support.database import SERVERS, open_database
from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.mysql import MySQL
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.db_servers.process import PASSWORD, USER, DatabaseServer

CONNECTION_LIMIT = {
    MariaDB: (f"ALTER USER {USER} WITH MAX_USER_CONNECTIONS {{}}", (1, 0)),
    MySQL: (f"ALTER USER {USER} WITH MAX_USER_CONNECTIONS {{}}", (1, 0)),
    PostgreSQL: (f"ALTER ROLE {USER} CONNECTION LIMIT {{}}", (1, -1)),
}
"""The statement that limits connections, with the values for one and for no limit."""


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Return a server of each kind in turn."""
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server


async def open_failure(url: str) -> DatabaseUnavailable:
    """Return the error of opening a database."""
    with pytest.raises(DatabaseUnavailable) as exc_info:
        async with open_database(url, timeout=5) as database, database.connect():
            pass
    return exc_info.value


async def test_wrong_password(server: DatabaseServer) -> None:
    """A rejected password is permanent."""
    url = server.url(server.create_database())
    assert (await open_failure(url.replace(quote(PASSWORD, safe=""), "guessed"))).permanent is True


async def test_unknown_database(server: DatabaseServer) -> None:
    """A missing database is permanent."""
    assert (await open_failure(server.url("nowhere"))).permanent is True


async def test_unknown_host(server: DatabaseServer) -> None:
    """An unknown host is transient: the container of the database may be starting."""
    url = server.url("countries").replace("127.0.0.1", "database.invalid")
    assert (await open_failure(url)).permanent is False


@contextmanager
def limit_connections(server: DatabaseServer) -> Iterator[None]:
    """Let the tests open one connection at a time."""
    statement, (single, unlimited) = CONNECTION_LIMIT[type(server)]
    server.execute(statement.format(single))
    try:
        yield
    finally:
        server.execute(statement.format(unlimited))


async def test_too_many_connections(server: DatabaseServer) -> None:
    """Too many connections are transient."""
    url = server.url(server.create_database())
    with limit_connections(server):
        async with open_database(url) as database, database.connect():
            assert (await open_failure(url)).permanent is False


async def test_stopped(server: DatabaseServer) -> None:
    """A server that does not run is transient."""
    stopped_server = type(server)()
    assert (await open_failure(stopped_server.url("countries"))).permanent is False


async def test_missing_table(server: DatabaseServer) -> None:
    """A missing table is permanent."""
    async with open_database(server.url(server.create_database())) as database:
        with pytest.raises(DatabaseUnavailable) as exc_info:
            async with database.connect() as connection:
                await connection.exec_driver_sql("SELECT * FROM nowhere")
    assert exc_info.value.permanent is True


class CodedError(Exception):
    """An error with the code where each driver has it."""

    def __init__(self, code: object) -> None:
        super().__init__(code, "words")
        self.sqlstate = code
        self.sqlite_errorcode = code


@pytest.mark.parametrize(
    ("kind", "code", "permanent"),
    [
        (DatabaseKind.MYSQL, 1040, False),  # too many connections
        (DatabaseKind.MYSQL, 1045, True),  # access denied
        (DatabaseKind.MYSQL, 1047, False),  # Galera is not ready
        (DatabaseKind.MYSQL, 1049, True),  # unknown database
        (DatabaseKind.MYSQL, 1053, False),  # the server is shutting down
        (DatabaseKind.MYSQL, 1142, True),  # missing privilege
        (DatabaseKind.MYSQL, 1205, False),  # lock wait timeout
        (DatabaseKind.MYSQL, 1213, False),  # deadlock
        (DatabaseKind.MYSQL, 1290, False),  # read-only during a failover
        (DatabaseKind.MYSQL, 2013, False),  # lost
        (DatabaseKind.MYSQL, 3101, False),  # a conflict in Group Replication
        (DatabaseKind.MYSQL, 3159, True),  # TLS is required
        (DatabaseKind.MYSQL, 9005, False),  # TiDB's region is unavailable
        (DatabaseKind.POSTGRESQL, "08006", False),  # lost
        (DatabaseKind.POSTGRESQL, "25006", False),  # read-only, as above
        (DatabaseKind.POSTGRESQL, "28P01", True),  # wrong password
        (DatabaseKind.POSTGRESQL, "3D000", True),  # unknown database
        (DatabaseKind.POSTGRESQL, "40P01", False),  # deadlock
        (DatabaseKind.POSTGRESQL, "42501", True),  # missing privilege
        (DatabaseKind.POSTGRESQL, "53300", False),  # too many connections
        (DatabaseKind.POSTGRESQL, "57P03", False),  # the server is starting
        (DatabaseKind.SQLITE, 5, False),  # busy
        (DatabaseKind.SQLITE, 8, True),  # read-only
        (DatabaseKind.SQLITE, 11, True),  # corrupt
        (DatabaseKind.SQLITE, 13, False),  # the disk is full
        (DatabaseKind.SQLITE, 14, True),  # cannot be opened
        (DatabaseKind.SQLITE, 26, True),  # not a database
        (DatabaseKind.SQLITE, 14 | 2 << 8, True),  # a folder, cannot be opened
    ],
)
def test_codes(kind: DatabaseKind, code: object, *, permanent: bool) -> None:
    """Each dialect knows the permanent errors of its database by their codes."""
    assert get_dialect(kind).is_permanent(CodedError(code)) is permanent


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (ConnectionRefusedError(), False),
        (TimeoutError(), False),
        (TLSNotSupported(), True),
        (ConnectionError("PostgreSQL server at x rejected SSL upgrade"), True),
        (ssl.SSLCertVerificationError(), True),
        (ssl.SSLError(1, "wrong version number"), True),
        (ssl.SSLEOFError(8, "unexpected EOF"), False),
        (OperationalError("SELECT", {}, Exception("words")), False),
        (ProgrammingError("SELECT", {}, Exception("words")), True),
        (DataError("SELECT", {}, Exception("words")), True),
    ],
)
def test_errors(error: Exception, *, permanent: bool) -> None:
    """Failed TLS handshakes and wrong statements are permanent on every database."""
    assert is_permanent(error) is permanent
