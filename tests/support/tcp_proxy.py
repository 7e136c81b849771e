"""A TCP proxy that plays the network before a server: far, slow, hanging or broken."""

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
"""The SO_LINGER with which closing a connection resets it."""
_DRIP_INTERVAL = 0.01
"""Seconds between two chunks of throttled traffic."""


class ByteLimitError(Exception):
    """A connection's byte limit is reached."""


@dataclass(slots=True, eq=False)
class Direction:
    """One direction of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    earliest_arrival: float
    """Time before which no byte arrives: opening a connection takes time, too."""
    remaining_bytes: int | None
    """Bytes that still pass before the connection is cut; None: no limit."""
    in_flight: asyncio.Queue[tuple[float, bytes]] = field(default_factory=asyncio.Queue)
    """Chunks read, each with its time of arrival; b"" is the end of the stream."""


@dataclass(slots=True, eq=False)
class _ProxiedConnection:
    """A client's connection, and the proxy's own to the server."""

    task: asyncio.Task[Any] | None
    writers: list[asyncio.StreamWriter]
    to_server: Direction | None = None
    to_client: Direction | None = None
    is_awaiting_reply: bool = False
    """True while the client sent something that the server has not responded to."""

    def reset(self) -> None:
        """Reset both sides, as a network does that has lost the connection's state."""
        for writer in self.writers:
            with suppress(OSError):  # it may have ended
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_LINGER)
            writer.transport.abort()

    async def close(self) -> None:
        """Close both sides once everything written has been sent."""
        for writer in self.writers:
            writer.close()
        for writer in self.writers:
            with suppress(ConnectionError):
                await writer.wait_closed()


class TCPProxy(ThreadServer):
    """A proxy on a free port of this machine.

    Its attributes may change at any time, from any thread.
    """

    def __init__(self, port: int) -> None:
        """Forward connections to `port` of this machine."""
        self.port = free_port()
        self.delay = 0.0
        """Seconds each way. A round trip takes twice as long, and opening a connection is one."""
        self.hang = False
        """True to accept connections without forwarding a byte. False resumes them."""
        self.bytes_per_second: float | None = None
        """Maximum bytes per second, each way of each connection; None: no limit."""
        self.connections = 0
        """Number of connections accepted."""
        self.round_trips = 0
        """Number of round trips: a client sent something, and the server responded."""
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
        """Return the number of open connections."""
        return len(self._live_connections)

    def reset_counts(self) -> None:
        """Set the counts of connections and round trips to 0."""
        self._run_in_loop(self._reset_counts())

    def cut_after(self, *, to_server: int | None = None, from_server: int | None = None, once: bool = False) -> None:
        """Cut each connection, or with `once` only the first, after this many more bytes.

        Without a number, remove the limit.
        """
        self._run_in_loop(self._cut_after(to_server, from_server, once=once))

    def cut(self) -> None:
        """Reset every open connection."""
        self._run_in_loop(self._cut())

    def refuse(self) -> None:
        """Refuse new connections; open ones go on."""
        self._run_in_loop(self._refuse())

    def accept(self) -> None:
        """Accept new connections again."""
        self._run_in_loop(self._accept())

    async def _reset_counts(self) -> None:
        self.connections = self.round_trips = 0

    async def _cut_after(self, to_server: int | None, to_client: int | None, *, once: bool) -> None:
        self._cut_to_server, self._cut_to_client, self._cut_once = to_server, to_client, once
        for connection in self._live_connections:
            if connection.to_server and connection.to_client:
                connection.to_server.remaining_bytes, connection.to_client.remaining_bytes = (to_server, to_client)

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

    async def _handle_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _ProxiedConnection(asyncio.current_task(), [writer])
        self.connections += 1
        self._live_connections.add(connection)
        try:
            # Python 3.11 logs an error for a connection handler that is cancelled.
            with suppress(ConnectionError, asyncio.CancelledError):
                await self._connect(connection, reader)
                await self._forward_both(connection)
        finally:
            connection.reset()
            self._live_connections.discard(connection)

    async def _connect(self, connection: _ProxiedConnection, reader: asyncio.StreamReader) -> None:
        """Connect to the server, and delay the first bytes by the time that connecting takes."""
        opened_at = self._loop.time()
        await self._wait_while_hung()
        server_reader, server_writer = await asyncio.open_connection(_HOST, self._server_port)
        (client_writer,) = connection.writers
        connection.writers.append(server_writer)
        # The client knows after one round trip that it is open, the server one way later.
        request_arrival, response_arrival = opened_at + 3 * self.delay, opened_at + 4 * self.delay
        connection.to_server = Direction(reader, server_writer, request_arrival, self._cut_to_server)
        connection.to_client = Direction(server_reader, client_writer, response_arrival, self._cut_to_client)

    async def _forward_both(self, connection: _ProxiedConnection) -> None:
        """Forward both directions until both have ended or one breaks."""
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
        """Read chunks as fast as they come, whatever their delay."""
        data = None
        while data != b"":
            data = await direction.reader.read(_CHUNK_BYTES)
            arrival = max(self._loop.time() + self.delay, direction.earliest_arrival)
            direction.in_flight.put_nowait((arrival, data))
            if data and direction is connection.to_server:
                connection.is_awaiting_reply = True

    async def _forward(self, direction: Direction, connection: _ProxiedConnection) -> None:
        """Write each chunk when it arrives."""
        while True:
            arrival, data = await direction.in_flight.get()
            await asyncio.sleep(arrival - self._loop.time())
            await self._wait_while_hung()
            if not data:
                with suppress(OSError):  # the receiver may have gone
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
        """Split data into chunks, each with the seconds until the next one may pass."""
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
