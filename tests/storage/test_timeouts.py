"""Databases that hang, drip or refuse: an error in time that says so, and recovery at once."""

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

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage.engine import Connection, Database
from tests.databases import opened
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import PATIENCE, wait
from tests.servers.relay import Relay
from tests.servers.tls import Certificates

pytestmark = pytest.mark.slow

Server = MariaDB | PostgreSQL

SECONDS = 0.5
"""How long a database is waited for here."""
BOUND = PATIENCE / 3
"""Seconds after which a wait has failed; asyncio would wait 30 for the end of TLS."""
SLEEP = {MariaDB: "SELECT SLEEP(60)", PostgreSQL: "SELECT pg_sleep(60)"}
ROWS = {
    MariaDB: "SELECT REPEAT('x', 100), seq FROM seq_1_to_2000",
    PostgreSQL: "SELECT repeat('x', 100), i FROM generate_series(1, 2000) AS i",
}
SLEEPING = {
    MariaDB: "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'",
    PostgreSQL: "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' "
    "AND state = 'active'",
}


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> Server:
    """Return a server of each kind in turn."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def encrypting(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Server]:
    """Lend a server of each kind in turn that speaks TLS."""
    new: Callable[..., Server] = request.getfixturevalue(f"new_{request.param}")
    with new(tls=certificates.good) as server:
        yield server


@asynccontextmanager
async def over(
    relay: Relay,
    server: Server,
    *,
    seconds: float = SECONDS,
    **options: Any,  # noqa: ANN401 - what Database takes
) -> AsyncIterator[Database]:
    """Lend an impatient database behind a relay; all of it must end in time."""
    url = server.url(server.create_database(), port=relay.port)
    async with asyncio.timeout(BOUND), opened(url, seconds=seconds, **options) as database:
        yield database


@asynccontextmanager
async def fails(database: Database, reason: str | None = None) -> AsyncIterator[None]:
    """Expect that the database does not answer in time, or fails for another reason."""
    with pytest.raises(DatabaseUnavailable) as caught:
        yield
    assert str(caught.value) == (
        f"The database at {database} did not answer within 0.5 s."
        if reason is None
        else f"The database at {database} failed: {reason}."
    )
    assert caught.value.lasting is False


async def ask(database: Database, sql: str = "SELECT 1") -> object:
    """Ask over a connection of the pool, and return the connection of the driver."""
    async with database.connect() as connection:
        await connection.exec_driver_sql(sql)
        return (await connection.get_raw_connection()).driver_connection


async def answer(database: Database) -> object:
    """Do the same with a server that answers, however slowly this machine connects to it."""
    while True:
        with suppress(DatabaseUnavailable):
            return await ask(database)


def lent(database: Database) -> int:
    """Return how many connections the pool has lent."""
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    """Lend a relay before the server."""
    with Relay(server.port) as relay:
        yield relay


async def test_never_greets(server: Server, relay: Relay) -> None:
    """A server that takes connections and says nothing is given up, and used when it speaks."""
    async with over(relay, server) as database:
        relay.hang = True
        async with fails(database):
            await ask(database)
        relay.hang = False
        await answer(database)


async def test_stopped(server: Server, relay: Relay) -> None:
    """A server whose processes are stopped is the same."""
    async with over(relay, server) as database:
        server.pause()
        try:
            async with fails(database):
                await ask(database)
        finally:
            server.resume()
        await answer(database)


async def test_greets_byte_by_byte(server: Server, relay: Relay) -> None:
    """A handshake that makes headway and does not end is given up, too."""
    async with over(relay, server) as database:
        relay.drip = 50
        async with fails(database):
            await ask(database)
        relay.drip = None
        await answer(database)


def greeting(server: Server) -> bytes:
    """Return what a server says before the handshake of TLS."""
    if isinstance(server, PostgreSQL):
        return b"S"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        return client.recv(4096)


async def test_hangs_in_the_handshake_of_tls(
    encrypting: Server, certificates: Certificates
) -> None:
    """A server that agrees to speak TLS, and then says nothing, is given up."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(greeting(encrypting))
            with suppress(ConnectionError):
                while await reader.read(4096):
                    pass
        finally:
            writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = encrypting.url("postgres", port=listener.sockets[0].getsockname()[1])
    authority = str(certificates.authority)
    async with (
        asyncio.timeout(BOUND),
        opened(url, seconds=SECONDS, ssl_ca=authority) as database,
        fails(database),
    ):
        await ask(database)
    listener.close()


async def hang_in_a_statement(relay: Relay, database: Database, sql: str) -> None:
    """Prove that a connection on which a server hangs is not used again, and the next one is."""
    before = await answer(database)
    assert await ask(database) is before
    relay.hang = True
    async with fails(database):
        await ask(database, sql)
    relay.hang = False
    assert lent(database) == 0
    after = await answer(database)
    assert after is not before
    assert await ask(database) is after


async def test_hangs_in_a_statement(server: Server, relay: Relay) -> None:
    """A server that hangs in a statement is given up, and its connection with it."""
    async with over(relay, server, pool_size=1, max_overflow=0) as database:
        await hang_in_a_statement(relay, database, "SELECT 1")


async def test_hangs_in_a_long_statement(server: Server, relay: Relay) -> None:
    """It is the same while the statement is still being sent."""
    async with over(relay, server) as database:
        await hang_in_a_statement(relay, database, f"SELECT '{'x' * 12_000_000}'")


def open_files() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(Path("/dev/fd").iterdir()))


async def test_statement_that_nobody_takes_in(server: Server) -> None:
    """A connection that is given up is closed at once, also with much that is not yet sent."""
    url = server.url(server.create_database())
    async with asyncio.timeout(BOUND), opened(url, seconds=SECONDS) as database:
        await answer(database)
        server.pause()
        try:
            before = open_files()
            async with fails(database):
                await ask(database, f"SELECT '{'x' * 12_000_000}'")
            while open_files() >= before:  # noqa: ASYNC110 - the event loop closes it, and tells nobody
                await asyncio.sleep(0)
        finally:
            server.resume()
        await answer(database)


async def test_hangs_in_a_statement_over_tls(
    encrypting: Server, certificates: Certificates
) -> None:
    """It is the same over TLS, whose end a server has to confirm."""
    with Relay(encrypting.port) as relay:
        async with over(relay, encrypting, ssl_ca=str(certificates.authority)) as database:
            await hang_in_a_statement(relay, database, "SELECT 1")


async def test_hangs_when_taking_leave_over_tls(
    encrypting: Server, certificates: Certificates
) -> None:
    """Closing the database closes its sockets at once, though over TLS the server confirms none."""
    with Relay(encrypting.port) as relay:
        async with over(relay, encrypting, ssl_ca=str(certificates.authority)) as database:
            before = open_files()
            await answer(database)
            relay.hang = True
            await database.dispose()
            await asyncio.sleep(0)  # the event loop closes what was given up
            assert open_files() <= before + 2  # the relay's own, to either side


async def begin_an_answer(
    relay: Relay, database: Database, server: Server, *, drip: float = 2000
) -> asyncio.Task[object]:
    """Ask for an answer of 200 kB that drips, and return once some of it has come."""
    assert await answer(database)
    relay.reset_counts()
    relay.drip = drip
    task = asyncio.create_task(ask(database, ROWS[type(server)]))
    while not relay.round_trips:  # noqa: ASYNC110 - another thread counts
        await asyncio.sleep(0)
    return task


async def test_drips_an_answer(server: Server, relay: Relay) -> None:
    """An answer that makes headway and does not end is given up: its time is for all of it."""
    async with over(relay, server) as database:
        task = await begin_an_answer(relay, database, server)
        async with fails(database):
            await task
        relay.drip = None
        assert lent(database) == 0
        await answer(database)


async def test_hangs_within_an_answer(server: Server, relay: Relay) -> None:
    """A server that hangs in the middle of its answer is given up."""
    async with over(relay, server) as database:
        task = await begin_an_answer(relay, database, server)
        relay.hang = True
        async with fails(database):
            await task
        relay.hang, relay.drip = False, None
        assert lent(database) == 0
        await answer(database)


async def test_hangs_in_work(server: Server, relay: Relay) -> None:
    """Work that would be begun again is given up as soon as a single statement is."""
    begun = []

    async def work(connection: Connection) -> None:
        begun.append(connection)
        await connection.execute(select(1))

    async with over(relay, server) as database:
        await answer(database)
        await database.run(work)
        relay.hang = True
        async with fails(database):
            await database.run(work)
        async with fails(database):
            await database.run(database.whole(work))
        assert len(begun) == 2
        relay.hang = False
        await answer(database)
        await database.run(database.whole(work))


async def test_hangs_in_place_of_a_dead_connection(server: Server, relay: Relay) -> None:
    """A server is not waited for longer where a connection has died and another is opened."""

    async def work(connection: Connection) -> None:
        await connection.execute(select(1))

    async with over(relay, server) as database:
        await answer(database)
        async with database.connect() as connection:
            relay.hang = True
            relay.cut()
            async with fails(database):
                await database.persist(connection, work)
        relay.hang = False
        await answer(database)


async def test_fails_while_the_server_hangs(encrypting: Server, certificates: Certificates) -> None:
    """Who gives a transaction up does not wait for a hung server to confirm the end of TLS."""

    async def fail(relay: Relay, database: Database) -> None:
        async with database.transaction():
            relay.hang = True
            raise ZeroDivisionError

    with Relay(encrypting.port) as relay:
        async with over(relay, encrypting, ssl_ca=str(certificates.authority)) as database:
            await answer(database)
            with pytest.raises(ZeroDivisionError):
                await fail(relay, database)
            assert lent(database) == 0
            relay.hang = False
            await answer(database)


async def test_works_too_long(server: Server, relay: Relay) -> None:
    """A statement that takes too long is given up in the same words, here and on the server."""
    async with over(relay, server) as database:
        async with fails(database):
            await ask(database, SLEEP[type(server)])
        await answer(database)
        wait(lambda: server.execute(SLEEPING[type(server)]) == "", "the statement still runs")


async def test_refuses(server: Server, relay: Relay) -> None:
    """Where nobody listens it is said at once what to check."""
    reason = f"Connect call failed ('127.0.0.1', {relay.port}) (111)"
    async with over(relay, server) as database:
        relay.refuse()
        async with fails(database, f"{reason}; check host and port in DATABASE_URL"):
            await ask(database)
        relay.accept()
        await answer(database)


async def test_no_such_host() -> None:
    """A host that has no address is said to have none."""
    async with asyncio.timeout(BOUND), opened("mysql://user:pw@nowhere.invalid/db") as database:
        with pytest.raises(DatabaseUnavailable) as caught:
            await ask(database)
        assert str(caught.value).endswith("; check host and port in DATABASE_URL.")


async def test_full_pool(server: Server, relay: Relay) -> None:
    """Who finds all connections lent is told so in time, and has one when one comes back."""
    async with over(relay, server, pool_size=1, max_overflow=1) as database:
        async with database.connect(), database.connect():
            with pytest.raises(DatabaseUnavailable) as caught:
                await ask(database)
            assert str(caught.value) == (
                f"No connection to the database at {database} was free within 0.5 s; "
                "DATABASE_POOL_SIZE and DATABASE_MAX_OVERFLOW say how many there may be."
            )
        assert lent(database) == 0
        await answer(database)


async def test_many_at_once(server: Server, relay: Relay) -> None:
    """All who wait for a server that hangs are told in time, and the pool is whole afterwards."""
    async with over(relay, server, pool_size=2, max_overflow=1) as database:
        await answer(database)
        relay.hang = True
        errors = await asyncio.gather(*(ask(database) for _ in range(9)), return_exceptions=True)
        assert {type(error) for error in errors} == {DatabaseUnavailable}
        relay.hang = False
        assert lent(database) == 0
        async with asyncio.TaskGroup() as group:
            for _ in range(9):
                group.create_task(answer(database))
        assert lent(database) == 0


async def test_cancelled(server: Server, relay: Relay) -> None:
    """A statement whose caller has gone does not run on, and its connection is not used again."""
    async with over(relay, server, seconds=2) as database:
        before = await answer(database)
        sleeping = asyncio.create_task(ask(database, SLEEP[type(server)]))
        while not await asyncio.to_thread(server.execute, SLEEPING[type(server)]):
            assert not sleeping.done()
        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping
        assert await answer(database) is not before
        wait(lambda: server.execute(SLEEPING[type(server)]) == "", "the statement still runs")


@pytest.mark.parametrize("steps", range(8))
async def test_cancelled_within_an_answer(server: Server, relay: Relay, steps: int) -> None:
    """A cancellation is heeded, also at the moment at which a part of the answer is taken in."""
    async with over(relay, server, seconds=BOUND) as database:
        task = await begin_an_answer(relay, database, server, drip=20_000)
        time.sleep(0.03)  # noqa: ASYNC251 - some of the answer comes, and waits for the event loop
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        relay.drip = None
        assert lent(database) == 0
        await answer(database)


async def open_some(database: Database) -> None:
    """Leave three connections in the pool."""
    async with database.connect(), database.connect(), database.connect():
        pass
    assert isinstance(database.engine.pool, QueuePool)
    assert database.engine.pool.checkedin() == 3


async def test_dispose(server: Server, relay: Relay) -> None:
    """Connections on which a server hangs are closed all the same."""
    async with over(relay, server) as database:
        await open_some(database)
        relay.hang = True
        await database.dispose()
        relay.hang = False
        await asyncio.to_thread(wait, lambda: relay.live == 0, "a connection is still open")


async def test_dispose_over_tls(encrypting: Server, certificates: Certificates) -> None:
    """It is the same over TLS, whose end a server has to confirm."""
    with Relay(encrypting.port) as relay:
        async with over(relay, encrypting, ssl_ca=str(certificates.authority)) as database:
            await open_some(database)
            relay.hang = True
            await database.dispose()
            relay.hang = False
            await asyncio.to_thread(wait, lambda: relay.live == 0, "a connection is still open")
