"""Load: requests that come when they come, whether or not those before have been answered.

A client that waits for an answer before it asks again asks less of a server that is slow, and does
not see what others would have waited. Here each request has its time, and what it takes is counted
from then on, so that the time in which no connection was free for it is not left out.
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
"""Seconds that answers have after the last request."""


@dataclass(slots=True, kw_only=True)
class LoadMeasurement:
    """What came of the requests."""

    started_at: float
    """When, by `perf_counter`."""
    seconds: float = 0
    latencies: list[tuple[float, float]] = field(default_factory=list)
    """When each request was to be sent, in seconds since the begin, and how many it took."""
    errors: Counter[str] = field(default_factory=Counter)
    """What was wrong, and how often."""

    @property
    def rate(self) -> float:
        """Return the answers in a second."""
        return len(self.latencies) / self.seconds


def measure(
    port: int,
    requests: Iterator[bytes],
    *,
    seconds: float,
    connections: int,
    rate: float | None = None,
) -> LoadMeasurement:
    """Send requests to a port of this machine, so many a second, and measure each answer.

    Without a rate each connection asks as soon as it is answered, which tells what is possible.
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
        """When the requests were to be sent for which no connection is free."""
        self._is_closed_loop = False
        self._lost_connections = 0

    async def run(
        self, port: int, seconds: float, connections: int, rate: float | None
    ) -> LoadMeasurement:
        loop = asyncio.get_running_loop()
        endpoints = [
            await loop.create_connection(lambda: _ClientProtocol(self), "127.0.0.1", port)
            for _ in range(connections)
        ]
        self.result.started_at = perf_counter()
        await (self._send_at_rate(rate, seconds) if rate else self._send_closed_loop(seconds))
        self.result.seconds = perf_counter() - self.result.started_at
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_TIMEOUT):
                while self._has_pending_responses(connections):  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.01)
        if (
            unanswered := connections
            - self._lost_connections
            - len(self._idle)
            + len(self._backlog)
        ):
            self.result.errors["no answer"] += unanswered
        for transport, _ in endpoints:
            transport.abort()
        return self.result

    async def _send_at_rate(self, rate: float, seconds: float) -> None:
        sent = 0
        while (now := perf_counter() - self.result.started_at) < seconds:
            while sent < now * rate:
                self._send_or_queue(sent / rate)
                sent += 1
            # A timer is a millisecond late: as much as what is measured.
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
        """Note an answer, and give its connection the next request."""
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
        """Tell whether an answer may still come, or be asked for."""
        open_connections = connections - self._lost_connections
        return open_connections > 0 and (len(self._idle) < open_connections or bool(self._backlog))

    def on_connection_lost(self, connection: "_ClientProtocol") -> None:
        """Do without a connection that has ended."""
        self._lost_connections += 1
        if connection in self._idle:
            self._idle.remove(connection)
        else:
            self.result.errors["no answer"] += 1

    def on_idle(self, connection: "_ClientProtocol") -> None:
        """Take a connection that has nothing to do."""
        self._idle.append(connection)


class _ClientProtocol(asyncio.Protocol):
    """One connection, which sends a request and reads its answer."""

    def __init__(self, generator: _LoadGenerator) -> None:
        self._generator = generator
        self._due_at = 0.0
        self._response = b""
        self._response_length = 0
        """Of the whole answer; 0 before its head is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._generator.on_idle(self)

    def send(self, request: bytes, due_at: float) -> None:
        """Send a request that was due then."""
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
    """Return what is wrong with an answer."""
    if not response.startswith(b"HTTP/1.1 200 "):
        return response[:12].decode()
    if _END_OF_HEAD + b'{"data":' not in response:
        return "errors"
    return None
