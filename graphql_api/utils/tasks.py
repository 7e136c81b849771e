"""Asyncio tasks: run a group or none of it, share one among callers, cancel them until they are done."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")

CANCEL_GRACE_PERIOD = 0.5
"""Seconds that a cancelled task has to end before it is cancelled again."""


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Open an `asyncio.TaskGroup` that raises its first failure as it is, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


async def gather(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results in order.

    The first failure, and a cancellation, cancel the others and are raised once those have ended.
    `asyncio.gather` leaves them running.
    """
    async with task_group() as group:
        tasks = [group.create_task(coroutine) for coroutine in coroutines]
    return [task.result() for task in tasks]


async def cancel_all(tasks: Iterable[asyncio.Task[Any]], *, may_cancel: Callable[[], bool] = lambda: True) -> None:
    """Cancel tasks, those added meanwhile too, until each has ended.

    Once is not always enough: while SQLAlchemy gives up a dead connection, it takes a cancellation
    for its own. While `may_cancel` returns false, the tasks are only waited for.
    """
    while running := [task for task in tasks if not task.done()]:
        if may_cancel():
            for task in running:
                task.cancel()
        await asyncio.wait(running, timeout=CANCEL_GRACE_PERIOD)


def retrieve_exception(task: asyncio.Task[Any]) -> None:
    """Mark a failure as retrieved, as a done callback: asyncio logs one that nothing awaited."""
    if not task.cancelled():
        task.exception()


class SharedCall:
    """Runs a coroutine function once for all callers that wait, and at most once per interval."""

    def __init__(
        self,
        function: Callable[[], Coroutine[Any, Any, None]],
        *,
        min_interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Leave at least `min_interval` seconds, by `clock`, from the end of a run to the start of the next."""
        self._function = function
        self._min_interval = min_interval
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._next_start = -math.inf

    async def __call__(self) -> None:
        """Wait for the run in progress, or for a new one; return at once within the interval.

        Cancelling a caller does not stop the run. A failure raises in every caller that waits for it.
        """
        if self._task is None:
            if self._clock() < self._next_start:
                return
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(retrieve_exception)
        await asyncio.shield(self._task)

    async def _run(self) -> None:
        try:
            await self._function()
        finally:
            self._task = None
            self._next_start = self._clock() + self._min_interval
