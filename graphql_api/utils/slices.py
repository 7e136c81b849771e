"""Long synchronous work on the event loop, in slices: requests are served between two of them."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped] # it has no types

T = TypeVar("T")

_SECONDS = 0.001
"""Seconds of a slice of work that no client waits for."""


class _SlicedWork(greenlet):  # type: ignore[misc] # it has no types
    """Synchronous work that stops in the middle."""

    def __init__(self, work: Callable[[], object], *, seconds: float, clock: Callable[[], float]) -> None:
        super().__init__(work)
        self._seconds = seconds
        self._clock = clock
        self._slice_ends_at = 0.0

    def resume(self) -> Any:  # noqa: ANN401 - the result of the work, once it is done
        """Do the next slice."""
        self._slice_ends_at = self._clock() + self._seconds
        return self.switch()

    def end_slice(self) -> None:
        """Stop, if the slice has taken long enough."""
        if self._clock() > self._slice_ends_at and self.parent is not None:
            self.parent.switch()


async def run_in_slices(
    work: Callable[[], T],
    *,
    seconds: float = _SECONDS,
    clock: Callable[[], float] = time.perf_counter,
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> T:
    """Do work that calls `end_slice`. After `seconds`, the event loop has a turn. Enter `waiting` meanwhile."""
    worker = _SlicedWork(work, seconds=seconds, clock=clock)
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


def end_slice() -> None:
    """Let the event loop serve requests, if the caller is part of work whose slice is over."""
    worker = getcurrent()
    if isinstance(worker, _SlicedWork):
        worker.end_slice()
