"""The hub of progress: who hears what, in which order, and how much of it may wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.errors import RefreshInProgress
from graphql_api.refresh.progress import Mailbox, Phase, Progress, ProgressHub
from graphql_api.refresh.run import RefreshOrder
from graphql_api.storage import lease
from tests.refresh.running import Running, Told
from tests.rows import quick

STEPS = st.tuples(
    st.sampled_from(list(Phase)), st.floats(min_value=0, max_value=1), st.sampled_from("abc")
)


def event(number: int, phase: Phase = Phase.FETCHING) -> Progress:
    """Return an event of the refresh of that number."""
    return Progress(
        refresh_id=str(number), phase=phase, fraction=0.5, elapsed_ms=1, message="A step"
    )


async def next_of(events: AsyncIterator[Progress]) -> Progress:
    """Return the next event, which is there at once."""
    async with asyncio.timeout(60):
        return await anext(events)


async def test_refresh(home: Running) -> None:
    """Whoever listens is told of every phase of a refresh in order, and of its report at last."""
    told, other = Told(), Told()
    with home.service.progress.heard_by(told), home.service.progress.heard_by(other):
        reports = await asyncio.gather(home.service.refresh(), home.service.refresh())
    assert told.phases == [
        (Phase.STARTED, 0),
        (Phase.FETCHING, 0.05),
        (Phase.FETCHING, 0.35),
        (Phase.FETCHING, 0.65),
        (Phase.TRANSFORMING, 0.7),
        (Phase.UPSERTING, 0.75),
        (Phase.DRAWING, 0.9),
        (Phase.DONE, 1),
    ]
    assert told.progress == other.progress
    last = told.progress[-1]
    assert (last.message, last.report, last.code) == ("Done", reports[0], None)
    assert {one.refresh_id for one in told.progress} == {reports[0].id}
    assert sum(one.is_last for one in told.progress) == 1


async def test_gives_way(home: Running) -> None:
    """A refresh that does not wait for another process's ends with what its caller gets."""
    await home.database.run(
        lambda connection: lease.take(connection, holder="other", refresh_id="other-1", seconds=60)
    )
    told = Told()
    with home.service.progress.heard_by(told), pytest.raises(RefreshInProgress) as raised:
        await home.service.refresh(RefreshOrder(wait=False))
    last = told.progress[-1]
    assert (last.phase, last.code) == (Phase.FAILED, "REFRESH_IN_PROGRESS")
    assert last.message == str(raised.value)


async def test_bundled(home: Running) -> None:
    """What a server loads at its start is told like any other refresh."""
    told = Told()
    with home.service.progress.heard_by(told):
        report = await home.service.load_bundled()
    assert told.progress[-1].report == report


@quick
@given(steps=st.lists(STEPS))
def test_share_never_falls(steps: list[tuple[Phase, float, str]]) -> None:
    """Whatever a refresh tells, its share never falls, and nothing comes after its end."""
    hub, told = ProgressHub(), Told()
    with hub.heard_by(told):
        telling = hub.begin("one")
        for phase, fraction, message in steps:
            telling.tell(phase, fraction, message)
    fractions = [one.fraction for one in told.progress]
    assert fractions == sorted(fractions)
    assert [one.is_last for one in told.progress[:-1]] == [False] * (len(told.progress) - 1)
    elapsed = [one.elapsed_ms for one in told.progress]
    assert elapsed == sorted(elapsed)


async def test_follow() -> None:
    """A follower gets where running refreshes are, nothing of those that ended, and the rest."""
    hub = ProgressHub()
    ended, runs = hub.begin("ended"), hub.begin("runs", elapsed_ms=5000)
    ended.tell(Phase.FETCHING, 0.1, "A step")
    ended.failed("A_CODE", "It failed")
    runs.tell(Phase.STARTED, 0, "Started")
    runs.tell(Phase.FETCHING, 0.1, "A step")
    async with aclosing(hub.follow()) as events:
        first = await next_of(events)
        assert (first.refresh_id, first.message, first.phase) == ("runs", "A step", Phase.FETCHING)
        assert first.elapsed_ms >= 5000
        runs.failed("A_CODE", "It failed")
        assert (await next_of(events)).code == "A_CODE"
        hub.begin("next").tell(Phase.STARTED, 0, "Started")
        assert (await next_of(events)).refresh_id == "next"


async def test_followed() -> None:
    """The hub knows whether anybody follows, from the first to the last."""
    hub = ProgressHub()
    hub.begin("runs").tell(Phase.STARTED, 0, "Started")
    assert not hub.followed.is_set()
    async with aclosing(hub.follow()) as one, aclosing(hub.follow()) as other:
        await next_of(one)
        await next_of(other)
        await one.aclose()
        assert hub.followed.is_set()
    assert not hub.followed.is_set()


async def test_slow_follower() -> None:
    """Who does not read holds no more than 32 events, and gets the end of the last refreshes."""
    hub, most = ProgressHub(), 32
    mailbox = Mailbox(most)
    with hub.heard_by(mailbox.put):
        for number in range(1000):
            telling = hub.begin(str(number))
            for step in range(10):
                telling.tell(Phase.FETCHING, step / 10, f"Step {step}")
                assert len(mailbox) <= most
            telling.failed("A_CODE", "It failed")
    kept = [await mailbox.get() for _ in range(len(mailbox))]
    assert [(one.refresh_id, one.is_last) for one in kept] == [
        (str(number), True) for number in range(1000 - most, 1000)
    ]


@quick
@given(numbers=st.lists(st.integers(0, 3), max_size=40), most=st.integers(1, 5))
async def test_any_events(numbers: list[int], most: int) -> None:
    """A mailbox keeps the order, and drives out what is not the end of a refresh first."""
    put = [event(number, Phase.DONE if number == 0 else Phase.FETCHING) for number in numbers]
    mailbox = Mailbox(most)
    for one in put:
        mailbox.put(one)
    kept = [await mailbox.get() for _ in range(len(mailbox))]
    assert len(kept) == min(len(put), most)
    assert kept[-1:] == put[-1:]
    order = iter(put)
    assert all(any(one is other for other in order) for one in kept)
    ends = sum(one.is_last for one in put)
    assert sum(one.is_last for one in kept) >= min(ends, most - 1)


async def test_waits() -> None:
    """Who reads faster than there are events waits for the next one."""
    mailbox = Mailbox(2)
    waiting = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    mailbox.put(event(1))
    assert await waiting == event(1)
