"""Who may refresh when: not too soon, not too many at once, and not in spite of another."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from graphql_api.domain.report import Trigger
from graphql_api.errors import RefreshInProgress, RefreshTooSoon, SourceUnavailable
from graphql_api.refresh.run import RefreshOrder
from graphql_api.refresh.service import Bounds
from graphql_api.schema.scalars import format_instant
from tests.refresh.running import DOWN, Before, Running, asking, running
from tests.schema.asking import asker_of
from tests.upstream.server import COUNTRIES, Answer, Upstream

MINUTE = Bounds(pause=timedelta(minutes=1))
IMPATIENT = RefreshOrder(wait=False)


def held_back(upstream: Upstream) -> threading.Event:
    """Hold the countries back until the event is set."""
    released = threading.Event()
    upstream.answer("countries", Answer(body=COUNTRIES, until=released.is_set))
    return released


@pytest.mark.parametrize("order", [RefreshOrder(), RefreshOrder(force=True), IMPATIENT])
async def test_too_soon(path: Path, upstream: Upstream, order: RefreshOrder) -> None:
    """Within the pause nobody is asked and nothing changes, however much somebody insists."""
    async with running(path, asking(upstream), bounds=MINUTE) as home:
        first = await home.service.refresh()
        before = await Before.of(home)
        with pytest.raises(RefreshTooSoon) as raised:
            await home.service.refresh(order)
        assert raised.value.retry_at == first.finished_at + MINUTE.pause
        assert str(raised.value) == (
            "The last refresh ended less than 60 s ago; try again at "
            f"{raised.value.retry_at:%H:%M:%S} UTC."
        )
        assert await before.is_unchanged()
        assert (upstream.asked("countries"), upstream.asked("rates")) == (1, 1)
        assert home.catalog.history == (first,)


async def test_pause_is_over(path: Path, upstream: Upstream) -> None:
    """Once the pause is over a refresh is a refresh."""
    # The clock of these tests goes a second on each time that it is asked.
    async with running(path, asking(upstream), bounds=Bounds(pause=timedelta(seconds=1))) as home:
        await home.service.refresh()
        assert (await home.service.refresh()).version.revision == 2


async def test_too_soon_after_a_failure(path: Path, upstream: Upstream) -> None:
    """A refresh that failed counts: its sources were asked."""
    upstream.answer("countries", DOWN)
    async with running(path, asking(upstream), bounds=MINUTE) as home:
        with pytest.raises(SourceUnavailable):
            await home.service.refresh()
        with pytest.raises(RefreshTooSoon):
            await home.service.refresh()


async def test_starts_do_not_count(path: Path, upstream: Upstream) -> None:
    """What a server loads when it starts neither waits for the pause nor begins one."""
    async with running(path, asking(upstream), bounds=MINUTE) as home:
        at_start = RefreshOrder(trigger=Trigger.START)
        await home.service.load_bundled()
        await home.service.refresh(at_start)
        report = await home.service.refresh()
        assert report.version.revision == 3
        assert (await home.service.refresh(at_start)).version.revision == 4
        triggers = [attempt.trigger for attempt in await home.recorded()]
    assert triggers == [Trigger.START, Trigger.REQUEST, Trigger.START, Trigger.START]


async def test_too_soon_after_another_replica(path: Path, upstream: Upstream) -> None:
    """A replica that has not yet heard of another one's refresh finds it out and stops."""
    async with (
        running(path, asking(upstream), name="one", bounds=MINUTE) as one,
        running(path, asking(upstream), name="two", bounds=MINUTE) as two,
    ):
        await two.catalog.sync()
        report = await one.service.refresh()
        await one.service.close()
        released = held_back(upstream)
        with pytest.raises(RefreshTooSoon) as raised:
            await two.service.refresh()
        released.set()
        assert raised.value.retry_at == report.finished_at + MINUTE.pause
        assert await two.recorded() == (report,)
        assert two.catalog.snapshot == one.catalog.snapshot


async def test_joining_is_not_too_soon(path: Path, upstream: Upstream) -> None:
    """Whoever asks while a refresh runs has its report, whatever the pause."""
    released = held_back(upstream)
    async with running(path, asking(upstream), bounds=MINUTE) as home:
        callers = [asyncio.create_task(home.service.refresh()) for _ in range(3)]
        await asyncio.to_thread(upstream.wait_until_asked, "countries")
        released.set()
        assert len({report.id for report in await asyncio.gather(*callers)}) == 1


async def test_too_many_callers(path: Path, upstream: Upstream) -> None:
    """One caller too many is refused at once, and the others have their report."""
    released = held_back(upstream)
    async with running(path, asking(upstream), bounds=Bounds(callers=2)) as home:
        callers = [asyncio.create_task(home.service.refresh()) for _ in range(2)]
        await asyncio.to_thread(upstream.wait_until_asked, "countries")
        with pytest.raises(RefreshInProgress) as raised:
            await home.service.refresh()
        assert str(raised.value) == (
            "2 callers wait for the refresh that runs already; try again later."
        )
        released.set()
        one, other = await asyncio.gather(*callers)
        assert one is other
        assert (await home.service.refresh()).version.revision == 2


async def test_not_waiting_here(home: Running, upstream: Upstream) -> None:
    """Whoever does not want to wait is told since when a refresh runs in this process."""
    released = held_back(upstream)
    patient = asyncio.create_task(home.service.refresh())
    await asyncio.to_thread(upstream.wait_until_asked, "countries")
    with pytest.raises(RefreshInProgress) as raised:
        await home.service.refresh(IMPATIENT)
    released.set()
    assert raised.value.started_at == (await patient).started_at
    assert (await home.service.refresh(IMPATIENT)).version.revision == 2


async def test_not_waiting_for_another_process(path: Path, upstream: Upstream) -> None:
    """Whoever does not want to wait is told since when another process refreshes; others wait."""
    released = held_back(upstream)
    async with (
        running(path, asking(upstream), name="one") as one,
        running(path, asking(upstream), name="two") as two,
    ):
        patient = asyncio.create_task(one.service.refresh())
        await asyncio.to_thread(upstream.wait_until_asked, "countries")
        run = one.service._run
        assert run is not None
        await run.session.opened()

        impatient = asyncio.create_task(two.service.refresh(IMPATIENT))
        await asyncio.sleep(0)
        joined = asyncio.create_task(two.service.refresh())
        with pytest.raises(RefreshInProgress) as raised:
            await impatient
        assert raised.value.started_at is not None
        released.set()
        assert (await patient).id == "one-1"
        assert (await joined).total_countries == 250


async def test_through_graphql(path: Path, upstream: Upstream) -> None:
    """Programs are told when to try again, and since when a refresh runs."""
    released = held_back(upstream)
    async with running(path, asking(upstream), bounds=MINUTE) as home:
        asker = asker_of(home)
        patient = asyncio.create_task(home.service.refresh())
        await asyncio.to_thread(upstream.wait_until_asked, "countries")
        response = await asker.respond("mutation { refreshCountries(wait: false) { id } }")
        running_since = response.body["errors"][0]["extensions"]
        released.set()
        report = await patient
        assert running_since == {
            "code": "REFRESH_IN_PROGRESS",
            "startedAt": format_instant(report.started_at),
        }
        response = await asker.respond("mutation { refreshCountries { id } }")
        assert response.body["errors"][0]["extensions"] == {
            "code": "REFRESH_TOO_SOON",
            "retryAt": format_instant(report.finished_at + MINUTE.pause),
        }
