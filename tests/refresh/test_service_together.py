"""Refreshes beside other things: callers that join or go away, other processes, the end."""

import asyncio
import gc
import threading
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, cast

import pytest

from graphql_api.domain.report import RefreshReport
from graphql_api.domain.snapshot import Version
from graphql_api.errors import SourceUnavailable
from graphql_api.refresh.progress import Phase
from graphql_api.storage import lease
from tests.refresh.running import (
    DOWN,
    Before,
    Running,
    Told,
    asking,
    locked,
    rating,
    running,
)
from tests.upstream.server import COUNTRIES, Answer, Upstream


@pytest.fixture
def released(upstream: Upstream) -> threading.Event:
    """Hold the countries back until the event is set."""
    event = threading.Event()
    upstream.answer("countries", Answer(body=COUNTRIES, until=event.is_set))
    return event


async def leased(started: Running) -> None:
    """Wait until somebody has the lease."""
    async with asyncio.timeout(60):
        while await started.database.run(lease.look) is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)


async def begun(started: Running, upstream: Upstream) -> "asyncio.Task[object]":
    """Begin a refresh, and wait until it has asked for the countries, which are held back."""
    refresh: asyncio.Task[object] = asyncio.create_task(started.service.refresh())
    await asyncio.to_thread(upstream.wait_until_asked, "countries")
    return refresh


async def test_five_at_once(upstream: Upstream, home: Running) -> None:
    """Whoever asks while a refresh runs gets that one's report; each source is asked once."""
    reports = await asyncio.gather(*(home.service.refresh() for _ in range(5)))
    assert [report is reports[0] for report in reports] == [True] * 5
    assert (upstream.asked("countries"), upstream.asked("rates")) == (1, 1)
    assert home.catalog.history == (reports[0],)
    assert (await home.service.refresh()).id == "refresh-2"
    assert (upstream.asked("countries"), upstream.asked("rates")) == (2, 2)


async def test_five_failures_at_once(upstream: Upstream, home: Running) -> None:
    """Whoever joined a refresh that fails gets its error."""
    upstream.answer("countries", DOWN)
    results = await asyncio.gather(
        *(home.service.refresh() for _ in range(5)), return_exceptions=True
    )
    assert [type(result) for result in results] == [SourceUnavailable] * 5
    assert upstream.asked("countries") == 1
    assert len(home.catalog.history) == 1


async def test_running(upstream: Upstream, home: Running, released: threading.Event) -> None:
    """The service says that a refresh runs while one does."""
    assert home.service.running is False
    refresh = await begun(home, upstream)
    assert home.service.running is True
    released.set()
    await refresh
    assert home.service.running is False


async def test_caller_goes_away(
    upstream: Upstream, home: Running, released: threading.Event
) -> None:
    """A caller that is cancelled does not stop the refresh, which others can still join."""
    caller = await begun(home, upstream)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert home.service.running is True
    joined = asyncio.create_task(home.service.refresh())
    released.set()
    report = await joined
    assert (report.id, report.inserted) == ("refresh-1", 250)
    assert upstream.asked("countries") == 1
    assert await home.recorded() == (report,)


async def test_caller_goes_away_from_a_failure(
    upstream: Upstream, home: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure that nobody waits for is in the history, and is no unclaimed exception."""
    # A record of the failure would keep the exception, and so the task, until the test ends.
    caplog.set_level("ERROR")
    unclaimed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unclaimed.append(context))
    released = threading.Event()
    upstream.answer("countries", Answer(status=500, until=released.is_set))
    caller = await begun(home, upstream)
    caller.cancel()
    await asyncio.wait([caller])
    released.set()
    assert home.service._running is not None
    await asyncio.wait([home.service._running])
    assert [attempt.id for attempt in home.catalog.history] == ["refresh-1"]
    # When nothing refers to the task any more asyncio complains.
    home.service._running = None
    del caller
    await home.service.close()
    gc.collect()
    assert unclaimed == []


async def test_reads_go_on(upstream: Upstream, home: Running, released: threading.Event) -> None:
    """What was published before is served while a refresh runs, and replaced at once."""
    released.set()
    await home.service.refresh()
    before = home.catalog.snapshot
    released.clear()
    upstream.answer("rates", rating(EUR=2.0))
    refresh = asyncio.create_task(home.service.refresh())
    await asyncio.to_thread(upstream.wait_until_asked, "countries", 2)
    assert home.catalog.snapshot is before
    released.set()
    await refresh
    assert before.by_code["AD"].exchange_rate == 0.88022588
    assert home.catalog.snapshot.by_code["AD"].exchange_rate == 2.0


async def test_close_waits_for_the_history(home: Running) -> None:
    """Closing waits until the report of a refresh that has answered is written down."""
    with ExitStack() as stack:
        told = Told(Phase.DONE, lambda: stack.enter_context(locked(home.path)))
        stack.enter_context(home.service.progress.heard_by(told))
        report = await home.service.refresh()
        closing = asyncio.create_task(home.service.close())
        await asyncio.sleep(0)
        assert closing.done() is False
        assert (await home.reloaded()).history == ()
    await closing
    assert (await home.reloaded()).history == (report,)


async def test_close_stops_a_refresh(
    upstream: Upstream, home: Running, released: threading.Event
) -> None:
    """Closing stops a refresh that runs: its callers hear of it and nothing was changed."""
    before = await Before.of(home)
    caller = await begun(home, upstream)
    await home.service.close()
    assert home.service.running is False
    with pytest.raises(asyncio.CancelledError):
        await caller
    released.set()
    assert await before.is_unchanged()
    assert home.catalog.history == ()


async def test_close_with_nothing_to_do(home: Running) -> None:
    """A service that never ran can be closed, twice."""
    await home.service.close()
    await home.service.close()


async def test_two_processes_at_once(path: Path, upstream: Upstream) -> None:
    """Of two processes that refresh at once one does it, and both answer with its report."""
    released = threading.Event()
    upstream.answer("countries", Answer(body=COUNTRIES, until=released.is_set))
    async with (
        running(path, asking(upstream), name="one") as one,
        running(path, asking(upstream), name="two") as two,
    ):
        first = await begun(one, upstream)
        await leased(one)
        second = asyncio.create_task(two.service.refresh())
        await asyncio.sleep(0.1)
        released.set()
        await asyncio.wait([first, second])
        reports = [cast("RefreshReport", task.result()) for task in (first, second)]
        assert reports[0] == reports[1]
        assert (reports[0].version, reports[0].inserted) == (Version(1, 250), 250)
        assert {row.revision for row in await one.rows()} == {1}
        assert one.catalog.snapshot == two.catalog.snapshot
        assert one.catalog.history == two.catalog.history == (reports[0],)


async def test_asks_nobody_when_it_has_seen_the_lease(path: Path, upstream: Upstream) -> None:
    """Who saw another's refresh at the last look asks nobody, unless that look is out of date."""
    released = threading.Event()
    upstream.answer("countries", Answer(body=COUNTRIES, until=released.is_set))
    with Upstream() as others:
        async with (
            running(path, asking(upstream), name="one") as one,
            running(path, asking(others), name="two") as two,
        ):
            first = await begun(one, upstream)
            await leased(one)
            await two.catalog.sync()
            second = asyncio.create_task(two.service.refresh())
            await asyncio.sleep(0.1)
            released.set()
            assert await first == await second
            assert others.requests == ()
            await one.service.close()
            two.catalog.holder = "one"
            assert (await two.service.refresh()).id == "two-2"
            assert two.catalog.holder == "two"


async def test_other_process_fails(path: Path, upstream: Upstream) -> None:
    """Whoever waits for another process's refresh that fails is told why it failed."""
    released = threading.Event()
    upstream.answer("countries", Answer(status=503, until=released.is_set))
    async with (
        running(path, asking(upstream), name="one") as one,
        running(path, asking(upstream), name="two") as two,
    ):
        first = await begun(one, upstream)
        await leased(one)
        second = asyncio.create_task(two.service.refresh())
        await asyncio.sleep(0.1)
        assert not second.done()
        released.set()
        errors = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(error) for error in errors] == [SourceUnavailable] * 2
        assert str(errors[0]) == str(errors[1])
        assert [attempt.id for attempt in two.catalog.history] == ["one-1"]


async def test_other_process_dies(path: Path, upstream: Upstream) -> None:
    """A lease whose holder is gone is waited for no longer than it lasts; then it is taken over."""
    async with running(path, asking(upstream)) as started:
        await started.database.run(
            lambda connection: lease.take(
                connection, holder="dead", refresh_id="never-1", seconds=0.5
            )
        )
        report = await started.service.refresh()
        assert (report.id, report.version) == ("refresh-1", Version(2, 250))
        assert [attempt.id for attempt in started.catalog.history] == ["refresh-1"]


async def test_many_refreshes_of_two_processes(path: Path, upstream: Upstream) -> None:
    """However refreshes of two processes fall, one runs at a time, with a revision of its own."""
    async with (
        running(path, asking(upstream), name="one") as one,
        running(path, asking(upstream), name="two") as two,
    ):

        async def refresh(started: Running) -> list[RefreshReport]:
            return [await started.service.refresh() for _ in range(3)]

        reports = [*chain(*await asyncio.gather(refresh(one), refresh(two)))]
        by_id = {report.id: report for report in reports}
        assert all(by_id[report.id] == report for report in reports)
        revisions = sorted(report.version.revision for report in by_id.values())
        assert revisions == list(range(1, len(by_id) + 1))
        assert {row.revision for row in await one.rows()} == {revisions[-1]}


async def test_follows_another_process(path: Path, upstream: Upstream) -> None:
    """A refresh begins from what another process wrote before it, whose tail it waits for."""
    async with (
        running(path, asking(upstream), name="one") as one,
        running(path, asking(upstream), name="two") as two,
    ):
        await one.service.refresh()
        report = await two.service.refresh()
        assert (report.version, report.unchanged) == (Version(2, 250), 250)
        assert report.id.startswith("two-")


async def test_two_in_a_row(upstream: Upstream, home: Running) -> None:
    """A second refresh does not wait for what follows the first one's answer."""
    with ExitStack() as stack:
        told = Told(Phase.DONE, lambda: stack.enter_context(locked(home.path)))
        stack.enter_context(home.service.progress.heard_by(told))
        await home.service.refresh()
        assert len(home.service._tails) == 1
        upstream.answer("countries", DOWN)
        with pytest.raises(SourceUnavailable):
            await home.service.refresh()
        assert len(home.service._tails) == 2
    upstream.answer("countries", Answer(body=COUNTRIES))
    assert (await home.service.refresh()).id == "refresh-3"


@pytest.mark.parametrize(("phase", "held"), [(Phase.FETCHING, False), (Phase.UPSERTING, True)])
async def test_holds_back_other_writers(home: Running, phase: Phase, held: bool) -> None:
    """Deletions of this process wait while a refresh writes, and not while it fetches."""
    seen: list[bool] = []
    told = Told(phase, lambda: seen.append(home.catalog.writing.locked()))
    with home.service.progress.heard_by(told):
        await home.service.refresh()
    assert set(seen) == {held}


async def test_deletion_amid_a_refresh(
    upstream: Upstream, home: Running, released: threading.Event
) -> None:
    """A country that is deleted while the sources are asked is inserted again."""
    released.set()
    await home.service.refresh()
    released.clear()
    refresh = asyncio.create_task(home.service.refresh())
    await asyncio.to_thread(upstream.wait_until_asked, "countries", 2)
    await home.catalog.delete(home.catalog.snapshot.by_code["AD"])
    assert len(home.catalog.snapshot.rows) == 249
    released.set()
    report = await refresh
    assert (report.inserted, report.unchanged, report.version) == (1, 249, Version(2, 250))
    assert home.catalog.snapshot == (await home.reloaded()).snapshot


async def test_history_keeps_the_order(home: Running, upstream: Upstream) -> None:
    """Attempts that could not be written down at once stand in the order in which they ended."""
    upstream.answer("countries", Answer(status=500))
    with locked(home.path):
        for _ in range(8):
            with pytest.raises(SourceUnavailable):
                await home.service.refresh()
        await asyncio.sleep(0.05)
    expected = home.catalog.history
    assert [attempt.id for attempt in expected] == [f"refresh-{n}" for n in range(8, 0, -1)]
    assert await home.recorded() == expected
