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
_PATIENCE = 10.0
"""Seconds that answers have after the last request."""


@dataclass(slots=True, kw_only=True)
class Measured:
    """What came of the requests."""

    begun: float
    """When, by `perf_counter`."""
    seconds: float = 0
    taken: list[tuple[float, float]] = field(default_factory=list)
    """When each request was to be sent, in seconds since the begin, and how many it took."""
    errors: Counter[str] = field(default_factory=Counter)
    """What was wrong, and how often."""

    @property
    def rate(self) -> float:
        """Return the answers in a second."""
        return len(self.taken) / self.seconds


def measure(
    port: int,
    requests: Iterator[bytes],
    *,
    seconds: float,
    connections: int,
    rate: float | None = None,
) -> Measured:
    """Send requests to a port of this machine, so many a second, and measure each answer.

    Without a rate each connection asks as soon as it is answered, which tells what is possible.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Load(requests).run(port, seconds, connections, rate))


class _Load:
    """One measurement."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.measured = Measured(begun=0)
        self._requests = requests
        self._idle: list[_Connection] = []
        self._waiting: deque[float] = deque()
        """When the requests were to be sent for which no connection is free."""
        self._endless = False
        self._lost = 0

    async def run(
        self, port: int, seconds: float, connections: int, rate: float | None
    ) -> Measured:
        loop = asyncio.get_running_loop()
        opened = [
            await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
            for _ in range(connections)
        ]
        self.measured.begun = perf_counter()
        await (self._send_at(rate, seconds) if rate else self._send_always(seconds))
        self.measured.seconds = perf_counter() - self.measured.begun
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while self._is_awaited(connections):  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.01)
        if missing := connections - self._lost - len(self._idle) + len(self._waiting):
            self.measured.errors["no answer"] += missing
        for transport, _ in opened:
            transport.abort()
        return self.measured

    async def _send_at(self, rate: float, seconds: float) -> None:
        sent = 0
        while (now := perf_counter() - self.measured.begun) < seconds:
            while sent < now * rate:
                self._ask(sent / rate)
                sent += 1
            # A timer is a millisecond late: as much as what is measured.
            await asyncio.sleep(0)

    async def _send_always(self, seconds: float) -> None:
        self._endless = True
        for _ in range(len(self._idle)):
            self._ask(perf_counter() - self.measured.begun)
        await asyncio.sleep(seconds)
        self._endless = False

    def _ask(self, due: float) -> None:
        if self._idle:
            self._idle.pop().ask(next(self._requests), due)
        else:
            self._waiting.append(due)

    def answered(self, connection: "_Connection", due: float, wrong: str | None) -> None:
        """Note an answer, and give its connection the next request."""
        now = perf_counter() - self.measured.begun
        self.measured.taken.append((due, now - due))
        if wrong:
            self.measured.errors[wrong] += 1
        self.free(connection)
        if self._endless:
            self._ask(now)
        elif self._waiting:
            self._ask(self._waiting.popleft())

    def _is_awaited(self, connections: int) -> bool:
        """Tell whether an answer may still come, or be asked for."""
        alive = connections - self._lost
        return alive > 0 and (len(self._idle) < alive or bool(self._waiting))

    def lose(self, connection: "_Connection") -> None:
        """Do without a connection that has ended."""
        self._lost += 1
        if connection in self._idle:
            self._idle.remove(connection)
        else:
            self.measured.errors["no answer"] += 1

    def free(self, connection: "_Connection") -> None:
        """Take a connection that has nothing to do."""
        self._idle.append(connection)


class _Connection(asyncio.Protocol):
    """One connection, which sends a request and reads its answer."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._due = 0.0
        self._answer = b""
        self._length = 0
        """Of the whole answer; 0 before its head is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._load.free(self)

    def ask(self, request: bytes, due: float) -> None:
        """Send a request that was due then."""
        self._due = due
        self._answer, self._length = b"", 0
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer = self._answer + data if self._answer else data
        if not self._length:
            head, found, _ = self._answer.partition(_END_OF_HEAD)
            if not found:
                return
            _, _, after = head.lower().partition(b"content-length: ")
            self._length = len(head) + len(found) + int(after.split(b"\r\n", 1)[0])
        if len(self._answer) >= self._length:
            self._load.answered(self, self._due, _wrong(self._answer))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._load.lose(self)


def _wrong(answer: bytes) -> str | None:
    """Return what is wrong with an answer."""
    if not answer.startswith(b"HTTP/1.1 200 "):
        return answer[:12].decode()
    if _END_OF_HEAD + b'{"data":' not in answer:
        return "errors"
    return None
