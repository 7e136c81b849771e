"""Open-loop load: requests are due at fixed times, whether or not earlier ones have responses.

A client that waits for a response before its next request sends less to a slow server, and hides
how long others would have waited (coordinated omission). Here latency starts when a request is due,
so it includes the wait for a free connection.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

import uvloop

_END_OF_HEAD = b"\r\n\r\n"
_DRAIN_TIMEOUT = 10.0
"""Seconds to wait for responses after the last request."""


@dataclass(slots=True, kw_only=True)
class LoadMeasurement:
    """Latencies and errors of a load."""

    started_at: float
    """Start, by `perf_counter`."""
    seconds: float = 0
    latencies: list[tuple[float, float]] = field(default_factory=list)
    """Seconds from the start until each request was due, and from then to its response."""
    errors: Counter[str] = field(default_factory=Counter)
    """Number of each error."""

    @property
    def rate(self) -> float:
        """Return the responses per second."""
        return len(self.latencies) / self.seconds


def measure(
    port: int, requests: Iterator[bytes], *, seconds: float, connections: int, rate: float | None = None
) -> LoadMeasurement:
    """Send `rate` requests per second to a local port, and measure each response.

    Without a rate, each connection sends its next request at once: that measures the highest rate.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_LoadGenerator(requests).run(port, seconds, connections, rate))


class _LoadGenerator:
    """One measurement."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.result = LoadMeasurement(started_at=0)
        self._requests = requests
        self._idle: list[_ClientProtocol] = []
        self._backlog: deque[float] = deque()
        """Due times of the requests that wait for a free connection."""
        self._is_closed_loop = False
        self._lost_connections = 0

    async def run(self, port: int, seconds: float, connections: int, rate: float | None) -> LoadMeasurement:
        loop = asyncio.get_running_loop()
        endpoints = [
            await loop.create_connection(lambda: _ClientProtocol(self), "127.0.0.1", port) for _ in range(connections)
        ]
        self.result.started_at = perf_counter()
        await (self._send_at_rate(rate, seconds) if rate else self._send_closed_loop(seconds))
        self.result.seconds = perf_counter() - self.result.started_at
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_TIMEOUT):
                while self._has_pending_responses(connections):  # noqa: ASYNC110 - there is no event to wait for
                    await asyncio.sleep(0.01)
        if unanswered := connections - self._lost_connections - len(self._idle) + len(self._backlog):
            self.result.errors["no response"] += unanswered
        for transport, _ in endpoints:
            transport.abort()
        return self.result

    async def _send_at_rate(self, rate: float, seconds: float) -> None:
        sent = 0
        while (now := perf_counter() - self.result.started_at) < seconds:
            while sent < now * rate:
                self._send_or_queue(sent / rate)
                sent += 1
            # Timers are late by a millisecond, as much as the latencies measured.
            await asyncio.sleep(0)

    async def _send_closed_loop(self, seconds: float) -> None:
        self._is_closed_loop = True
        for _ in range(len(self._idle)):
            self._send_or_queue(perf_counter() - self.result.started_at)
        await asyncio.sleep(seconds)
        self._is_closed_loop = False

    def _send_or_queue(self, due_at: float) -> None:
        if self._idle:
            self._idle.pop().send(next(self._requests), due_at)
        else:
            self._backlog.append(due_at)

    def on_response(self, connection: "_ClientProtocol", due_at: float, error: str | None) -> None:
        """Record a response, and send the next request on its connection."""
        now = perf_counter() - self.result.started_at
        self.result.latencies.append((due_at, now - due_at))
        if error:
            self.result.errors[error] += 1
        self.on_idle(connection)
        if self._is_closed_loop:
            self._send_or_queue(now)
        elif self._backlog:
            self._send_or_queue(self._backlog.popleft())

    def _has_pending_responses(self, connections: int) -> bool:
        """Return whether a response is pending or a request is waiting to be sent."""
        open_connections = connections - self._lost_connections
        return open_connections > 0 and (len(self._idle) < open_connections or bool(self._backlog))

    def on_connection_lost(self, connection: "_ClientProtocol") -> None:
        """Count a lost connection, and the response that it owes."""
        self._lost_connections += 1
        if connection in self._idle:
            self._idle.remove(connection)
        else:
            self.result.errors["no response"] += 1

    def on_idle(self, connection: "_ClientProtocol") -> None:
        """Add a connection that is free."""
        self._idle.append(connection)


class _ClientProtocol(asyncio.Protocol):
    """A connection that sends one request at a time."""

    def __init__(self, generator: _LoadGenerator) -> None:
        self._generator = generator
        self._due_at = 0.0
        self._response = b""
        self._response_length = 0
        """Bytes of the whole response; 0 until the head is complete."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._generator.on_idle(self)

    def send(self, request: bytes, due_at: float) -> None:
        """Send a request that was due at `due_at`."""
        self._due_at = due_at
        self._response, self._response_length = b"", 0
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._response = self._response + data if self._response else data
        if not self._response_length:
            head, separator, _ = self._response.partition(_END_OF_HEAD)
            if not separator:
                return
            _, _, rest = head.lower().partition(b"content-length: ")
            self._response_length = len(head) + len(separator) + int(rest.split(b"\r\n", 1)[0])
        if len(self._response) >= self._response_length:
            self._generator.on_response(self, self._due_at, _find_error(self._response))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._generator.on_connection_lost(self)


def _find_error(response: bytes) -> str | None:
    """Return the error of a response, if any."""
    if not response.startswith(b"HTTP/1.1 200 "):
        return response[:12].decode()
    if _END_OF_HEAD + b'{"data":' not in response:
        return "errors"
    return None
