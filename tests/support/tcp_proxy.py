"""A relay of TCP before any server, which plays the network between: far, slow, hung or broken."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.support.server import ThreadServer, free_port

_HOST = "127.0.0.1"
_CHUNK_BYTES = 65_536
_RESET_LINGER = struct.pack("ii", 1, 0)
"""The linger with which a connection that is closed is reset."""
_DRIP_INTERVAL = 0.01
"""Seconds between two pieces of what drips."""


class ByteLimitError(Exception):
    """As much has passed as was to pass."""


@dataclass(slots=True, eq=False)
class Direction:
    """One direction of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    earliest_arrival: float
    """When the first byte may arrive, because opening a connection takes time, too."""
    remaining_bytes: int | None
    """How many more bytes pass before the connection is cut; None: all."""
    in_flight: asyncio.Queue[tuple[float, bytes]] = field(default_factory=asyncio.Queue)
    """What was read, and when it arrives; b"" is the end."""


@dataclass(slots=True, eq=False)
class _ProxiedConnection:
    """A client's connection, and the relay's own to the server."""

    task: asyncio.Task[Any] | None
    writers: list[asyncio.StreamWriter]
    to_server: Direction | None = None
    to_client: Direction | None = None
    is_awaiting_reply: bool = False
    """Whether the client sent something that nothing has come back for."""

    def reset(self) -> None:
        """Break it off on both sides, as a network does that has forgotten it."""
        for writer in self.writers:
            with suppress(OSError):  # it may have ended
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_LINGER)
            writer.transport.abort()

    async def close(self) -> None:
        """End it on both sides, after what was written."""
        for writer in self.writers:
            writer.close()
        for writer in self.writers:
            with suppress(ConnectionError):
                await writer.wait_closed()


class TCPProxy(ThreadServer):
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
        self.bytes_per_second: float | None = None
        """The most bytes that pass in a second, each way of each connection; None: no limit."""
        self.connections = 0
        """How many were taken."""
        self.round_trips = 0
        """How often a client sent something and had an answer, whatever came in between."""
        self._server_port = port
        self._cut_to_server: int | None = None
        self._cut_to_client: int | None = None
        self._cut_once = False
        self._live_connections: set[_ProxiedConnection] = set()
        self._listener: asyncio.Server | None = None

    def _open(self, stack: ExitStack) -> None:
        super()._open(stack)
        stack.callback(self.cut)
        stack.callback(self.refuse)
        self.accept()

    @property
    def live_connections(self) -> int:
        """Return how many connections there are now."""
        return len(self._live_connections)

    def reset_counts(self) -> None:
        """Count connections and round trips from zero."""
        self._run_in_loop(self._reset_counts())

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
        self._run_in_loop(self._cut_after(to_server, from_server, once=once))

    def cut(self) -> None:
        """Reset every connection that there is."""
        self._run_in_loop(self._cut())

    def refuse(self) -> None:
        """Refuse new connections; those that there are live on."""
        self._run_in_loop(self._refuse())

    def accept(self) -> None:
        """Take new connections again."""
        self._run_in_loop(self._accept())

    async def _reset_counts(self) -> None:
        self.connections = self.round_trips = 0

    async def _cut_after(self, to_server: int | None, to_client: int | None, *, once: bool) -> None:
        self._cut_to_server, self._cut_to_client, self._cut_once = to_server, to_client, once
        for connection in self._live_connections:
            if connection.to_server and connection.to_client:
                connection.to_server.remaining_bytes, connection.to_client.remaining_bytes = (
                    to_server,
                    to_client,
                )

    async def _cut(self) -> None:
        tasks = []
        for connection in self._live_connections:
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
            self._listener = await asyncio.start_server(self._handle_client, _HOST, self.port)

    async def _handle_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection = _ProxiedConnection(asyncio.current_task(), [writer])
        self.connections += 1
        self._live_connections.add(connection)
        try:
            # Python 3.11 reports a connection that ends by being cancelled.
            with suppress(ConnectionError, asyncio.CancelledError):
                await self._connect(connection, reader)
                await self._forward_both(connection)
        finally:
            connection.reset()
            self._live_connections.discard(connection)

    async def _connect(self, connection: _ProxiedConnection, reader: asyncio.StreamReader) -> None:
        """Connect to the server, as if that took as long as it does over the distance."""
        opened_at = self._loop.time()
        await self._wait_while_hung()
        server_reader, server_writer = await asyncio.open_connection(_HOST, self._server_port)
        (client_writer,) = connection.writers
        connection.writers.append(server_writer)
        # The client knows after one round trip, and the server one way later, that it is open.
        request_arrival, response_arrival = opened_at + 3 * self.delay, opened_at + 4 * self.delay
        connection.to_server = Direction(
            reader, server_writer, request_arrival, self._cut_to_server
        )
        connection.to_client = Direction(
            server_reader, client_writer, response_arrival, self._cut_to_client
        )

    async def _forward_both(self, connection: _ProxiedConnection) -> None:
        """Pass on what comes, until both sides have ended or one breaks."""
        try:
            async with asyncio.TaskGroup() as group:
                for direction in filter(None, (connection.to_server, connection.to_client)):
                    group.create_task(self._read(direction, connection))
                    group.create_task(self._forward(direction, connection))
            await connection.close()
        except* ByteLimitError:
            await connection.close()
        except* ConnectionError:
            connection.reset()

    async def _read(self, direction: Direction, connection: _ProxiedConnection) -> None:
        """Take in what comes, as fast as it comes, however far it has to travel."""
        data = None
        while data != b"":
            data = await direction.reader.read(_CHUNK_BYTES)
            arrival = max(self._loop.time() + self.delay, direction.earliest_arrival)
            direction.in_flight.put_nowait((arrival, data))
            if data and direction is connection.to_server:
                connection.is_awaiting_reply = True

    async def _forward(self, direction: Direction, connection: _ProxiedConnection) -> None:
        """Hand over what arrives, when it does."""
        while True:
            arrival, data = await direction.in_flight.get()
            await asyncio.sleep(arrival - self._loop.time())
            await self._wait_while_hung()
            if not data:
                with suppress(OSError):  # who does not listen any more need not be told of an end
                    direction.writer.write_eof()
                return
            if direction is connection.to_client and connection.is_awaiting_reply:
                connection.is_awaiting_reply = False
                self.round_trips += 1
            for chunk, pause in self._split(data):
                await self._wait_while_hung()
                await self._write(chunk, direction)
                await asyncio.sleep(pause)

    def _split(self, data: bytes) -> Iterator[tuple[bytes, float]]:
        """Cut data into what passes at once, each with the seconds until the next may."""
        while data:
            size, pause = len(data), 0.0
            if bytes_per_second := self.bytes_per_second:
                size = min(max(1, int(bytes_per_second * _DRIP_INTERVAL)), size)
                pause = size / bytes_per_second
            yield data[:size], pause
            data = data[size:]

    async def _write(self, chunk: bytes, direction: Direction) -> None:
        if direction.remaining_bytes is not None:
            chunk = chunk[: direction.remaining_bytes]
            direction.remaining_bytes -= len(chunk)
        direction.writer.write(chunk)
        await direction.writer.drain()
        if direction.remaining_bytes == 0:
            if self._cut_once:
                await self._cut_after(None, None, once=False)
            raise ByteLimitError

    async def _wait_while_hung(self) -> None:
        while self.hang:  # noqa: ASYNC110 - another thread decides
            await asyncio.sleep(0.002)
