"""Waiting in tests: poll a condition until it holds, with one timeout for all."""

import asyncio
import time
from collections.abc import Awaitable, Callable

WAIT_TIMEOUT = 120.0
"""Seconds until a wait fails its test; less than a test's time limit, so that the wait is named."""
_MIN_INTERVAL = 0.002
_MAX_INTERVAL = 0.05
"""Seconds between two polls. Polls become rarer the longer a wait takes: a program that starts needs the processor."""
_INTERVAL_GROWTH = 1.2


def wait_until(
    condition: Callable[[], bool],
    failure_message: str = "the condition is still false",
    poll_interval: float = _MIN_INTERVAL,
) -> None:
    """Block until `condition` is true.

    Raises:
        TimeoutError: It stayed false; the message begins with `failure_message`.
    """
    deadline = time.monotonic() + WAIT_TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{failure_message} after {WAIT_TIMEOUT:.0f} s")
        time.sleep(poll_interval)
        poll_interval = max(poll_interval, min(poll_interval * _INTERVAL_GROWTH, _MAX_INTERVAL))


async def wait_until_async(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Poll `condition`, a function or a coroutine function, until it is true.

    Raises:
        TimeoutError: It stayed false.
    """
    async with asyncio.timeout(WAIT_TIMEOUT):
        while True:
            result = condition()
            if result if isinstance(result, bool) else await result:
                return
            await asyncio.sleep(_MIN_INTERVAL)
