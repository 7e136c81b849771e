"""Failures: which of them last until a person does something, and which time may heal."""

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
from tests.support.database import open_database
from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.db_servers.process import PASSWORD, USER, DatabaseServer

CONNECTION_LIMIT = {
    MariaDB: (f"ALTER USER {USER} WITH MAX_USER_CONNECTIONS {{}}", (1, 0)),
    PostgreSQL: (f"ALTER ROLE {USER} CONNECTION LIMIT {{}}", (1, -1)),
}
"""How a server is told how many connections there may be: one, and any number."""


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Return a server of each kind in turn."""
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server


async def open_failure(url: str) -> DatabaseUnavailable:
    """Return how a database fails to be opened."""
    with pytest.raises(DatabaseUnavailable) as exc_info:
        async with open_database(url, timeout=5) as database, database.connect():
            pass
    return exc_info.value


async def test_wrong_password(server: DatabaseServer) -> None:
    """A password that is refused lasts."""
    url = server.url(server.create_database())
    assert (await open_failure(url.replace(quote(PASSWORD, safe=""), "guessed"))).permanent is True


async def test_unknown_database(server: DatabaseServer) -> None:
    """A database that is not there lasts."""
    assert (await open_failure(server.url("nowhere"))).permanent is True


async def test_unknown_host(server: DatabaseServer) -> None:
    """A name that nobody knows may be known soon: a database's container has yet to start."""
    url = server.url("countries").replace("127.0.0.1", "database.invalid")
    assert (await open_failure(url)).permanent is False


@contextmanager
def limit_connections(server: DatabaseServer) -> Iterator[None]:
    """Let a server take one connection of tests at a time."""
    statement, (single, unlimited) = CONNECTION_LIMIT[type(server)]
    server.execute(statement.format(single))
    try:
        yield
    finally:
        server.execute(statement.format(unlimited))


async def test_too_many_connections(server: DatabaseServer) -> None:
    """A server that has too many connections will have fewer."""
    url = server.url(server.create_database())
    with limit_connections(server):
        async with open_database(url) as database, database.connect():
            assert (await open_failure(url)).permanent is False


async def test_stopped(server: DatabaseServer) -> None:
    """A server that does not run will be started."""
    stopped_server = type(server)()
    assert (await open_failure(stopped_server.url("countries"))).permanent is False


async def test_missing_table(server: DatabaseServer) -> None:
    """A table that somebody has dropped does not come back by itself."""
    async with open_database(server.url(server.create_database())) as database:
        with pytest.raises(DatabaseUnavailable) as exc_info:
            async with database.connect() as connection:
                await connection.exec_driver_sql("SELECT * FROM nowhere")
    assert exc_info.value.permanent is True


class CodedError(Exception):
    """A driver's error, as far as it is looked at."""

    def __init__(self, code: object) -> None:
        """Have the code where each driver has it."""
        super().__init__(code, "words")
        self.sqlstate = code
        self.sqlite_errorcode = code


@pytest.mark.parametrize(
    ("system", "code", "lasting"),
    [
        (DatabaseKind.MYSQL, 1040, False),  # too many connections
        (DatabaseKind.MYSQL, 1045, True),  # access denied
        (DatabaseKind.MYSQL, 1047, False),  # Galera is not ready
        (DatabaseKind.MYSQL, 1049, True),  # unknown database
        (DatabaseKind.MYSQL, 1053, False),  # the server is shutting down
        (DatabaseKind.MYSQL, 1142, True),  # a right is missing
        (DatabaseKind.MYSQL, 1205, False),  # a lock is waited for
        (DatabaseKind.MYSQL, 1213, False),  # deadlock
        (DatabaseKind.MYSQL, 1290, False),  # read only, as while another server takes over
        (DatabaseKind.MYSQL, 2013, False),  # lost
        (DatabaseKind.MYSQL, 3159, True),  # TLS is demanded
        (DatabaseKind.MYSQL, 9005, False),  # TiDB's region is unavailable
        (DatabaseKind.POSTGRESQL, "08006", False),  # lost
        (DatabaseKind.POSTGRESQL, "25006", False),  # read only, as above
        (DatabaseKind.POSTGRESQL, "28P01", True),  # wrong password
        (DatabaseKind.POSTGRESQL, "3D000", True),  # unknown database
        (DatabaseKind.POSTGRESQL, "40P01", False),  # deadlock
        (DatabaseKind.POSTGRESQL, "42501", True),  # a right is missing
        (DatabaseKind.POSTGRESQL, "53300", False),  # too many connections
        (DatabaseKind.POSTGRESQL, "57P03", False),  # the server is starting
        (DatabaseKind.SQLITE, 5, False),  # busy
        (DatabaseKind.SQLITE, 8, True),  # read only
        (DatabaseKind.SQLITE, 11, True),  # corrupt
        (DatabaseKind.SQLITE, 13, False),  # the disk is full
        (DatabaseKind.SQLITE, 14, True),  # cannot be opened
        (DatabaseKind.SQLITE, 26, True),  # not a database
        (DatabaseKind.SQLITE, 14 | 2 << 8, True),  # cannot be opened, as it is a folder
    ],
)
def test_codes(system: DatabaseKind, code: object, *, lasting: bool) -> None:
    """Each kind of database tells by its own codes what lasts."""
    assert get_dialect(system).is_permanent(CodedError(code)) is lasting


@pytest.mark.parametrize(
    ("error", "lasting"),
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
def test_errors(error: Exception, *, lasting: bool) -> None:
    """Whatever the database, TLS that is refused and statements that are wrong last."""
    assert is_permanent(error) is lasting
