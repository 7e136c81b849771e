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
from graphql_api.domain.snapshot import DataVersion
from graphql_api.errors import SourceUnavailable
from graphql_api.refresh.progress import Phase
from graphql_api.storage import lease
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.refresh_service import (
    SERVER_ERROR,
    InitialState,
    ProgressRecorder,
    ServiceInstance,
    hold_write_lock,
    make_source_config,
    rates_response,
    running_instance,
)


@pytest.fixture
def released(upstream: Upstream) -> threading.Event:
    """Hold the countries back until the event is set."""
    event = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=event.is_set))
    return event


async def wait_for_lease(instance: ServiceInstance) -> None:
    """Wait until somebody has the lease."""
    async with asyncio.timeout(60):
        while await instance.database.run(lease.read) is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)


async def start_refresh(instance: ServiceInstance, upstream: Upstream) -> "asyncio.Task[object]":
    """Begin a refresh, and wait until it has asked for the countries, which are held back."""
    refresh: asyncio.Task[object] = asyncio.create_task(instance.service.refresh())
    await asyncio.to_thread(upstream.wait_for_requests, "countries")
    return refresh


async def test_five_at_once(upstream: Upstream, instance: ServiceInstance) -> None:
    """Whoever asks while a refresh runs gets that one's report; each source is asked once."""
    reports = await asyncio.gather(*(instance.service.refresh() for _ in range(5)))
    assert [report is reports[0] for report in reports] == [True] * 5
    assert (upstream.request_count("countries"), upstream.request_count("rates")) == (1, 1)
    assert instance.catalog.history == (reports[0],)
    assert (await instance.service.refresh()).id == "refresh-2"
    assert (upstream.request_count("countries"), upstream.request_count("rates")) == (2, 2)


async def test_five_failures_at_once(upstream: Upstream, instance: ServiceInstance) -> None:
    """Whoever joined a refresh that fails gets its error."""
    upstream.set_responses("countries", SERVER_ERROR)
    results = await asyncio.gather(
        *(instance.service.refresh() for _ in range(5)), return_exceptions=True
    )
    assert [type(result) for result in results] == [SourceUnavailable] * 5
    assert upstream.request_count("countries") == 1
    assert len(instance.catalog.history) == 1


async def test_running(
    upstream: Upstream, instance: ServiceInstance, released: threading.Event
) -> None:
    """The service says that a refresh runs while one does."""
    assert instance.service.is_running is False
    refresh = await start_refresh(instance, upstream)
    assert instance.service.is_running is True
    released.set()
    await refresh
    assert instance.service.is_running is False


async def test_caller_goes_away(
    upstream: Upstream, instance: ServiceInstance, released: threading.Event
) -> None:
    """A caller that is cancelled does not stop the refresh, which others can still join."""
    caller = await start_refresh(instance, upstream)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert instance.service.is_running is True
    joined_task = asyncio.create_task(instance.service.refresh())
    released.set()
    report = await joined_task
    assert (report.id, report.inserted) == ("refresh-1", 250)
    assert upstream.request_count("countries") == 1
    assert await instance.load_history() == (report,)


async def test_caller_goes_away_from_a_failure(
    upstream: Upstream, instance: ServiceInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure that nobody waits for is in the history, and is no unclaimed exception."""
    # A record of the failure would keep the exception, and so the task, until the test ends.
    caplog.set_level("ERROR")
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    released = threading.Event()
    upstream.set_responses("countries", FakeResponse(status=500, hold_until=released.is_set))
    caller = await start_refresh(instance, upstream)
    caller.cancel()
    await asyncio.wait([caller])
    released.set()
    assert instance.service._task is not None
    await asyncio.wait([instance.service._task])
    assert [attempt.id for attempt in instance.catalog.history] == ["refresh-1"]
    # When nothing refers to the task any more asyncio complains.
    instance.service._task = None
    del caller
    await instance.service.close()
    gc.collect()
    assert unhandled == []


async def test_reads_go_on(
    upstream: Upstream, instance: ServiceInstance, released: threading.Event
) -> None:
    """What was published before is served while a refresh runs, and replaced at once."""
    released.set()
    await instance.service.refresh()
    before = instance.catalog.snapshot
    released.clear()
    upstream.set_responses("rates", rates_response(EUR=2.0))
    refresh = asyncio.create_task(instance.service.refresh())
    await asyncio.to_thread(upstream.wait_for_requests, "countries", 2)
    assert instance.catalog.snapshot is before
    released.set()
    await refresh
    assert before.by_code["AD"].exchange_rate == 0.88022588
    assert instance.catalog.snapshot.by_code["AD"].exchange_rate == 2.0


async def test_close_waits_for_the_history(instance: ServiceInstance) -> None:
    """Closing waits until the report of a refresh that has answered is written down."""
    with ExitStack() as stack:
        recorder = ProgressRecorder(
            Phase.DONE, lambda: stack.enter_context(hold_write_lock(instance.path))
        )
        stack.enter_context(instance.service.progress.listen(recorder))
        report = await instance.service.refresh()
        close_task = asyncio.create_task(instance.service.close())
        await asyncio.sleep(0)
        assert close_task.done() is False
        assert (await instance.reload_catalog()).history == ()
    await close_task
    assert (await instance.reload_catalog()).history == (report,)


async def test_close_stops_a_refresh(
    upstream: Upstream, instance: ServiceInstance, released: threading.Event
) -> None:
    """Closing stops a refresh that runs: its callers hear of it and nothing was changed."""
    initial = await InitialState.capture(instance)
    caller = await start_refresh(instance, upstream)
    await instance.service.close()
    assert instance.service.is_running is False
    with pytest.raises(asyncio.CancelledError):
        await caller
    released.set()
    assert await initial.is_unchanged()
    assert instance.catalog.history == ()


async def test_close_with_nothing_to_do(instance: ServiceInstance) -> None:
    """A service that never ran can be closed, twice."""
    await instance.service.close()
    await instance.service.close()


async def test_two_processes_at_once(path: Path, upstream: Upstream) -> None:
    """Of two processes that refresh at once one does it, and both answer with its report."""
    released = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
    async with (
        running_instance(path, make_source_config(upstream), name="one") as instance_a,
        running_instance(path, make_source_config(upstream), name="two") as instance_b,
    ):
        first = await start_refresh(instance_a, upstream)
        await wait_for_lease(instance_a)
        second = asyncio.create_task(instance_b.service.refresh())
        await asyncio.sleep(0.1)
        released.set()
        await asyncio.wait([first, second])
        reports = [cast("RefreshReport", task.result()) for task in (first, second)]
        assert reports[0] == reports[1]
        assert (reports[0].version, reports[0].inserted) == (DataVersion(1, 250), 250)
        assert {row.revision for row in await instance_a.load_rows()} == {1}
        assert instance_a.catalog.snapshot == instance_b.catalog.snapshot
        assert instance_a.catalog.history == instance_b.catalog.history == (reports[0],)


async def test_asks_nobody_when_it_has_seen_the_lease(path: Path, upstream: Upstream) -> None:
    """Who saw another's refresh at the last look asks nobody, unless that look is out of date."""
    released = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
    with Upstream() as other_upstream:
        async with (
            running_instance(path, make_source_config(upstream), name="one") as instance_a,
            running_instance(path, make_source_config(other_upstream), name="two") as instance_b,
        ):
            first = await start_refresh(instance_a, upstream)
            await wait_for_lease(instance_a)
            await instance_b.catalog.sync()
            second = asyncio.create_task(instance_b.service.refresh())
            await asyncio.sleep(0.1)
            released.set()
            assert await first == await second
            assert other_upstream.requests == ()
            await instance_a.service.close()
            instance_b.catalog.lease_holder = "one"
            assert (await instance_b.service.refresh()).id == "two-2"
            assert instance_b.catalog.lease_holder == "two"


async def test_other_process_fails(path: Path, upstream: Upstream) -> None:
    """Whoever waits for another process's refresh that fails is told why it failed."""
    released = threading.Event()
    upstream.set_responses("countries", FakeResponse(status=503, hold_until=released.is_set))
    async with (
        running_instance(path, make_source_config(upstream), name="one") as instance_a,
        running_instance(path, make_source_config(upstream), name="two") as instance_b,
    ):
        first = await start_refresh(instance_a, upstream)
        await wait_for_lease(instance_a)
        second = asyncio.create_task(instance_b.service.refresh())
        await asyncio.sleep(0.1)
        assert not second.done()
        released.set()
        errors = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(error) for error in errors] == [SourceUnavailable] * 2
        assert str(errors[0]) == str(errors[1])
        assert [attempt.id for attempt in instance_b.catalog.history] == ["one-1"]


async def test_other_process_dies(path: Path, upstream: Upstream) -> None:
    """A lease whose holder is gone is waited for no longer than it lasts; then it is taken over."""
    async with running_instance(path, make_source_config(upstream)) as instance:
        await instance.database.run(
            lambda connection: lease.acquire(
                connection, holder="dead", refresh_id="never-1", ttl=0.5
            )
        )
        report = await instance.service.refresh()
        assert (report.id, report.version) == ("refresh-1", DataVersion(2, 250))
        assert [attempt.id for attempt in instance.catalog.history] == ["refresh-1"]


async def test_many_refreshes_of_two_processes(path: Path, upstream: Upstream) -> None:
    """However refreshes of two processes fall, one runs at a time, with a revision of its own."""
    async with (
        running_instance(path, make_source_config(upstream), name="one") as instance_a,
        running_instance(path, make_source_config(upstream), name="two") as instance_b,
    ):

        async def refresh(instance: ServiceInstance) -> list[RefreshReport]:
            return [await instance.service.refresh() for _ in range(3)]

        reports = [*chain(*await asyncio.gather(refresh(instance_a), refresh(instance_b)))]
        by_id = {report.id: report for report in reports}
        assert all(by_id[report.id] == report for report in reports)
        revisions = sorted(report.version.revision for report in by_id.values())
        assert revisions == list(range(1, len(by_id) + 1))
        assert {row.revision for row in await instance_a.load_rows()} == {revisions[-1]}


async def test_follows_another_process(path: Path, upstream: Upstream) -> None:
    """A refresh begins from what another process wrote before it, whose tail it waits for."""
    async with (
        running_instance(path, make_source_config(upstream), name="one") as instance_a,
        running_instance(path, make_source_config(upstream), name="two") as instance_b,
    ):
        await instance_a.service.refresh()
        report = await instance_b.service.refresh()
        assert (report.version, report.unchanged) == (DataVersion(2, 250), 250)
        assert report.id.startswith("two-")


async def test_two_in_a_row(upstream: Upstream, instance: ServiceInstance) -> None:
    """A second refresh does not wait for what follows the first one's answer."""
    with ExitStack() as stack:
        recorder = ProgressRecorder(
            Phase.DONE, lambda: stack.enter_context(hold_write_lock(instance.path))
        )
        stack.enter_context(instance.service.progress.listen(recorder))
        await instance.service.refresh()
        assert len(instance.service.lease_sessions.finish_tasks) == 1
        upstream.set_responses("countries", SERVER_ERROR)
        with pytest.raises(SourceUnavailable):
            await instance.service.refresh()
        assert len(instance.service.lease_sessions.finish_tasks) == 2
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES))
    assert (await instance.service.refresh()).id == "refresh-3"


@pytest.mark.parametrize(("phase", "is_locked"), [(Phase.FETCHING, False), (Phase.UPSERTING, True)])
async def test_holds_back_other_writers(
    instance: ServiceInstance, phase: Phase, is_locked: bool
) -> None:
    """Deletions of this process wait while a refresh writes, and not while it fetches."""
    lock_states: list[bool] = []
    recorder = ProgressRecorder(
        phase, lambda: lock_states.append(instance.catalog.write_lock.locked())
    )
    with instance.service.progress.listen(recorder):
        await instance.service.refresh()
    assert set(lock_states) == {is_locked}


async def test_deletion_amid_a_refresh(
    upstream: Upstream, instance: ServiceInstance, released: threading.Event
) -> None:
    """A country that is deleted while the sources are asked is inserted again."""
    released.set()
    await instance.service.refresh()
    released.clear()
    refresh = asyncio.create_task(instance.service.refresh())
    await asyncio.to_thread(upstream.wait_for_requests, "countries", 2)
    await instance.catalog.delete(instance.catalog.snapshot.by_code["AD"])
    assert len(instance.catalog.snapshot.rows) == 249
    released.set()
    report = await refresh
    assert (report.inserted, report.unchanged, report.version) == (1, 249, DataVersion(2, 250))
    assert instance.catalog.snapshot == (await instance.reload_catalog()).snapshot


async def test_history_keeps_the_order(instance: ServiceInstance, upstream: Upstream) -> None:
    """Attempts that could not be written down at once stand in the order in which they ended."""
    upstream.set_responses("countries", FakeResponse(status=500))
    with hold_write_lock(instance.path):
        for _ in range(8):
            with pytest.raises(SourceUnavailable):
                await instance.service.refresh()
        await asyncio.sleep(0.05)
    expected = instance.catalog.history
    assert [attempt.id for attempt in expected] == [f"refresh-{n}" for n in range(8, 0, -1)]
    assert await instance.load_history() == expected
