"""Turns of the event loop: what is executed in one is bounded, and long work is done one at a time, in slices."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from graphql_api.utils.slices import SlicedWork

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


class Turns:
    """The work of one event loop."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
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
        try:
            result: T = await SlicedWork(work, seconds=_SLICE_SECONDS, clock=self.clock).finish(waiting)
            return result
        finally:
            self._long_work.release()

    async def run_short(
        self, work: Callable[[], T], client: str, waiting: Callable[[], AbstractContextManager[None]]
    ) -> T:
        """Do work that seems cheap in this turn. What is left of it after a slice is long work."""
        worker = SlicedWork(work, seconds=_SLICE_SECONDS, clock=self.clock)
        first_result: T = self.run(worker.resume)
        if worker.dead:
            return first_result
        try:
            with waiting():
                await asyncio.sleep(0)
                await self._long_work.acquire(client)
        except asyncio.CancelledError as cancellation:
            worker.throw(cancellation)
            raise
        try:
            result: T = await worker.finish(waiting)
        finally:
            self._long_work.release()
        return result

    def run(self, work: Callable[[], T]) -> T:
        """Do cheap work in this turn, to its end."""
        started_at = self.clock()
        try:
            return work()
        finally:
            self.spend(self.clock() - started_at)

    def spend(self, seconds: float) -> None:
        """Count cheap work that was done in this turn."""
        self._seconds += seconds
        if not self._is_reset_due:
            self._is_reset_due = True
            asyncio.get_running_loop().call_soon(self._reset)

    def _reset(self) -> None:
        self._seconds, self._is_reset_due = 0.0, False
