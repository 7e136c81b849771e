"""Tasks: ordered results, the first failure, no task left running, and calls that callers share."""

import asyncio
import gc
from typing import Any

import pytest

from graphql_api.utils.tasks import SharedCall, cancel_all, gather, retrieve_exception, task_group


async def return_after(text: str, delay: float, finished: list[str]) -> str:
    """Return `text` after a delay; add it to `finished` however the task ends."""
    try:
        await asyncio.sleep(delay)
        if text == "wrong":
            raise ValueError(text)
        return text
    finally:
        await asyncio.sleep(0.02 * len(text))
        finished.append(text)


async def test_in_order() -> None:
    """Results come in the order of the coroutines."""
    finished: list[str] = []
    results = gather([return_after("slow", 0.05, finished), return_after("quick", 0, finished)])
    assert await results == ["slow", "quick"]
    assert sorted(finished) == ["quick", "slow"]
    assert await gather([]) == []


async def test_fails() -> None:
    """The first failure is raised unchanged, once the other tasks have ended."""
    finished: list[str] = []
    with pytest.raises(ValueError, match=r"^wrong$"):
        await gather([return_after("slow", 60, finished), return_after("wrong", 0, finished)])
    assert sorted(finished) == ["slow", "wrong"]


async def test_cancelled() -> None:
    """A cancellation is raised once all tasks have ended."""
    finished: list[str] = []
    task = asyncio.create_task(gather([return_after("a", 60, finished), return_after("later", 60, finished)]))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished == ["a", "later"]


async def test_group_keeps_the_cause() -> None:
    """A group raises the failure of its body or of a task as it was raised, cause included."""
    finished: list[str] = []

    async def fail() -> None:
        async with task_group() as group:
            group.create_task(return_after("slow", 60, finished))
            await asyncio.sleep(0.01)
            raise ValueError("wrong") from KeyError("cause")

    with pytest.raises(ValueError, match=r"^wrong$") as exc_info:
        await fail()
    assert repr(exc_info.value.__cause__) == "KeyError('cause')"
    assert finished == ["slow"]


async def test_cancel_waits_until_allowed() -> None:
    """A task is not cancelled while that is not allowed; afterwards it is."""
    states: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(0.05)
            states.append("written")
            allowed.set()
            await asyncio.sleep(60)
        finally:
            states.append("ended")

    allowed = asyncio.Event()
    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    await cancel_all([task], may_cancel=allowed.is_set)
    assert (states, task.cancelled()) == (["written", "ended"], True)


async def test_unretrieved_failure() -> None:
    """A failure that no caller waits for is not logged by asyncio, and a cancellation is fine."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    tasks = [asyncio.create_task(return_after("wrong", delay, [])) for delay in (0, 60)]
    for task in tasks:
        task.add_done_callback(retrieve_exception)
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    del tasks, task
    gc.collect()
    assert reported == []


class Function:
    """A coroutine function that counts its runs, and ends each when it is released."""

    def __init__(self) -> None:
        self.runs = 0
        self.released = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> None:
        """Run until released; raise the failure if there is one."""
        self.runs += 1
        await self.released.wait()
        if self.failure:
            raise self.failure


async def test_shared_call() -> None:
    """Callers share the run in progress, and start none until the interval after its end has passed."""
    function, now = Function(), [100.0]
    call = SharedCall(function, min_interval=2, clock=lambda: now[0])
    callers = [asyncio.create_task(call()) for _ in range(3)]
    await asyncio.sleep(0)
    now[0] = 110
    function.released.set()
    await asyncio.gather(*callers)
    for moment, runs in ((110, 1), (111.9, 1), (112, 2), (113.9, 2), (114, 3)):
        now[0] = moment
        await call()
        assert function.runs == runs


async def test_shared_call_is_cancelled() -> None:
    """Cancelling a caller does not stop the run that others wait for."""
    function = Function()
    call = SharedCall(function, min_interval=0)
    first, second = (asyncio.create_task(call()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    function.released.set()
    await second
    assert (function.runs, first.cancelled()) == (1, True)


async def test_shared_call_fails() -> None:
    """A failure raises in every caller that waits, not in those within the interval, and is retried after it."""
    function, now = Function(), [0.0]
    function.failure = ValueError("wrong")
    function.released.set()
    call = SharedCall(function, min_interval=2, clock=lambda: now[0])
    failures: list[object] = list(await asyncio.gather(call(), call(), return_exceptions=True))
    assert failures == [function.failure, function.failure]
    await call()
    now[0] = 2
    with pytest.raises(ValueError, match=r"^wrong$"):
        await call()
    assert function.runs == 2
