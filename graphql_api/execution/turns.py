"""Turns of the event loop: what is executed in one is bounded, and long work is done one at a time, in slices."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped] # it has no types

T = TypeVar("T")

_MAX_SECONDS = 0.01
"""Seconds of cheap work in one turn of the event loop. What comes after that waits for the next one."""
_SLICE_SECONDS = 0.005
"""Seconds of long work, after which others get a turn."""


class FairLock:
    """A lock that clients hold by turns: one with many requests delays its own."""

    def __init__(self) -> None:
        self._is_held = False
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """Waiting requests of each client. The client whose turn is next comes first."""

    async def acquire(self, client: str) -> None:
        """Wait for the lock."""
        if not self._is_held:
            self._is_held = True
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(client, deque()).append(future)
        try:
            await future
        except asyncio.CancelledError:
            if not future.cancelled():
                self.release()  # it had just become this one's
            raise

    def release(self) -> None:
        """Give the lock to the next client's first request."""
        while self._queues:
            client = next(iter(self._queues))
            queue = self._queues.pop(client)
            future = queue.popleft()
            if queue:
                self._queues[client] = queue
            if not future.cancelled():
                future.set_result(None)
                return
        self._is_held = False


class _SlicedWork(greenlet):  # type: ignore[misc] # it has no types
    """Synchronous work that stops in the middle."""

    def __init__(self, work: Callable[[], object], clock: Callable[[], float]) -> None:
        super().__init__(work)
        self._clock = clock
        self._slice_ends_at = 0.0

    def resume(self) -> Any:  # noqa: ANN401 - the result of the work, once it is done
        """Do the next slice."""
        self._slice_ends_at = self._clock() + _SLICE_SECONDS
        return self.switch()

    def end_slice(self) -> None:
        """Stop, if the slice has taken long enough."""
        if self._clock() > self._slice_ends_at and self.parent is not None:
            self.parent.switch()


def end_slice() -> None:
    """Let the event loop serve other requests, if the caller is part of long work whose slice is over."""
    worker = getcurrent()
    if isinstance(worker, _SlicedWork):
        worker.end_slice()


class Turns:
    """The work of one event loop."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds = 0.0
        """Seconds of cheap work in this turn."""
        self._is_reset_due = False
        self._long_work = FairLock()

    @property
    def has_time(self) -> bool:
        """Return whether more work may be done in this turn."""
        return self._seconds < _MAX_SECONDS

    async def wait(self) -> None:
        """Wait for a turn that has time."""
        while not self.has_time:  # noqa: ASYNC110 - a sleep of 0 is one turn, which ends by itself
            await asyncio.sleep(0)

    async def run_long(
        self, work: Callable[[], T], client: str, waiting: Callable[[], AbstractContextManager[None]]
    ) -> T:
        """Do work in slices, once no other long work is done. Enter `waiting` while others have their turn."""
        with waiting():
            await self._long_work.acquire(client)
        worker = _SlicedWork(work, self._clock)
        try:
            result: T = worker.resume()
            while not worker.dead:
                try:
                    with waiting():
                        await asyncio.sleep(0)
                except asyncio.CancelledError as cancellation:
                    worker.throw(cancellation)
                else:
                    result = worker.resume()
            return result
        finally:
            self._long_work.release()

    def run(self, work: Callable[[], T]) -> T:
        """Do cheap work in this turn."""
        started_at = self._clock()
        try:
            return work()
        finally:
            self._seconds += self._clock() - started_at
            if not self._is_reset_due:
                self._is_reset_due = True
                asyncio.get_running_loop().call_soon(self._reset)

    def _reset(self) -> None:
        self._seconds, self._is_reset_due = 0.0, False
