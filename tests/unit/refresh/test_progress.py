"""Progress: the events of a refresh, their order, and the queues of subscribers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.errors import RefreshInProgress
from graphql_api.refresh.pipeline import RefreshOptions
from graphql_api.refresh.progress import Phase, Progress, ProgressBroadcaster, SubscriberQueue
from graphql_api.storage import lease
from tests.support.factories import few_examples
from tests.support.refresh_service import ProgressRecorder, ServiceInstance

STEPS = st.tuples(st.sampled_from(list(Phase)), st.floats(min_value=0, max_value=1), st.sampled_from("abc"))


def make_event(number: int, phase: Phase = Phase.FETCHING) -> Progress:
    """Return an event of the refresh with this number as its id."""
    return Progress(refresh_id=str(number), phase=phase, fraction=0.5, elapsed_ms=1, message="A step")


async def next_event(events: AsyncIterator[Progress]) -> Progress:
    """Return the next event."""
    async with asyncio.timeout(60):
        return await anext(events)


async def test_refresh(instance: ServiceInstance) -> None:
    """Listeners get every phase of a refresh in order, and its report at the end."""
    recorder, other_recorder = ProgressRecorder(), ProgressRecorder()
    with instance.service.progress.listen(recorder), instance.service.progress.listen(other_recorder):
        reports = await asyncio.gather(instance.service.refresh(), instance.service.refresh())
    assert recorder.phases == [
        (Phase.STARTED, 0),
        (Phase.FETCHING, 0.05),
        (Phase.FETCHING, 0.25),
        (Phase.FETCHING, 0.45),
        (Phase.FETCHING, 0.65),
        (Phase.TRANSFORMING, 0.7),
        (Phase.UPSERTING, 0.75),
        (Phase.DRAWING, 0.9),
        (Phase.DONE, 1),
    ]
    assert recorder.events == other_recorder.events
    last = recorder.events[-1]
    assert (last.message, last.report, last.code) == ("Done", reports[0], None)
    assert {item.refresh_id for item in recorder.events} == {reports[0].id}
    assert sum(item.is_last for item in recorder.events) == 1


@pytest.mark.parametrize("error", [BrokenPipeError(), SystemExit(1)], ids=repr)
async def test_listener_that_raises(
    instance: ServiceInstance, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """A listener that raises is logged and called no more; the refresh and other listeners go on."""
    listener, recorder = Mock(side_effect=error), ProgressRecorder()
    with instance.service.progress.listen(listener), instance.service.progress.listen(recorder):
        report = await instance.service.refresh()
    assert (listener.call_count, recorder.events[-1].report) == (1, report)
    assert [record.exc_info and record.exc_info[1] for record in caplog.records] == [error]
    assert await instance.load_history() == (report,)
    assert await instance.database.run(lease.read) is None


async def test_lease_held_by_other(instance: ServiceInstance) -> None:
    """A refresh that does not wait for another process fails with its caller's error."""
    await instance.database.run(
        lambda connection: lease.acquire(connection, holder="other", refresh_id="other-1", ttl=60)
    )
    recorder = ProgressRecorder()
    with instance.service.progress.listen(recorder), pytest.raises(RefreshInProgress) as exc_info:
        await instance.service.refresh(RefreshOptions(wait=False))
    last = recorder.events[-1]
    assert (last.phase, last.code) == (Phase.FAILED, "REFRESH_IN_PROGRESS")
    assert last.message == str(exc_info.value)


async def test_bundled(instance: ServiceInstance) -> None:
    """Loading the bundled data emits events like any other refresh."""
    recorder = ProgressRecorder()
    with instance.service.progress.listen(recorder):
        report = await instance.service.load_bundled()
    assert recorder.events[-1].report == report


@few_examples
@given(steps=st.lists(STEPS))
def test_fraction_never_decreases(steps: list[tuple[Phase, float, str]]) -> None:
    """For any events, the fraction never decreases, and none follows the last event."""
    broadcaster, recorder = ProgressBroadcaster(), ProgressRecorder()
    with broadcaster.listen(recorder):
        reporter = broadcaster.create_reporter("one")
        for phase, fraction, message in steps:
            reporter.emit(phase, fraction, message)
    fractions = [item.fraction for item in recorder.events]
    assert fractions == sorted(fractions)
    assert [item.is_last for item in recorder.events[:-1]] == [False] * (len(recorder.events) - 1)
    elapsed = [item.elapsed_ms for item in recorder.events]
    assert elapsed == sorted(elapsed)


async def test_subscribe() -> None:
    """A subscriber gets the last event of running refreshes, none of ended ones, and the rest."""
    broadcaster = ProgressBroadcaster()
    ended, active = (broadcaster.create_reporter("ended"), broadcaster.create_reporter("runs", elapsed_ms=5000))
    ended.emit(Phase.FETCHING, 0.1, "A step")
    ended.emit_failed("A_CODE", "It failed")
    active.emit(Phase.STARTED, 0, "Started")
    active.emit(Phase.FETCHING, 0.1, "A step")
    async with aclosing(broadcaster.subscribe()) as events:
        first = await next_event(events)
        assert (first.refresh_id, first.message, first.phase) == ("runs", "A step", Phase.FETCHING)
        assert first.elapsed_ms >= 5000
        active.emit_failed("A_CODE", "It failed")
        assert (await next_event(events)).code == "A_CODE"
        broadcaster.create_reporter("next").emit(Phase.STARTED, 0, "Started")
        assert (await next_event(events)).refresh_id == "next"


async def test_has_subscribers() -> None:
    """`has_subscribers` is set from the first subscriber to the last."""
    broadcaster = ProgressBroadcaster()
    broadcaster.create_reporter("runs").emit(Phase.STARTED, 0, "Started")
    assert not broadcaster.has_subscribers.is_set()
    async with aclosing(broadcaster.subscribe()) as first, aclosing(broadcaster.subscribe()) as second:
        await next_event(first)
        await next_event(second)
        await first.aclose()
        assert broadcaster.has_subscribers.is_set()
    assert not broadcaster.has_subscribers.is_set()


async def test_slow_subscriber() -> None:
    """A queue that is not read holds 32 events, the ends of the last refreshes."""
    broadcaster, max_events = ProgressBroadcaster(), 32
    queue = SubscriberQueue(max_events)
    with broadcaster.listen(queue.put):
        for number in range(1000):
            reporter = broadcaster.create_reporter(str(number))
            for step in range(10):
                reporter.emit(Phase.FETCHING, step / 10, f"Step {step}")
                assert len(queue._events) <= max_events
            reporter.emit_failed("A_CODE", "It failed")
    received = [await queue.get() for _ in range(len(queue._events))]
    assert [(item.refresh_id, item.is_last) for item in received] == [
        (str(number), True) for number in range(1000 - max_events, 1000)
    ]


@few_examples
@given(numbers=st.lists(st.integers(0, 3), max_size=40), max_events=st.integers(1, 5))
async def test_queue_order(numbers: list[int], max_events: int) -> None:
    """A queue keeps the order, and first drops events that do not end a refresh."""
    events = [make_event(number, Phase.DONE if number == 0 else Phase.FETCHING) for number in numbers]
    queue = SubscriberQueue(max_events)
    for item in events:
        queue.put(item)
    received = [await queue.get() for _ in range(len(queue._events))]
    assert len(received) == min(len(events), max_events)
    assert received[-1:] == events[-1:]
    order = iter(events)
    assert all(any(item is other for other in order) for item in received)
    ends = sum(item.is_last for item in events)
    assert sum(item.is_last for item in received) >= min(ends, max_events - 1)


async def test_empty_queue() -> None:
    """Reading from an empty queue waits for the next event."""
    queue = SubscriberQueue(2)
    get_task = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not get_task.done()
    queue.put(make_event(1))
    assert await get_task == make_event(1)
