"""Long synchronous work on the event loop, in slices: requests are served between two of them."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped] # it has no types

T = TypeVar("T")

_SECONDS = 0.001
"""Seconds of a slice of work that no client waits for."""
_MAX_PAUSE = 0.005
"""Seconds after which the next slice begins, however much there is to serve."""
_IDLE_SECONDS = 0.0001
"""A turn of the event loop that takes less has served next to nothing."""


class SlicedWork(greenlet):  # type: ignore[misc] # it has no types
    """Synchronous work that stops in the middle, wherever it calls `end_slice`."""

    def __init__(
        self, work: Callable[[], object], *, seconds: float = _SECONDS, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Prepare work whose slices take `seconds`."""
        super().__init__(work)
        self.gr_context = copy_context()
        self._seconds = seconds
        self._clock = clock
        self._slice_ends_at = 0.0

    def resume(self) -> Any:  # noqa: ANN401 - the result of the work, once it is `dead`
        """Do the next slice."""
        self._slice_ends_at = self._clock() + self._seconds
        return self.switch()

    async def finish(self, waiting: Callable[[], AbstractContextManager[None]] = nullcontext) -> Any:  # noqa: ANN401 - the result of the work
        """Do all slices that remain. The event loop serves requests between two; enter `waiting` meanwhile."""
        result = self.resume()
        while not self.dead:
            try:
                with waiting():
                    await serve_others(self._clock)
            except asyncio.CancelledError as cancellation:
                self.throw(cancellation)
            else:
                result = self.resume()
        return result

    def end_slice(self) -> None:
        """Stop, if the slice has taken long enough."""
        if self._clock() > self._slice_ends_at and self.parent is not None:
            self.parent.switch()


async def run_in_slices(work: Callable[[], T]) -> T:
    """Do work in slices of a millisecond."""
    result: T = await SlicedWork(work).finish()
    return result


def end_slice() -> None:
    """Let the event loop serve requests, if the caller is part of work whose slice is over."""
    worker = getcurrent()
    if isinstance(worker, SlicedWork):
        worker.end_slice()


async def serve_others(clock: Callable[[], float] = time.perf_counter) -> None:
    """Let the event loop serve the requests that have arrived, and those that arrive until these are served.

    After a single turn of a busy loop, work in slices would take more than requests leave, and they would queue up.
    """
    started_at = turn_ended_at = clock()
    while True:
        turn_started_at = turn_ended_at
        await asyncio.sleep(0)
        turn_ended_at = clock()
        if turn_ended_at - turn_started_at < _IDLE_SECONDS or turn_ended_at - started_at > _MAX_PAUSE:
            return
