"""Failures: which of them last until a person does something, and which time may heal."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from sqlalchemy.exc import DataError, OperationalError, ProgrammingError

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage.address import System
from graphql_api.storage.dialects import dialect_for
from graphql_api.storage.failures import NoTls, is_lasting
from tests.databases import opened
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import PASSWORD, USER, Server

MOST = {
    MariaDB: (f"ALTER USER {USER} WITH MAX_USER_CONNECTIONS {{}}", (1, 0)),
    PostgreSQL: (f"ALTER ROLE {USER} CONNECTION LIMIT {{}}", (1, -1)),
}
"""How a server is told how many connections there may be: one, and any number."""


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> Server:
    """Return a server of each kind in turn."""
    server: Server = request.getfixturevalue(request.param)
    return server


async def failure(url: str) -> DatabaseUnavailable:
    """Return how a database fails to be opened."""
    with pytest.raises(DatabaseUnavailable) as caught:
        async with opened(url, seconds=5) as database, database.connect():
            pass
    return caught.value


async def test_wrong_password(server: Server) -> None:
    """A password that is refused lasts."""
    url = server.url(server.create_database())
    assert (await failure(url.replace(quote(PASSWORD, safe=""), "guessed"))).lasting is True


async def test_unknown_database(server: Server) -> None:
    """A database that is not there lasts."""
    assert (await failure(server.url("nowhere"))).lasting is True


async def test_unknown_host(server: Server) -> None:
    """A name that nobody knows may be known soon: a database's container has yet to start."""
    url = server.url("countries").replace("127.0.0.1", "database.invalid")
    assert (await failure(url)).lasting is False


@contextmanager
def limited(server: Server) -> Iterator[None]:
    """Let a server take one connection of tests at a time."""
    statement, (one, any_number) = MOST[type(server)]
    server.execute(statement.format(one))
    try:
        yield
    finally:
        server.execute(statement.format(any_number))


async def test_too_many_connections(server: Server) -> None:
    """A server that has too many connections will have fewer."""
    url = server.url(server.create_database())
    with limited(server):
        async with opened(url) as database, database.connect():
            assert (await failure(url)).lasting is False


async def test_stopped(server: Server) -> None:
    """A server that does not run will be started."""
    other = type(server)()
    assert (await failure(other.url("countries"))).lasting is False


async def test_missing_table(server: Server) -> None:
    """A table that somebody has dropped does not come back by itself."""
    async with opened(server.url(server.create_database())) as database:
        with pytest.raises(DatabaseUnavailable) as caught:
            async with database.connect() as connection:
                await connection.exec_driver_sql("SELECT * FROM nowhere")
    assert caught.value.lasting is True


class Coded(Exception):
    """A driver's error, as far as it is looked at."""

    def __init__(self, code: object) -> None:
        """Have the code where each driver has it."""
        super().__init__(code, "words")
        self.sqlstate = code
        self.sqlite_errorcode = code


@pytest.mark.parametrize(
    ("system", "code", "lasting"),
    [
        (System.MYSQL, 1040, False),  # too many connections
        (System.MYSQL, 1045, True),  # access denied
        (System.MYSQL, 1047, False),  # Galera is not ready
        (System.MYSQL, 1049, True),  # unknown database
        (System.MYSQL, 1053, False),  # the server is shutting down
        (System.MYSQL, 1142, True),  # a right is missing
        (System.MYSQL, 1205, False),  # a lock is waited for
        (System.MYSQL, 1213, False),  # deadlock
        (System.MYSQL, 1290, False),  # read only, as while another server takes over
        (System.MYSQL, 2013, False),  # lost
        (System.MYSQL, 3159, True),  # TLS is demanded
        (System.MYSQL, 9005, False),  # TiDB's region is unavailable
        (System.POSTGRESQL, "08006", False),  # lost
        (System.POSTGRESQL, "25006", False),  # read only, as above
        (System.POSTGRESQL, "28P01", True),  # wrong password
        (System.POSTGRESQL, "3D000", True),  # unknown database
        (System.POSTGRESQL, "40P01", False),  # deadlock
        (System.POSTGRESQL, "42501", True),  # a right is missing
        (System.POSTGRESQL, "53300", False),  # too many connections
        (System.POSTGRESQL, "57P03", False),  # the server is starting
        (System.SQLITE, 5, False),  # busy
        (System.SQLITE, 8, True),  # read only
        (System.SQLITE, 11, True),  # corrupt
        (System.SQLITE, 13, False),  # the disk is full
        (System.SQLITE, 14, True),  # cannot be opened
        (System.SQLITE, 26, True),  # not a database
        (System.SQLITE, 14 | 2 << 8, True),  # cannot be opened, as it is a folder
    ],
)
def test_codes(system: System, code: object, *, lasting: bool) -> None:
    """Each kind of database tells by its own codes what lasts."""
    assert dialect_for(system).is_lasting(Coded(code)) is lasting


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (ConnectionRefusedError(), False),
        (TimeoutError(), False),
        (NoTls(), True),
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
    assert is_lasting(error) is lasting
