"""Refreshes of other processes: their progress is reported, and their result is waited for."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from graphql_api.errors import SourceUnavailable
from graphql_api.refresh.progress import Phase, Progress
from graphql_api.refresh.remote import RemoteRefreshWatcher
from graphql_api.storage import lease
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import (
    SERVER_ERROR,
    START,
    ServiceInstance,
    hold_countries,
    make_source_config,
    running_instance,
)
from tests.support.wait import wait_until_async

POLL_INTERVAL = 0.01


@contextmanager
def recorded_statements(instance: ServiceInstance) -> Iterator[list[str]]:
    """Record the SQL statements that a process sends while the context lasts."""
    executed: list[str] = []

    def on_execute(*args: object) -> None:
        executed.append(str(args[2]))

    engine = instance.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", on_execute)
    try:
        yield executed
    finally:
        event.remove(engine, "before_cursor_execute", on_execute)


def make_watcher(instance: ServiceInstance) -> RemoteRefreshWatcher:
    """Return a watcher that follows the refreshes of other processes."""
    return RemoteRefreshWatcher(
        instance.service.progress,
        database=instance.database,
        catalog=instance.catalog,
        holder="here",
        clock=lambda: START,
    )


@pytest.fixture
async def watching_instance(path: Path, upstream: Upstream) -> AsyncIterator[ServiceInstance]:
    """Lend a process that watches other processes and polls the database, as the server does."""
    async with running_instance(path, make_source_config(upstream), name="here") as instance:
        watcher = make_watcher(instance)
        tasks = [
            asyncio.create_task(watcher.run(POLL_INTERVAL)),
            asyncio.create_task(instance.catalog.poll(POLL_INTERVAL, instance.catalog.sync)),
        ]
        try:
            yield instance
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


@pytest.fixture
async def remote_instance(
    path: Path, watching_instance: ServiceInstance, upstream: Upstream
) -> AsyncIterator[ServiceInstance]:
    """Lend another process on the same database."""
    assert watching_instance.path == path
    async with running_instance(path, make_source_config(upstream), name="there") as instance:
        yield instance


@pytest.fixture
def released(upstream: Upstream) -> Iterator[threading.Event]:
    """Hold back the response with the countries until the event is set."""
    event = hold_countries(upstream)
    yield event
    event.set()


EventQueue = asyncio.Queue[Progress]


@asynccontextmanager
async def subscription(instance: ServiceInstance) -> AsyncIterator[EventQueue]:
    """Subscribe to the progress of a process."""
    queue = EventQueue()

    async def forward_events() -> None:
        async for progress in instance.service.progress.subscribe():
            queue.put_nowait(progress)

    task = asyncio.create_task(forward_events())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.wait([task])


async def next_event(events: EventQueue) -> Progress:
    """Return the next event."""
    async with asyncio.timeout(60):
        return await events.get()


async def collect_until_end(events: EventQueue) -> list[Progress]:
    """Return the events up to the end of a refresh."""
    received = [await next_event(events)]
    while not received[-1].is_last:
        received.append(await next_event(events))
    return received


def summarize(events: list[Progress]) -> list[tuple[str, Phase]]:
    """Return the refresh id and the phase of each event, except `DRAWING`, which may be missed."""
    return [(item.refresh_id, item.phase) for item in events if item.phase is not Phase.DRAWING]


async def test_succeeds(
    watching_instance: ServiceInstance, remote_instance: ServiceInstance, released: threading.Event
) -> None:
    """A refresh of another process is reported once it is seen, and ends with its report."""
    async with subscription(watching_instance) as events:
        refresh = asyncio.create_task(remote_instance.service.refresh())
        first = await next_event(events)
        assert (first.phase, first.fraction) == (Phase.FETCHING, 0.05)
        assert first.message == "Another server fetches countries and exchange rates"
        released.set()
        rest = await collect_until_end(events)
        report = await refresh
    assert summarize([first, *rest]) == [("there-1", Phase.FETCHING), ("there-1", Phase.DONE)]
    assert (rest[-1].report, rest[-1].message) == (report, "Done by another server")


async def test_fails(
    watching_instance: ServiceInstance, remote_instance: ServiceInstance, upstream: Upstream, released: threading.Event
) -> None:
    """A failing refresh of another process ends with the code and the message of its error."""
    del released
    event = hold_countries(upstream, status=500)
    async with subscription(watching_instance) as events:
        refresh = asyncio.create_task(remote_instance.service.refresh())
        await next_event(events)
        upstream.set_responses("countries", SERVER_ERROR)
        event.set()
        (last,) = await collect_until_end(events)
        with pytest.raises(SourceUnavailable) as exc_info:
            await refresh
    assert (last.refresh_id, last.phase, last.fraction) == ("there-1", Phase.FAILED, 0.05)
    assert (last.code, last.message) == ("SOURCE_UNAVAILABLE", str(exc_info.value))


async def test_subscribe_during_refresh(
    watching_instance: ServiceInstance, remote_instance: ServiceInstance, released: threading.Event
) -> None:
    """Subscribers get a running refresh of another process, and later ones get it at once."""
    refresh = asyncio.create_task(remote_instance.service.refresh())
    await wait_until_async(lambda: watching_instance.catalog.lease_holder is not None)
    async with subscription(watching_instance) as events:
        first = await next_event(events)
        async with subscription(watching_instance) as late_events:
            assert await next_event(late_events) == first
            released.set()
            assert await collect_until_end(late_events) == await collect_until_end(events)
        await refresh


async def test_subscribe_after_refresh(watching_instance: ServiceInstance, remote_instance: ServiceInstance) -> None:
    """Subscribers get no events of another process's refresh that ended before."""
    await remote_instance.service.refresh()
    await remote_instance.service.close()
    async with subscription(watching_instance) as events:
        report = await watching_instance.service.refresh()
        received = await collect_until_end(events)
    assert {item.refresh_id for item in received} == {report.id} == {"here-1"}


async def test_local_refresh_is_reported_once(watching_instance: ServiceInstance) -> None:
    """Refreshes of this process are reported once, although they appear in the history."""
    async with subscription(watching_instance) as events:
        for _ in range(2):
            await watching_instance.service.refresh()
        await watching_instance.service.close()
        await asyncio.sleep(POLL_INTERVAL * 10)
        received = [events.get_nowait() for _ in range(events.qsize())]
    assert [item.refresh_id for item in received if item.is_last] == ["here-1", "here-2"]


async def test_joined_refresh_is_reported_once(
    watching_instance: ServiceInstance, remote_instance: ServiceInstance, released: threading.Event
) -> None:
    """A refresh that this process waits for has one id here, and ends with the other's report."""
    refresh = asyncio.create_task(remote_instance.service.refresh())
    await wait_until_async(lambda: watching_instance.catalog.lease_holder is not None)
    waiting_message, is_waiting = "Waiting for another process's refresh", asyncio.Event()

    def on_progress(progress: Progress) -> None:
        if progress.message == waiting_message:
            is_waiting.set()

    with watching_instance.service.progress.listen(on_progress):
        waiting_task = asyncio.create_task(watching_instance.service.refresh())
        await is_waiting.wait()
    async with subscription(watching_instance) as events:
        assert (await next_event(events)).message == waiting_message
        released.set()
        received = await collect_until_end(events)
        await asyncio.sleep(POLL_INTERVAL * 10)
        assert events.empty()
    assert summarize(received) == [("here-1", Phase.DONE)]
    assert (received[-1].report, received[-1].message) == (await refresh, "Done by another process")
    assert await waiting_task == received[-1].report


async def test_process_dies(watching_instance: ServiceInstance) -> None:
    """A refresh whose process dies ends as failed once its lease has expired."""
    async with subscription(watching_instance) as events:
        await watching_instance.database.run(
            lambda connection: lease.acquire(connection, holder="dead", refresh_id="dead-1", ttl=0.5)
        )
        received = await collect_until_end(events)
    assert summarize(received) == [("dead-1", Phase.FETCHING), ("dead-1", Phase.FAILED)]
    assert (received[-1].code, received[-1].report) == ("INTERNAL_SERVER_ERROR", None)


async def test_subscribers_return(
    watching_instance: ServiceInstance, remote_instance: ServiceInstance, released: threading.Event
) -> None:
    """A running refresh is reported again to subscribers that come after all others have left."""
    refresh = asyncio.create_task(remote_instance.service.refresh())
    for _ in range(2):
        async with subscription(watching_instance) as events:
            assert (await next_event(events)).refresh_id == "there-1"
        await asyncio.sleep(POLL_INTERVAL * 10)
    released.set()
    await refresh


async def test_statements(path: Path, upstream: Upstream) -> None:
    """Watching costs no statement without subscribers, and a single one with an idle one."""
    async with running_instance(path, make_source_config(upstream), name="here") as instance:
        await instance.service.refresh()
        await instance.service.close()
        await instance.catalog.sync()
        watcher = make_watcher(instance)
        with recorded_statements(instance) as executed:
            task = asyncio.create_task(watcher.run(POLL_INTERVAL))
            await asyncio.sleep(POLL_INTERVAL * 20)
            assert executed == []
            async with subscription(instance):
                await asyncio.sleep(POLL_INTERVAL * 20)
            await asyncio.sleep(POLL_INTERVAL * 20)
            assert len(executed) == 1, executed
            task.cancel()
            await asyncio.wait([task])


async def test_subscribers_come_and_go(path: Path, upstream: Upstream) -> None:
    """Subscribers that come and go cost no more statements than polls for one that stays."""
    async with running_instance(path, make_source_config(upstream), name="here") as instance:
        watcher, loop = make_watcher(instance), asyncio.get_running_loop()
        with recorded_statements(instance) as executed:
            started_at, task = loop.time(), asyncio.create_task(watcher.run(3600))
            for _ in range(30):
                async with subscription(instance):
                    await instance.service.progress.has_subscribers.wait()
                await asyncio.sleep(0.02)
            max_polls = 1 + (loop.time() - started_at) // 0.5
            assert 1 <= len(executed) <= max_polls, executed
            task.cancel()
            await asyncio.wait([task])


@pytest.mark.slow
async def test_process_dies_after_writing(
    mysql_family: MySQLFamilyServer, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """A lease whose rows are written is released after 5 s, long before it expires."""
    url = mysql_family.url(mysql_family.create_database())
    async with (
        running_instance(url, make_source_config(upstream), name="dead") as dead,
        running_instance(url, make_source_config(upstream), name="next") as successor,
    ):
        async with dead.service.lease_sessions.finish_lock:  # its session never finishes
            await dead.service.refresh()
            report = await successor.service.refresh()
        assert (report.id, report.version.revision, report.unchanged) == ("next-1", 2, 250)
    assert "The process of refresh dead-1 wrote its rows and died; its lease is released." in caplog.messages
