"""Groups of asyncio tasks: run them all or none, cancel them until they are done."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

CANCEL_GRACE_PERIOD = 0.5
"""Seconds that a cancelled task has to end before it is cancelled again."""


async def gather(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results in order.

    The first failure, and a cancellation, cancel the others and are raised once those have ended.
    `asyncio.gather` leaves them running.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, those added meanwhile too, until each has ended.

    Once is not always enough: while SQLAlchemy gives up a dead connection, it takes a cancellation
    for its own.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=CANCEL_GRACE_PERIOD)
