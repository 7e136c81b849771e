"""The relay: all passes unchanged until it is told to delay, hang, drip, cut or refuse."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from asyncmy.errors import OperationalError

from tests.servers.clients import asking_mariadb
from tests.servers.mariadb import MariaDB
from tests.servers.relay import Relay

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """A server of lines: it answers each with itself in capitals, and `quit` with silence."""

    def __init__(self) -> None:
        """Nothing came so far."""
        self.port = 0
        self.received = b""
        self.ends: list[str] = []
        """How each connection ended."""
        self.greeting = b""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it ends."""
        writer.write(self.greeting)
        try:
            while data := await reader.read(65_536):
                self.received += data
                writer.write(data.upper().replace(b"QUIT\n", b""))
                await writer.drain()
            self.ends.append("end")
        except ConnectionError as error:
            self.ends.append(type(error).__name__)
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Run a server of lines."""
    lines = Server()
    listener = await asyncio.start_server(lines.answer, "127.0.0.1", 0)
    lines.port = listener.sockets[0].getsockname()[1]
    yield lines
    listener.close()


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    """Lend a relay before the server of lines."""
    with Relay(server.port) as between:
        yield between


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Ends]:
    """Connect to a port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ask(ends: Ends, text: bytes) -> bytes:
    """Send a text, and return as many bytes of an answer."""
    reader, writer = ends
    writer.write(text)
    return await reader.readexactly(len(text))


async def ask_anew(relay: Relay, text: bytes) -> None:
    """Ask on a new connection, and wait for the first byte that comes."""
    async with client(relay.port) as (reader, writer):
        writer.write(text)
        assert await reader.read(1) != b""


async def seconds(work: Awaitable[object]) -> float:
    """Return how long something takes."""
    start = time.monotonic()
    await work
    return time.monotonic() - start


async def until(true: Callable[[], bool]) -> None:
    """Wait until something has come true in another thread."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.002)


async def test_passes_all_on(server: Server, relay: Relay) -> None:
    """Bytes arrive as they were sent, both ways, and so does the end of either side."""
    async with client(relay.port) as ends:
        reader, writer = ends
        sent = bytes(range(128)) * 20_000
        assert await ask(ends, sent) == sent.upper()
        writer.write_eof()
        assert await reader.read() == b""
    await until(lambda: relay.live == 0)
    assert server.received == sent
    assert server.ends == ["end"]


async def test_counts_connections_and_round_trips(server: Server, relay: Relay) -> None:
    """A trip is what was answered: no greeting, no farewell, and questions in a row are one."""
    server.greeting = b"hello"
    for _ in range(2):
        async with client(relay.port) as ends:
            assert await ends[0].readexactly(5) == b"hello"
            assert (await ask(ends, b"a\n"), await ask(ends, b"b\n")) == (b"A\n", b"B\n")
            ends[1].write(b"quit\n")
            await until(lambda: server.received.endswith(b"quit\n"))
    await until(lambda: relay.live == 0)
    assert (relay.connections, relay.round_trips) == (2, 4)
    relay.reset_counts()
    assert (relay.connections, relay.round_trips) == (0, 0)
    relay.delay = 0.05
    async with client(relay.port) as ends:
        for text in (b"a\n", b"b\n", b"c\n"):
            ends[1].write(text)
            await asyncio.sleep(0.005)
        assert await ends[0].readexactly(11) == b"helloA\nB\nC\n"
    assert (relay.connections, relay.round_trips) == (1, 1)


async def test_delays(server: Server, relay: Relay) -> None:
    """A question takes two ways, on a new connection four, and many under way take no longer."""
    relay.delay = 0.1
    assert 0.4 <= await seconds(ask_anew(relay, b"first\n")) < 0.6
    async with client(relay.port) as ends:
        await ask(ends, b"first\n")
        assert 0.2 <= await seconds(ask(ends, b"second\n")) < 0.4
        assert 0.2 <= await seconds(ask(ends, b"x" * 1_000_000)) < 0.6
        relay.delay = 0
        assert await seconds(ask(ends, b"near\n")) < 0.2
    server.greeting, relay.delay = b"hello", 0.1
    assert 0.4 <= await seconds(ask_anew(relay, b"")) < 0.6


async def test_hangs(server: Server, relay: Relay) -> None:
    """While it hangs connections are taken and nothing passes; then all that was held arrives."""
    async with client(relay.port) as old:
        await ask(old, b"before\n")
        relay.hang = True
        async with client(relay.port) as new:
            asked = [asyncio.ensure_future(ask(ends, b"held\n")) for ends in (old, new)]
            assert (await asyncio.wait(asked, timeout=0.1))[0] == set()
            assert (relay.connections, relay.live) == (2, 2)
            assert server.received == b"before\n"
            relay.hang = False
            assert await asyncio.gather(*asked) == [b"HELD\n", b"HELD\n"]


async def test_drips(relay: Relay) -> None:
    """As many bytes pass in a second as may, each way."""
    async with client(relay.port) as ends:
        await ask(ends, b"open\n")
        relay.drip = 1000
        assert 0.09 <= await seconds(ask(ends, b"x" * 100)) < 0.5
        relay.drip = None
        assert await seconds(ask(ends, b"x" * 100_000)) < 0.5


@pytest.mark.parametrize("passes", [0, 5])
async def test_cuts_answers(server: Server, relay: Relay, passes: int) -> None:
    """Every connection ends after so many bytes of answers, until all may pass again."""
    async with client(relay.port) as old, client(relay.port) as unaffected:
        await ask(old, b"before\n")
        await ask(unaffected, b"before\n")
        relay.cut_after(from_server=passes)
        async with client(relay.port) as new:
            for reader, writer in (old, new):
                writer.write(b"0123456789")
                assert await reader.read() == b"0123456789"[:passes]
        await until(lambda: relay.live == 1)
        relay.cut_after()
        assert await ask(unaffected, b"0123456789") == b"0123456789"
    assert server.received.count(b"0123456789") == 3


async def test_cuts_questions(server: Server, relay: Relay) -> None:
    """A connection ends after so many bytes of questions, and the server gets no more."""
    relay.cut_after(to_server=4)
    async with client(relay.port) as (reader, writer):
        writer.write(b"0123456789")
        await reader.read()
    # How it ends is chance: a reset, if the server's answer meets a relay that has gone.
    await until(lambda: len(server.ends) == 1)
    assert server.received == b"0123"


async def test_cuts_once(relay: Relay) -> None:
    """Told to cut once it cuts the first connection that gets there, and no other."""
    relay.cut_after(from_server=0, once=True)
    async with client(relay.port) as first, client(relay.port) as second:
        first[1].write(b"a\n")
        assert await first[0].read() == b""
        assert await ask(second, b"b\n") == b"B\n"


async def test_cuts_all_at_once(server: Server, relay: Relay) -> None:
    """Each connection is reset on both sides, even while it hangs, and new ones are taken."""
    async with client(relay.port) as first, client(relay.port) as second:
        for ends in (first, second):
            await ask(ends, b"a\n")
        relay.hang = True
        first[1].write(b"b\n")
        relay.cut()
        relay.hang = False
        for reader, _ in (first, second):
            with pytest.raises(ConnectionResetError):
                await reader.read()
        assert relay.live == 0
    await until(lambda: server.ends == ["ConnectionResetError"] * 2)
    async with client(relay.port) as third:
        assert await ask(third, b"c\n") == b"C\n"
    assert server.received == b"a\na\nc\n"


async def test_refuses(relay: Relay) -> None:
    """It refuses new connections until it accepts them again; the old ones live on."""
    async with client(relay.port) as old:
        await ask(old, b"a\n")
        for _ in range(2):
            relay.refuse()
            relay.refuse()
            with pytest.raises(ConnectionRefusedError):
                async with client(relay.port):
                    pass
            assert await ask(old, b"b\n") == b"B\n"
            relay.accept()
            relay.accept()
            async with client(relay.port) as new:
                assert await ask(new, b"c\n") == b"C\n"


async def test_resets_where_there_is_no_server() -> None:
    """Before a port where nobody listens it takes connections, and resets them."""
    with Relay(1) as relay:
        with pytest.raises(ConnectionResetError):  # on connecting already, or on reading
            await ask_anew(relay, b"a\n")
        assert relay.connections == 1


async def test_ends_whatever_is_under_way(server: Server) -> None:
    """Leaving the context resets what is held, ends the thread and frees the port."""
    with Relay(server.port) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        relay.hang = True
        writer.write(b"held\n")
        await until(lambda: relay.live == 1)
    assert not relay._thread.is_alive()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        async with client(relay.port):
            pass


async def test_a_statement_is_one_round_trip(mariadb: MariaDB) -> None:
    """Before a database it counts what a statement costs, and makes it cost that much."""
    with Relay(mariadb.port) as relay:
        async with asking_mariadb(mariadb.url("", port=relay.port)) as ask:
            relay.reset_counts()
            relay.delay = 0.05
            assert await seconds(ask("SELECT 1")) >= 0.1
            assert (relay.connections, relay.round_trips, relay.live) == (0, 1, 1)


async def test_an_answer_is_lost(mariadb: MariaDB) -> None:
    """A statement whose answer is cut off was executed, and the client does not know."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a INT)", name)
    with Relay(mariadb.port) as relay:
        async with asking_mariadb(mariadb.url(name, port=relay.port)) as ask:
            relay.cut_after(from_server=0, once=True)
            with pytest.raises(OperationalError, match="Lost connection"):
                await ask("INSERT INTO t VALUES (1)")
    assert mariadb.execute("SELECT a FROM t", name) == "1"
