"""Concurrency: callers that join or are cancelled, other processes, deletions, shutdown."""

import asyncio
import gc
import threading
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from graphql_api.domain.report import RefreshReport
from graphql_api.domain.snapshot import DataVersion
from graphql_api.errors import ConnectionPoolExhausted, SourceUnavailable
from graphql_api.refresh.progress import Phase
from graphql_api.storage import countries, lease
from graphql_api.utils.tasks import CANCEL_GRACE_PERIOD
from tests.support.call_counts import counted_steps
from tests.support.factories import country_codes, make_country
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.refresh_service import (
    SERVER_ERROR,
    InitialState,
    ProgressRecorder,
    ServiceInstance,
    hold_countries,
    hold_write_lock,
    make_source_config,
    rates_response,
    running_instance,
    wait_for_lease,
)
from tests.support.wait import wait_until_async


@pytest.fixture
def released(upstream: Upstream) -> threading.Event:
    """Hold back the response with the countries until the event is set."""
    return hold_countries(upstream)


async def start_refresh(instance: ServiceInstance, upstream: Upstream) -> "asyncio.Task[object]":
    """Start a refresh, and wait until it has requested the countries, which are held back."""
    refresh: asyncio.Task[object] = asyncio.create_task(instance.service.refresh())
    await asyncio.to_thread(upstream.wait_for_requests, "countries")
    return refresh


async def test_join(upstream: Upstream, instance: ServiceInstance) -> None:
    """Callers that join a running refresh get its report; each source is requested once."""
    reports = await asyncio.gather(*(instance.service.refresh() for _ in range(5)))
    assert [report is reports[0] for report in reports] == [True] * 5
    assert (upstream.request_count("countries"), upstream.request_count("rates")) == (1, 1)
    assert instance.catalog.history == (reports[0],)
    assert (await instance.service.refresh()).id == "refresh-2"
    assert (upstream.request_count("countries"), upstream.request_count("rates")) == (2, 2)


async def test_readers_do_not_wait(instance: ServiceInstance) -> None:
    """Merging, drawing and building snapshots keep the event loop from its readers for some 2 ms at most."""
    await instance.service.refresh()  # imports, and prepares statements
    with counted_steps() as counts:
        await instance.service.refresh()
        await instance.reload_catalog()
    assert max(counts) < 5_000


async def test_join_failure(upstream: Upstream, instance: ServiceInstance) -> None:
    """Callers that joined a refresh that fails get its error."""
    upstream.set_responses("countries", SERVER_ERROR)
    results = await asyncio.gather(*(instance.service.refresh() for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [SourceUnavailable] * 5
    assert upstream.request_count("countries") == 1
    assert len(instance.catalog.history) == 1


async def test_running(upstream: Upstream, instance: ServiceInstance, released: threading.Event) -> None:
    """`is_running` is true while a refresh runs."""
    assert instance.service.is_running is False
    refresh = await start_refresh(instance, upstream)
    assert instance.service.is_running is True
    released.set()
    await refresh
    assert instance.service.is_running is False


async def test_cancelled_caller(upstream: Upstream, instance: ServiceInstance, released: threading.Event) -> None:
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


async def test_cancelled_caller_of_failure(
    upstream: Upstream, instance: ServiceInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure whose caller was cancelled is in the history, and asyncio does not report it."""
    # A captured log record would keep the exception, and so the task, until the test ends.
    caplog.set_level("ERROR")
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    released = hold_countries(upstream, status=500)
    caller = await start_refresh(instance, upstream)
    caller.cancel()
    await asyncio.wait([caller])
    released.set()
    assert instance.service._task is not None
    await asyncio.wait([instance.service._task])
    assert [attempt.id for attempt in instance.catalog.history] == ["refresh-1"]
    # asyncio reports an unretrieved exception when the last reference to the task goes.
    instance.service._task = None
    del caller
    await instance.service.close()
    gc.collect()
    assert unhandled == []


async def test_reads_go_on(upstream: Upstream, instance: ServiceInstance, released: threading.Event) -> None:
    """The old snapshot is served while a refresh runs, and is not changed by it."""
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
    """Closing waits until the report of a refresh that has returned is stored."""
    with ExitStack() as stack:
        recorder = ProgressRecorder(Phase.DONE, lambda: stack.enter_context(hold_write_lock(instance.path)))
        stack.enter_context(instance.service.progress.listen(recorder))
        report = await instance.service.refresh()
        close_task = asyncio.create_task(instance.service.close())
        await asyncio.sleep(0)
        assert close_task.done() is False
        assert (await instance.reload_catalog()).history == ()
    await close_task
    assert (await instance.reload_catalog()).history == (report,)


async def test_close_while_fetching(upstream: Upstream, instance: ServiceInstance, released: threading.Event) -> None:
    """Closing cancels a refresh that fetches, and its callers; nothing is changed."""
    initial = await InitialState.capture(instance)
    caller = await start_refresh(instance, upstream)
    await instance.service.close()
    assert instance.service.is_running is False
    with pytest.raises(asyncio.CancelledError):
        await caller
    released.set()
    assert await initial.is_unchanged()
    assert instance.catalog.history == ()


async def test_close_while_writing(instance: ServiceInstance) -> None:
    """Closing does not cancel a refresh that writes: its rows are published and recorded."""
    is_writing = asyncio.Event()
    with ExitStack() as stack:
        lock = ExitStack()

        def hold_back_write() -> None:
            lock.enter_context(hold_write_lock(instance.path))
            is_writing.set()

        stack.enter_context(lock)
        recorder = ProgressRecorder(Phase.UPSERTING, hold_back_write)
        stack.enter_context(instance.service.progress.listen(recorder))
        refresh = asyncio.create_task(instance.service.refresh())
        await is_writing.wait()
        close_task = asyncio.create_task(instance.service.close())
        await asyncio.sleep(CANCEL_GRACE_PERIOD * 2)
        assert (close_task.done(), refresh.done()) == (False, False)
    report = await refresh
    await close_task
    reloaded = await instance.reload_catalog()
    assert report.version == instance.catalog.snapshot.version == reloaded.snapshot.version
    assert instance.catalog.history == reloaded.history == (report,)


async def test_close_unused(instance: ServiceInstance) -> None:
    """A service that never ran can be closed, twice."""
    await instance.service.close()
    await instance.service.close()


async def test_known_lease(path: Path, upstream: Upstream) -> None:
    """A process that knows of another's lease requests no source, unless the lease is gone."""
    released = hold_countries(upstream)
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
    """A process that waits for another's refresh raises the error of that refresh."""
    released = hold_countries(upstream, status=503)
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
    """The lease of a dead process is acquired once it has expired."""
    async with running_instance(path, make_source_config(upstream)) as instance:
        await instance.database.run(
            lambda connection: lease.acquire(connection, holder="dead", refresh_id="never-1", ttl=0.5)
        )
        report = await instance.service.refresh()
        assert (report.id, report.version) == ("refresh-1", DataVersion(2, 250))
        assert [attempt.id for attempt in instance.catalog.history] == ["refresh-1"]


async def test_many_refreshes_of_two_processes(path: Path, upstream: Upstream) -> None:
    """Refreshes of two processes run one at a time, each with a revision of its own."""
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


async def test_after_another_process(path: Path, upstream: Upstream) -> None:
    """A refresh starts from the rows of another process, and waits for it to release the lease."""
    async with (
        running_instance(path, make_source_config(upstream), name="one") as instance_a,
        running_instance(path, make_source_config(upstream), name="two") as instance_b,
    ):
        await instance_a.service.refresh()
        report = await instance_b.service.refresh()
        assert (report.version, report.unchanged) == (DataVersion(2, 250), 250)
        assert report.id.startswith("two-")


async def test_consecutive_refreshes(upstream: Upstream, instance: ServiceInstance) -> None:
    """A refresh does not wait for the sessions of earlier refreshes to finish."""
    with ExitStack() as stack:
        recorder = ProgressRecorder(Phase.DONE, lambda: stack.enter_context(hold_write_lock(instance.path)))
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
async def test_write_lock(instance: ServiceInstance, phase: Phase, is_locked: bool) -> None:
    """The write lock is held while a refresh writes, and not while it fetches."""
    lock_states: list[bool] = []
    recorder = ProgressRecorder(phase, lambda: lock_states.append(instance.catalog.write_lock.locked()))
    with instance.service.progress.listen(recorder):
        await instance.service.refresh()
    assert set(lock_states) == {is_locked}


async def test_delete_while_fetching(upstream: Upstream, instance: ServiceInstance, released: threading.Event) -> None:
    """A country that is deleted while the sources are fetched is inserted again."""
    released.set()
    await instance.service.refresh()
    released.clear()
    refresh = asyncio.create_task(instance.service.refresh())
    await asyncio.to_thread(upstream.wait_for_requests, "countries", 2)
    await instance.catalog.delete(instance.catalog.snapshot.by_code["AD"])
    assert len(instance.catalog.snapshot.rows) == 249
    released.set()
    report = await refresh
    assert (report.inserted, report.unchanged, report.version) == (1, 249, DataVersion(4, 250))
    assert instance.catalog.snapshot == (await instance.reload_catalog()).snapshot


async def test_history_order(instance: ServiceInstance, upstream: Upstream) -> None:
    """Attempts that are stored late are stored in the order in which they ended."""
    upstream.set_responses("countries", FakeResponse(status=500))
    with hold_write_lock(instance.path):
        for _ in range(8):
            with pytest.raises(SourceUnavailable):
                await instance.service.refresh()
        await asyncio.sleep(0.05)
    expected = instance.catalog.history
    assert [attempt.id for attempt in expected] == [f"refresh-{n}" for n in range(8, 0, -1)]
    assert await instance.load_history() == expected


async def test_one_connection(path: Path, upstream: Upstream, released: threading.Event) -> None:
    """With a pool of one connection, a deletion and a poll wait for a refresh, and none of them fails."""
    sources = make_source_config(upstream)
    async with running_instance(path, sources, pool_size=1, max_overflow=0) as instance:
        refresh = await start_refresh(instance, upstream)
        released.set()
        await refresh
        france = instance.catalog.snapshot.by_code["FR"]
        event = hold_countries(upstream)
        refresh = await start_refresh(instance, upstream)
        await wait_until_async(lambda: instance.database.pool_stats.in_use == 1)
        others = [asyncio.create_task(instance.catalog.delete(france)), asyncio.create_task(instance.catalog.sync())]
        await wait_until_async(lambda: instance.database.pool_stats.waits >= 2)
        event.set()
        await asyncio.gather(refresh, *others)
        assert instance.catalog.is_database_available is True
        assert instance.catalog.snapshot.version == DataVersion(3, 249)
        assert "FR" not in {row.code for row in await instance.load_rows()}


async def test_one_connection_in_use(path: Path, upstream: Upstream, released: threading.Event) -> None:
    """A deletion that finds the only connection in use for too long changes nothing, and the refresh goes on."""
    sources = make_source_config(upstream)
    async with running_instance(path, sources, database_timeout=0.1, pool_size=1, max_overflow=0) as instance:
        async with instance.database.connect() as connection:
            await countries.upsert(connection, [make_country("FR")])
        await instance.catalog.sync()
        refresh = await start_refresh(instance, upstream)
        await wait_until_async(lambda: instance.database.pool_stats.in_use == 1)
        with pytest.raises(ConnectionPoolExhausted) as exc_info:
            await instance.catalog.delete(make_country("FR"))
        assert exc_info.value.public_message == (
            "All 1 connections to the database were in use for 0.1 s; nothing was changed. "
            "Raise DATABASE_POOL_SIZE or DATABASE_MAX_OVERFLOW."
        )
        assert country_codes(instance.catalog.snapshot.rows) == ["FR"]
        released.set()
        await refresh
        assert len(await instance.load_rows()) == 250
