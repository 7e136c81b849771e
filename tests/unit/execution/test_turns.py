"""Turns of the event loop: what one of them does is bounded, and clients with long work take turns."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import count

import pytest

from graphql_api.execution.engine import build_schema
from graphql_api.execution.limits import Budget, QueryLimits
from graphql_api.execution.turns import Turns
from graphql_api.utils.slices import end_slice

pytestmark = pytest.mark.asyncio
NO_WAIT: Callable[[], AbstractContextManager[None]] = nullcontext


class StepClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def work(self, seconds: float) -> Callable[[], float]:
        """Return work that takes `seconds`."""

        def do() -> float:
            self.now += seconds
            return self.now

        return do


async def test_turn() -> None:
    """After ten milliseconds of work a turn has no time; the next one has."""
    clock = StepClock()
    turns = Turns(clock)
    assert turns.run(clock.work(0.009)) == 0.009
    assert turns.has_time
    turns.run(clock.work(0.002))
    assert not turns.has_time
    await turns.wait()
    assert turns.has_time


async def test_failed_work_counts() -> None:
    """The time of work that fails counts too."""
    clock = StepClock()
    turns = Turns(clock)

    def fail() -> None:
        clock.now += 1
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        turns.run(fail)
    assert not turns.has_time
    with pytest.raises(ValueError, match="no"):
        await turns.run_long(fail, "a", NO_WAIT)
    assert await turns.run_long(lambda: 7, "a", NO_WAIT) == 7


async def run_steps(turns: Turns, client: str, name: str, log: list[str], slices: int = 2) -> str:
    """Do long work of several slices that logs each of them."""

    def work() -> str:
        for number in range(slices):
            log.append(f"{name}{number}")
            end_slice()
        return name

    return await turns.run_long(work, client, NO_WAIT)


async def test_clients_take_turns() -> None:
    """One long work is done at a time, and a client with many waits no less for the next one than a client with one."""
    turns, log = Turns(count().__next__), list[str]()
    work = [run_steps(turns, "busy", f"b{index}-", log) for index in range(4)]
    results = await asyncio.gather(*work, run_steps(turns, "other", "o-", log))
    assert results == ["b0-", "b1-", "b2-", "b3-", "o-"]
    assert log == ["b0-0", "b0-1", "b1-0", "b1-1", "o-0", "o-1", "b2-0", "b2-1", "b3-0", "b3-1"]


async def test_others_are_served_between_slices() -> None:
    """Between two slices the event loop has a turn."""
    turns, log = Turns(count().__next__), list[str]()

    async def serve() -> None:
        for _ in range(3):
            log.append("served")
            await asyncio.sleep(0)

    await asyncio.gather(run_steps(turns, "a", "a", log, 3), serve())
    assert log == ["a0", "served", "a1", "served", "a2", "served"]


async def test_cancelled() -> None:
    """Work that is cancelled, while it waits or is done, lets the next one begin."""
    turns, log = Turns(count().__next__), list[str]()
    running, waiting, last = (asyncio.create_task(run_steps(turns, "a", name, log)) for name in "rwl")
    await asyncio.sleep(0)
    assert log == ["r0"]
    waiting.cancel()
    running.cancel()
    assert await last == "l"
    assert (running.cancelled(), waiting.cancelled()) == (True, True)
    assert log == ["r0", "l0", "l1"]
    assert await run_steps(turns, "a", "n", log) == "n"


async def test_cancelled_as_its_turn_comes() -> None:
    """Work that is cancelled just when its turn has come passes the turn on."""
    turns, log = Turns(count().__next__), list[str]()
    running, next_one, last = (asyncio.create_task(run_steps(turns, "a", name, log, 1)) for name in "rnl")
    running.add_done_callback(lambda _: next_one.cancel())
    assert await asyncio.wait_for(last, 5) == "l"
    assert log[0] == "r0"
    assert log[-1] == "l0"


async def test_slices_of_a_budget() -> None:
    """A look at the clock ends a slice after five milliseconds, and the time of others does not count."""
    clock = StepClock()
    turns = Turns(clock)
    budget, slices = Budget(QueryLimits(milliseconds=1000), clock), list[float]()

    def work() -> None:
        for _ in range(900):
            clock.now += 1 / 1024
            budget.check_time()

    async def take_time() -> None:
        while not task.done():
            slices.append(clock.now)
            clock.now += 3600
            await asyncio.sleep(0)

    task = asyncio.create_task(turns.run_long(work, "a", budget.paused))
    await asyncio.sleep(0)
    await take_time()
    await task
    assert slices[:3] == [6 / 1024, 3600 + 12 / 1024, 7200 + 18 / 1024]
    assert len(slices) == 150


@pytest.mark.parametrize("step", ["parse", "validate"])
async def test_documents_are_divided(step: str) -> None:
    """While a document is parsed, and while it is validated, others get turns between its nodes."""
    turns, schema = Turns(count().__next__), build_schema(introspection=True)
    text = "{ " + " ".join(f"a{index}: country(code: $c) {{ id }}" for index in range(40)) + " }"
    served = 0

    def work() -> None:
        document = schema.document_cache.get_or_parse(text)
        if step == "validate":
            document.validate(document.get_operation(None))

    if step == "validate":
        schema.document_cache.get_or_parse(text)
    task = asyncio.create_task(turns.run_long(work, "a", NO_WAIT))
    while not task.done():
        served += 1
        await asyncio.sleep(0)
    await task
    assert served > 40 * 4  # fields, arguments, variables and selections


async def test_short_work_that_is_long() -> None:
    """Short work does not wait for long work; what outlasts a slice is long work from there on, also if it fails."""
    turns, log = Turns(count().__next__), list[str]()

    def work() -> str:
        log.append("s0")
        end_slice()
        log.append("s1")
        raise ValueError("no")

    long_work = asyncio.create_task(run_steps(turns, "a", "l", log, 3))
    await asyncio.sleep(0)
    short_work = asyncio.create_task(turns.run_short(work, "b", NO_WAIT))
    brief_work = asyncio.create_task(turns.run_short(lambda: log.append("brief"), "b", NO_WAIT))
    assert await long_work == "l"
    with pytest.raises(ValueError, match="no"):
        await short_work
    await brief_work
    assert log == ["l0", "l1", "s0", "brief", "l2", "s1"]


async def test_short_work_is_cancelled() -> None:
    """Short work that is cancelled between two slices ends there, and lets other work begin."""
    turns, log = Turns(count().__next__), list[str]()

    def work() -> None:
        try:
            end_slice()
        finally:
            log.append("ended")

    task = asyncio.create_task(turns.run_short(work, "a", NO_WAIT))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["ended"]
    assert await run_steps(turns, "b", "b", log) == "b"
