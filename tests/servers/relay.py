"""A relay of TCP before any server, which plays the network between: far, slow, hung or broken."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.servers.process import PATIENCE, free_port

_HERE = "127.0.0.1"
_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)
"""The linger with which a connection that is closed is reset."""
_TICK = 0.01
"""Seconds between two pieces of what drips."""


class _CutError(Exception):
    """As much has passed as was to pass."""


@dataclass(slots=True, eq=False)
class _Way:
    """One direction of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    earliest: float
    """When the first byte may arrive, because opening a connection takes time, too."""
    left: int | None
    """How many more bytes pass before the connection is cut; None: all."""
    travelling: asyncio.Queue[tuple[float, bytes]] = field(default_factory=asyncio.Queue)
    """What was read, and when it arrives; b"" is the end."""


@dataclass(slots=True, eq=False)
class _Connection:
    """A client's connection, and the relay's own to the server."""

    task: asyncio.Task[Any] | None
    writers: list[asyncio.StreamWriter]
    there: _Way | None = None
    back: _Way | None = None
    asked: bool = False
    """Whether the client sent something that nothing has come back for."""

    def reset(self) -> None:
        """Break it off on both sides, as a network does that has forgotten it."""
        for writer in self.writers:
            with suppress(OSError):  # it may have ended
                end: socket.socket = writer.get_extra_info("socket")
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def close(self) -> None:
        """End it on both sides, after what was written."""
        for writer in self.writers:
            writer.close()
        for writer in self.writers:
            with suppress(ConnectionError):
                await writer.wait_closed()


class Relay:
    """The relay, in a thread of its own while the context lasts, on a port that was free.

    What it does to the traffic may be changed at any time, from any thread.
    """

    def __init__(self, port: int) -> None:
        """Take the port, of this machine, that connections are passed on to."""
        self.port = free_port()
        self.delay = 0.0
        """Seconds each way: a round trip takes twice as long, and opening a connection is one."""
        self.hang = False
        """Whether connections are taken but nothing passes; all goes on when this ends."""
        self.drip: float | None = None
        """The most bytes that pass in a second, each way of each connection; None: no limit."""
        self.connections = 0
        """How many were taken."""
        self.round_trips = 0
        """How often a client sent something and had an answer, whatever came in between."""
        self._server_port = port
        self._cut_there: int | None = None
        self._cut_back: int | None = None
        self._cut_once = False
        self._live: set[_Connection] = set()
        self._listener: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="relay")
        self._thread.start()
        self.accept()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.refuse()
        self.cut()
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    @property
    def live(self) -> int:
        """Return how many connections there are now."""
        return len(self._live)

    def reset_counts(self) -> None:
        """Count connections and round trips from zero."""
        self._wait_for(self._reset_counts())

    def cut_after(
        self,
        *,
        to_server: int | None = None,
        from_server: int | None = None,
        once: bool = False,
    ) -> None:
        """End each connection, or once the first of them, when so many more bytes have passed.

        Without a number, all passes again.
        """
        self._wait_for(self._cut_after(to_server, from_server, once=once))

    def cut(self) -> None:
        """Reset every connection that there is."""
        self._wait_for(self._cut())

    def refuse(self) -> None:
        """Refuse new connections; those that there are live on."""
        self._wait_for(self._refuse())

    def accept(self) -> None:
        """Take new connections again."""
        self._wait_for(self._accept())

    def _wait_for(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run_until_stopped())

    async def _run_until_stopped(self) -> None:
        await self._stopped.wait()

    async def _reset_counts(self) -> None:
        self.connections = self.round_trips = 0

    async def _cut_after(self, there: int | None, back: int | None, *, once: bool) -> None:
        self._cut_there, self._cut_back, self._cut_once = there, back, once
        for connection in self._live:
            if connection.there and connection.back:
                connection.there.left, connection.back.left = there, back

    async def _cut(self) -> None:
        tasks = []
        for connection in self._live:
            connection.reset()
            if connection.task:
                connection.task.cancel()
                tasks.append(connection.task)
        await asyncio.gather(*tasks)

    async def _refuse(self) -> None:
        if self._listener:
            self._listener.close()
        self._listener = None

    async def _accept(self) -> None:
        if not self._listener:
            self._listener = await asyncio.start_server(self._take, _HERE, self.port)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(asyncio.current_task(), [writer])
        self.connections += 1
        self._live.add(connection)
        try:
            # Python 3.11 reports a connection that ends by being cancelled.
            with suppress(ConnectionError, asyncio.CancelledError):
                await self._connect(connection, reader)
                await self._relay(connection)
        finally:
            connection.reset()
            self._live.discard(connection)

    async def _connect(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        """Connect to the server, as if that took as long as it does over the distance."""
        opened = self._loop.time()
        await self._hold()
        server_reader, server = await asyncio.open_connection(_HERE, self._server_port)
        (client,) = connection.writers
        connection.writers.append(server)
        # The client knows after one round trip, and the server one way later, that it is open.
        there, back = opened + 3 * self.delay, opened + 4 * self.delay
        connection.there = _Way(reader, server, there, self._cut_there)
        connection.back = _Way(server_reader, client, back, self._cut_back)

    async def _relay(self, connection: _Connection) -> None:
        """Pass on what comes, until both sides have ended or one breaks."""
        try:
            async with asyncio.TaskGroup() as group:
                for way in filter(None, (connection.there, connection.back)):
                    group.create_task(self._read(way, connection))
                    group.create_task(self._pass(way, connection))
            await connection.close()
        except* _CutError:
            await connection.close()
        except* ConnectionError:
            connection.reset()

    async def _read(self, way: _Way, connection: _Connection) -> None:
        """Take in what comes, as fast as it comes, however far it has to travel."""
        data = None
        while data != b"":
            data = await way.reader.read(_CHUNK)
            arrival = max(self._loop.time() + self.delay, way.earliest)
            way.travelling.put_nowait((arrival, data))
            if data and way is connection.there:
                connection.asked = True

    async def _pass(self, way: _Way, connection: _Connection) -> None:
        """Hand over what arrives, when it does."""
        while True:
            arrival, data = await way.travelling.get()
            await asyncio.sleep(arrival - self._loop.time())
            await self._hold()
            if not data:
                with suppress(OSError):  # who does not listen any more need not be told of an end
                    way.writer.write_eof()
                return
            if way is connection.back and connection.asked:
                connection.asked = False
                self.round_trips += 1
            for piece, pause in self._pieces(data):
                await self._hold()
                await self._write(piece, way)
                await asyncio.sleep(pause)

    def _pieces(self, data: bytes) -> Iterator[tuple[bytes, float]]:
        """Cut data into what passes at once, each with the seconds until the next may."""
        while data:
            size, pause = len(data), 0.0
            if drip := self.drip:
                size = min(max(1, int(drip * _TICK)), size)
                pause = size / drip
            yield data[:size], pause
            data = data[size:]

    async def _write(self, piece: bytes, way: _Way) -> None:
        if way.left is not None:
            piece = piece[: way.left]
            way.left -= len(piece)
        way.writer.write(piece)
        await way.writer.drain()
        if way.left == 0:
            if self._cut_once:
                await self._cut_after(None, None, once=False)
            raise _CutError

    async def _hold(self) -> None:
        while self.hang:  # noqa: ASYNC110 - another thread decides
            await asyncio.sleep(0.002)
