"""Databases that hang, drip or refuse: a clear error in time, and recovery at once."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.pool import QueuePool

from graphql_api.errors import ConnectionPoolExhausted, DatabaseUnavailable
from graphql_api.storage import countries
from graphql_api.storage.database import Database, DatabaseConnection
from graphql_api.storage.migrations import migrate
from tests.support.certificates import Certificates
from tests.support.database import SERVERS, begin_transaction, open_database
from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.mysql import MySQL
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.db_servers.process import DatabaseServer
from tests.support.factories import make_country
from tests.support.tcp_proxy import TCPProxy
from tests.support.wait import WAIT_TIMEOUT, wait_until

pytestmark = pytest.mark.slow

Server = DatabaseServer

TIMEOUT = 0.5
"""Timeout of the databases here, in seconds."""
MAX_WAIT = WAIT_TIMEOUT / 3
"""Seconds after which a test fails. asyncio waits 30 for the end of TLS."""
SLEEP_QUERY = {MariaDB: "SELECT SLEEP(60)", MySQL: "SELECT SLEEP(60)", PostgreSQL: "SELECT pg_sleep(60)"}
ROWS_QUERY = {
    MariaDB: "SELECT REPEAT('x', 100), seq FROM seq_1_to_2000",
    MySQL: (
        "WITH RECURSIVE seq AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM seq WHERE i < 1000) "
        "SELECT REPEAT('x', 100), i FROM seq UNION ALL SELECT REPEAT('x', 100), i + 1000 FROM seq"
    ),
    PostgreSQL: "SELECT repeat('x', 100), i FROM generate_series(1, 2000) AS i",
}
RUNNING_SLEEPS_QUERY = {
    MariaDB: "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'",
    MySQL: "SELECT id FROM performance_schema.processlist WHERE info LIKE 'SELECT SLEEP%'",
    PostgreSQL: "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'",
}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    """Return a server of each kind in turn."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="module", params=SERVERS)
def tls_server(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Server]:
    """Lend a server with TLS, of each kind in turn."""
    make_server: Callable[..., Server] = request.getfixturevalue(f"new_{request.param}")
    with make_server(tls=certificates.good) as server:
        yield server


@asynccontextmanager
async def relayed_database(
    relay: TCPProxy,
    server: Server,
    *,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - the database's, not this function's
    **options: Any,  # noqa: ANN401 - what Database takes
) -> AsyncIterator[Database]:
    """Lend a database with a short timeout behind a proxy. Its whole use must end in time."""
    url = server.url(server.create_database(), port=relay.port)
    async with asyncio.timeout(MAX_WAIT), open_database(url, timeout=timeout, **options) as database:
        yield database


@asynccontextmanager
async def expect_failure(database: Database, reason: str | None = None) -> AsyncIterator[None]:
    """Expect a timeout of the database, or an error with `reason`."""
    with pytest.raises(DatabaseUnavailable) as exc_info:
        yield
    assert str(exc_info.value) == (
        f"The database at {database} did not respond within 0.5 s."
        if reason is None
        else f"The database at {database} failed: {reason}."
    )
    assert exc_info.value.permanent is False


async def run_statement(database: Database, sql: str = "SELECT 1") -> object:
    """Run a statement, and return the driver's connection."""
    async with database.connect() as connection:
        await connection.exec_driver_sql(sql)
        return (await connection.get_raw_connection()).driver_connection


async def run_until_success(database: Database) -> object:
    """Do the same until it succeeds, however slowly this machine connects."""
    while True:
        with suppress(DatabaseUnavailable):
            return await run_statement(database)


def count_checked_out(database: Database) -> int:
    """Return the number of pooled connections in use."""
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


@pytest.fixture
def relay(server: Server) -> Iterator[TCPProxy]:
    """Lend a proxy in front of the server."""
    with TCPProxy(server.port) as relay:
        yield relay


async def test_never_greets(server: Server, relay: TCPProxy) -> None:
    """A server that accepts connections silently times out, and is used once it responds."""
    async with relayed_database(relay, server) as database:
        relay.hang = True
        async with expect_failure(database):
            await run_statement(database)
        relay.hang = False
        await run_until_success(database)


async def test_stopped(server: Server, relay: TCPProxy) -> None:
    """A server whose processes are stopped times out too."""
    async with relayed_database(relay, server) as database:
        server.pause()
        try:
            async with expect_failure(database):
                await run_statement(database)
        finally:
            server.resume()
        await run_until_success(database)


async def test_greets_byte_by_byte(server: Server, relay: TCPProxy) -> None:
    """A handshake that progresses but does not end times out too."""
    async with relayed_database(relay, server) as database:
        relay.bytes_per_second = 50
        async with expect_failure(database):
            await run_statement(database)
        relay.bytes_per_second = None
        await run_until_success(database)


def read_greeting(server: Server) -> bytes:
    """Return what a server sends before the TLS handshake."""
    if isinstance(server, PostgreSQL):
        return b"S"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        return connection.recv(4096)


async def test_hangs_in_the_handshake_of_tls(tls_server: Server, certificates: Certificates) -> None:
    """A server that agrees to TLS and then stays silent times out."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(read_greeting(tls_server))
            with suppress(ConnectionError):
                while await reader.read(4096):
                    pass
        finally:
            writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = tls_server.url("postgres", port=listener.sockets[0].getsockname()[1])
    authority = str(certificates.authority)
    async with (
        asyncio.timeout(MAX_WAIT),
        open_database(url, timeout=TIMEOUT, ssl_ca=authority) as database,
        expect_failure(database),
    ):
        await run_statement(database)
    listener.close()


async def check_hang_in_statement(relay: TCPProxy, database: Database, sql: str) -> None:
    """Check that a hanging connection is not used again, and the next one is."""
    old_connection = await run_until_success(database)
    assert await run_statement(database) is old_connection
    relay.hang = True
    async with expect_failure(database):
        await run_statement(database, sql)
    relay.hang = False
    assert count_checked_out(database) == 0
    new_connection = await run_until_success(database)
    assert new_connection is not old_connection
    assert await run_statement(database) is new_connection


async def test_hangs_in_a_statement(server: Server, relay: TCPProxy) -> None:
    """A server that hangs in a statement times out, and its connection is dropped."""
    async with relayed_database(relay, server, pool_size=1, max_overflow=0) as database:
        await check_hang_in_statement(relay, database, "SELECT 1")


async def test_hangs_in_a_long_statement(server: Server, relay: TCPProxy) -> None:
    """The same holds while the statement is still being sent."""
    async with relayed_database(relay, server) as database:
        await check_hang_in_statement(relay, database, f"SELECT '{'x' * 12_000_000}'")


def count_open_files() -> int:
    """Return the number of open files and sockets of this process."""
    return len(list(Path("/dev/fd").iterdir()))


async def test_statement_that_nobody_takes_in(server: Server) -> None:
    """A dropped connection is closed at once, also with much unsent data."""
    url = server.url(server.create_database())
    async with asyncio.timeout(MAX_WAIT), open_database(url, timeout=TIMEOUT) as database:
        await run_until_success(database)
        server.pause()
        try:
            before = count_open_files()
            async with expect_failure(database):
                await run_statement(database, f"SELECT '{'x' * 12_000_000}'")
            while count_open_files() >= before:  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0)
        finally:
            server.resume()
        await run_until_success(database)


@asynccontextmanager
async def tls_database(server: Server, certificates: Certificates) -> AsyncIterator[tuple[TCPProxy, Database]]:
    """Return a database over TLS, and the proxy in front of it."""
    with TCPProxy(server.port) as relay:
        async with relayed_database(relay, server, ssl_ca=str(certificates.authority)) as database:
            yield relay, database


async def test_hangs_in_a_statement_over_tls(tls_server: Server, certificates: Certificates) -> None:
    """It is the same over TLS, whose end a server has to confirm."""
    async with tls_database(tls_server, certificates) as (relay, database):
        await check_hang_in_statement(relay, database, "SELECT 1")


async def test_hangs_when_taking_leave_over_tls(tls_server: Server, certificates: Certificates) -> None:
    """Closing the database closes its sockets at once, also without a confirmation over TLS."""
    async with tls_database(tls_server, certificates) as (relay, database):
        before = count_open_files()
        await run_until_success(database)
        relay.hang = True
        await database.dispose()
        await asyncio.sleep(0)  # lets the event loop close dropped sockets
        assert count_open_files() <= before + 2  # the proxy's own, to both sides


async def start_slow_query(
    relay: TCPProxy, database: Database, server: Server, *, drip: float = 2000
) -> asyncio.Task[object]:
    """Request a response of 200 kB that drips, and return once some of it has arrived."""
    assert await run_until_success(database)
    relay.reset_counts()
    relay.bytes_per_second = drip
    task = asyncio.create_task(run_statement(database, ROWS_QUERY[type(server)]))
    while not relay.round_trips:  # noqa: ASYNC110 - another thread counts
        await asyncio.sleep(0)
    return task


async def test_drips_an_answer(server: Server, relay: TCPProxy) -> None:
    """A response that progresses but does not end times out: the limit is for all of it."""
    async with relayed_database(relay, server) as database:
        task = await start_slow_query(relay, database, server)
        async with expect_failure(database):
            await task
        relay.bytes_per_second = None
        assert count_checked_out(database) == 0
        await run_until_success(database)


async def test_hangs_within_an_answer(server: Server, relay: TCPProxy) -> None:
    """A server that hangs in the middle of its response times out."""
    async with relayed_database(relay, server) as database:
        task = await start_slow_query(relay, database, server)
        relay.hang = True
        async with expect_failure(database):
            await task
        relay.hang, relay.bytes_per_second = False, None
        assert count_checked_out(database) == 0
        await run_until_success(database)


async def test_hangs_in_work(server: Server, relay: TCPProxy) -> None:
    """An operation with retries times out as soon as a single statement does."""
    attempts = []

    async def operation(connection: DatabaseConnection) -> None:
        attempts.append(connection)
        await connection.execute(select(1))

    async with relayed_database(relay, server) as database:
        await run_until_success(database)
        await database.run(operation)
        relay.hang = True
        async with expect_failure(database):
            await database.run(operation)
        async with expect_failure(database):
            await database.run(database.in_transaction(operation))
        assert len(attempts) == 2
        relay.hang = False
        await run_until_success(database)
        await database.run(database.in_transaction(operation))


async def test_hangs_in_place_of_a_dead_connection(server: Server, relay: TCPProxy) -> None:
    """The timeout is no longer if a connection died and another one is opened."""

    async def operation(connection: DatabaseConnection) -> None:
        await connection.execute(select(1))

    async with relayed_database(relay, server) as database:
        await run_until_success(database)
        async with database.connect() as connection:
            relay.hang = True
            relay.cut()
            async with expect_failure(database):
                await database.retrying(connection, operation)
        relay.hang = False
        await run_until_success(database)


async def test_fails_while_the_server_hangs(tls_server: Server, certificates: Certificates) -> None:
    """Dropping a transaction does not wait for a hanging server to confirm the end of TLS."""

    async def fail(relay: TCPProxy, database: Database) -> None:
        async with begin_transaction(database):
            relay.hang = True
            raise ZeroDivisionError

    with TCPProxy(tls_server.port) as relay:
        async with relayed_database(relay, tls_server, ssl_ca=str(certificates.authority)) as database:
            await run_until_success(database)
            with pytest.raises(ZeroDivisionError):
                await fail(relay, database)
            assert count_checked_out(database) == 0
            relay.hang = False
            await run_until_success(database)


async def test_works_too_long(server: Server, relay: TCPProxy) -> None:
    """A slow statement has the same error, whether the client or the server stops it."""
    async with relayed_database(relay, server) as database:
        async with expect_failure(database):
            await run_statement(database, SLEEP_QUERY[type(server)])
        await run_until_success(database)
        wait_until(lambda: server.execute(RUNNING_SLEEPS_QUERY[type(server)]) == "", "the statement still runs")


async def test_refuses(server: Server, relay: TCPProxy) -> None:
    """A refused connection fails at once, with what to check."""
    reason = f"Connect call failed ('127.0.0.1', {relay.port}) (111)"
    async with relayed_database(relay, server) as database:
        relay.refuse()
        async with expect_failure(database, f"{reason}; check host and port in DATABASE_URL"):
            await run_statement(database)
        relay.accept()
        await run_until_success(database)


async def test_no_such_host() -> None:
    """An unknown host is reported as such."""
    async with asyncio.timeout(MAX_WAIT), open_database("mysql://user:pw@nowhere.invalid/db") as database:
        with pytest.raises(DatabaseUnavailable) as exc_info:
            await run_statement(database)
        assert str(exc_info.value).endswith("; check host and port in DATABASE_URL.")


async def test_full_pool(server: Server, relay: TCPProxy) -> None:
    """With all connections in use a caller fails in time, and succeeds once one is returned."""
    async with relayed_database(relay, server, pool_size=1, max_overflow=1) as database:
        async with database.connect(), database.connect():
            with pytest.raises(ConnectionPoolExhausted) as exc_info:
                await run_statement(database)
            assert str(exc_info.value) == (
                "All 2 connections to the database were in use for 0.5 s; nothing was changed. "
                "Raise DATABASE_POOL_SIZE or DATABASE_MAX_OVERFLOW."
            )
        assert count_checked_out(database) == 0
        await run_until_success(database)


async def test_many_at_once(server: Server, relay: TCPProxy) -> None:
    """All callers of a hanging server fail in time, and the pool is complete afterwards."""
    async with relayed_database(relay, server, pool_size=2, max_overflow=1) as database:
        await run_until_success(database)
        relay.hang = True
        errors = await asyncio.gather(*(run_statement(database) for _ in range(9)), return_exceptions=True)
        assert all(isinstance(error, DatabaseUnavailable) for error in errors)
        relay.hang = False
        assert count_checked_out(database) == 0
        async with asyncio.TaskGroup() as group:
            for _ in range(9):
                group.create_task(run_until_success(database))
        assert count_checked_out(database) == 0


async def test_cancelled(server: Server, relay: TCPProxy) -> None:
    """A statement of a cancelled caller is stopped, and its connection is not used again."""
    async with relayed_database(relay, server, timeout=2) as database:
        old_connection = await run_until_success(database)
        task = asyncio.create_task(run_statement(database, SLEEP_QUERY[type(server)]))
        while not await asyncio.to_thread(server.execute, RUNNING_SLEEPS_QUERY[type(server)]):
            assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await run_until_success(database) is not old_connection
        wait_until(lambda: server.execute(RUNNING_SLEEPS_QUERY[type(server)]) == "", "the statement still runs")


@pytest.mark.parametrize("steps", range(8))
async def test_cancelled_within_an_answer(server: Server, relay: TCPProxy, steps: int) -> None:
    """A cancellation is not lost, even while a part of the response is processed."""
    async with relayed_database(relay, server, timeout=MAX_WAIT) as database:
        task = await start_slow_query(relay, database, server, drip=20_000)
        time.sleep(0.03)  # noqa: ASYNC251 - a part of the response arrives and waits for the event loop
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        relay.bytes_per_second = None
        assert count_checked_out(database) == 0
        await run_until_success(database)


async def open_connections(database: Database) -> None:
    """Leave three connections in the pool."""
    async with database.connect(), database.connect(), database.connect():
        pass
    assert isinstance(database.engine.pool, QueuePool)
    assert database.engine.pool.checkedin() == 3


async def test_dispose(server: Server, relay: TCPProxy) -> None:
    """Connections to a hanging server are closed too."""
    async with relayed_database(relay, server) as database:
        await open_connections(database)
        relay.hang = True
        await database.dispose()
        relay.hang = False
        await asyncio.to_thread(wait_until, lambda: relay.live_connections == 0, "a connection is still open")


async def test_dispose_over_tls(tls_server: Server, certificates: Certificates) -> None:
    """It is the same over TLS, whose end a server has to confirm."""
    with TCPProxy(tls_server.port) as relay:
        async with relayed_database(relay, tls_server, ssl_ca=str(certificates.authority)) as database:
            await open_connections(database)
            relay.hang = True
            await database.dispose()
            relay.hang = False
            await asyncio.to_thread(wait_until, lambda: relay.live_connections == 0, "a connection is still open")


async def test_locked_table(mysql_family: MySQLFamilyServer) -> None:
    """A write to a table that another session has locked ends on the server too: MySQL limits SELECT alone."""
    name = mysql_family.create_database()
    async with (
        open_database(mysql_family.url(name), timeout=1) as database,
        open_database(mysql_family.url(name)) as other,
    ):
        await migrate(database)
        async with other.connect() as connection:
            await connection.exec_driver_sql("LOCK TABLES countries WRITE")
            with pytest.raises(DatabaseUnavailable):
                await database.run(lambda connection: countries.upsert(connection, [make_country()]))
            running = "SELECT info FROM information_schema.processlist WHERE info LIKE 'INSERT INTO countries%'"
            await asyncio.to_thread(wait_until, lambda: mysql_family.execute(running) == "", "the INSERT still waits")
            await connection.exec_driver_sql("UNLOCK TABLES")
        assert await database.run(countries.load) == []
