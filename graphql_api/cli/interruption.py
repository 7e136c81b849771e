"""Commands that hold something when Ctrl-C or another signal stops them: a lease, a lock, a connection."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

from graphql_api.utils.signals import exit_at_once, set_stop_handler

T = TypeVar("T")


async def _close_nothing() -> None:
    """Stand in for a command that has nothing to close."""


def run_until_stopped(
    main: Coroutine[Any, Any, T], close: Callable[[], Coroutine[Any, Any, None]] = _close_nothing
) -> T:
    """Run a coroutine and `close`, and return the result. A signal cancels the coroutine, but not `close`.

    A second signal exits at once.

    Raises:
        SystemExit: a signal has stopped it.
    """
    received: list[int] = []

    async def run() -> T:
        task, loop = asyncio.create_task(main), asyncio.get_running_loop()

        def cancel(signum: int, _: FrameType | None) -> None:
            received.append(signum)
            set_stop_handler(exit_at_once)
            loop.call_soon_threadsafe(task.cancel)

        set_stop_handler(cancel)
        try:
            return await task
        finally:
            await close()

    try:
        result = asyncio.run(run())
    except (Exception, asyncio.CancelledError):
        if not received:
            raise
    finally:
        set_stop_handler(exit_at_once)
    if received:
        sys.exit(128 + received[0])
    return result
