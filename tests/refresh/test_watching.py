"""Refreshes of other processes over one database are told too, coarsely, and at no cost before."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from graphql_api.errors import SourceUnavailable
from graphql_api.refresh.progress import Phase, Progress
from graphql_api.refresh.watching import Watch
from graphql_api.storage import lease
from tests.refresh.running import DOWN, START, Running, asking, running
from tests.upstream.server import COUNTRIES, Answer, Upstream

OFTEN = 0.01


@contextmanager
def counted(watching: Running) -> Iterator[list[str]]:
    """Keep the statements that a process sends while the context lasts."""
    sent: list[str] = []

    def keep(*given: object) -> None:
        sent.append(str(given[2]))

    engine = watching.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", keep)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", keep)


@pytest.fixture
async def here(path: Path, upstream: Upstream) -> AsyncIterator[Running]:
    """Lend a process that watches, and polls the database as the server does."""
    async with running(path, asking(upstream), name="here") as started:
        watch = Watch(
            started.service.progress,
            database=started.database,
            catalog=started.catalog,
            holder="here",
            clock=lambda: START,
        )
        tasks = [
            asyncio.create_task(watch.run(OFTEN)),
            asyncio.create_task(started.catalog.poll(OFTEN)),
        ]
        try:
            yield started
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


@pytest.fixture
async def there(path: Path, here: Running, upstream: Upstream) -> AsyncIterator[Running]:
    """Lend another process over the same database."""
    assert here.path == path
    async with running(path, asking(upstream), name="there") as started:
        yield started


@pytest.fixture
def released(upstream: Upstream) -> Iterator[threading.Event]:
    """Hold back the countries until the event is set."""
    event = threading.Event()
    upstream.answer("countries", Answer(body=COUNTRIES, until=event.is_set))
    yield event
    event.set()


Events = asyncio.Queue[Progress]


@asynccontextmanager
async def following(watching: Running) -> AsyncIterator[Events]:
    """Follow the hub of a process."""
    queue = Events()

    async def follow() -> None:
        async for progress in watching.service.progress.follow():
            queue.put_nowait(progress)

    task = asyncio.create_task(follow())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.wait([task])


async def next_of(events: Events) -> Progress:
    """Return the next event."""
    async with asyncio.timeout(60):
        return await events.get()


async def to_the_end(events: Events) -> list[Progress]:
    """Return the events up to the end of a refresh."""
    told = [await next_of(events)]
    while not told[-1].is_last:
        told.append(await next_of(events))
    return told


def brief(events: list[Progress]) -> list[tuple[str, Phase]]:
    """Return of which refresh and at which phase events are, but for what is told in passing."""
    return [(one.refresh_id, one.phase) for one in events if one.phase is not Phase.DRAWING]


async def test_succeeds(here: Running, there: Running, released: threading.Event) -> None:
    """A refresh of another process is told when it is seen, and ends with the report it leaves."""
    async with following(here) as events:
        refresh = asyncio.create_task(there.service.refresh())
        first = await next_of(events)
        assert (first.phase, first.fraction) == (Phase.FETCHING, 0.05)
        assert first.message == "Another server fetches countries and exchange rates"
        released.set()
        rest = await to_the_end(events)
        report = await refresh
    assert brief([first, *rest]) == [("there-1", Phase.FETCHING), ("there-1", Phase.DONE)]
    assert (rest[-1].report, rest[-1].message) == (report, "Done by another server")


async def test_fails(
    here: Running, there: Running, upstream: Upstream, released: threading.Event
) -> None:
    """One that fails ends with the code and the message of its error."""
    del released
    event = threading.Event()
    upstream.answer("countries", Answer(status=500, until=event.is_set))
    async with following(here) as events:
        refresh = asyncio.create_task(there.service.refresh())
        await next_of(events)
        upstream.answer("countries", DOWN)
        event.set()
        (last,) = await to_the_end(events)
        with pytest.raises(SourceUnavailable) as raised:
            await refresh
    assert (last.refresh_id, last.phase, last.fraction) == ("there-1", Phase.FAILED, 0.05)
    assert (last.code, last.message) == ("SOURCE_UNAVAILABLE", str(raised.value))


async def test_begun_before(here: Running, there: Running, released: threading.Event) -> None:
    """Who subscribes while another process refreshes is told so, and who comes later at once."""
    refresh = asyncio.create_task(there.service.refresh())
    async with asyncio.timeout(60):
        while here.catalog.holder is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(OFTEN)
    async with following(here) as events:
        first = await next_of(events)
        async with following(here) as later:
            assert await next_of(later) == first
            released.set()
            assert await to_the_end(later) == await to_the_end(events)
        await refresh


async def test_ended_before(here: Running, there: Running) -> None:
    """Who subscribes after a refresh of another process is told nothing of it."""
    await there.service.refresh()
    await there.service.close()
    async with following(here) as events:
        report = await here.service.refresh()
        told = await to_the_end(events)
    assert {one.refresh_id for one in told} == {report.id} == {"here-1"}


async def test_own_are_told_once(here: Running) -> None:
    """What this process has told itself is not told again, though it is in the history."""
    async with following(here) as events:
        for _ in range(2):
            await here.service.refresh()
        await here.service.close()
        await asyncio.sleep(OFTEN * 10)
        told = [events.get_nowait() for _ in range(events.qsize())]
    assert [one.refresh_id for one in told if one.is_last] == ["here-1", "here-2"]


async def test_joined_is_told_once(
    here: Running, there: Running, released: threading.Event
) -> None:
    """A refresh that this process waits for is told as its own, with the other's report."""
    refresh = asyncio.create_task(there.service.refresh())
    async with asyncio.timeout(60):
        while here.catalog.holder is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(OFTEN)
    waits, told_so = "Waiting for another process's refresh", asyncio.Event()

    def listen(progress: Progress) -> None:
        if progress.message == waits:
            told_so.set()

    with here.service.progress.heard_by(listen):
        waiting = asyncio.create_task(here.service.refresh())
        await told_so.wait()
    async with following(here) as events:
        assert (await next_of(events)).message == waits
        released.set()
        told = await to_the_end(events)
        await asyncio.sleep(OFTEN * 10)
        assert events.empty()
    assert brief(told) == [("here-1", Phase.DONE)]
    assert (told[-1].report, told[-1].message) == (await refresh, "Done by another process")
    assert await waiting == told[-1].report


async def test_dies(here: Running) -> None:
    """One whose process dies ends as failed once its lease has run out, since nobody says more."""
    async with following(here) as events:
        await here.database.run(
            lambda connection: lease.take(
                connection, holder="dead", refresh_id="dead-1", seconds=0.5
            )
        )
        told = await to_the_end(events)
    assert brief(told) == [("dead-1", Phase.FETCHING), ("dead-1", Phase.FAILED)]
    assert (told[-1].code, told[-1].report) == ("INTERNAL_SERVER_ERROR", None)


async def test_nobody_follows_any_more(
    here: Running, there: Running, released: threading.Event
) -> None:
    """Who comes after everybody has left is told of the same refresh anew."""
    refresh = asyncio.create_task(there.service.refresh())
    for _ in range(2):
        async with following(here) as events:
            assert (await next_of(events)).refresh_id == "there-1"
        await asyncio.sleep(OFTEN * 10)
    released.set()
    await refresh


async def test_costs_nothing(path: Path, upstream: Upstream) -> None:
    """Nobody who follows costs a statement, and one who does a single one, until there is news."""
    async with running(path, asking(upstream), name="here") as started:
        await started.service.refresh()
        await started.service.close()
        await started.catalog.sync()
        watch = Watch(
            started.service.progress,
            database=started.database,
            catalog=started.catalog,
            holder="here",
            clock=lambda: START,
        )
        with counted(started) as sent:
            task = asyncio.create_task(watch.run(OFTEN))
            await asyncio.sleep(OFTEN * 20)
            assert sent == []
            async with following(started):
                await asyncio.sleep(OFTEN * 20)
            await asyncio.sleep(OFTEN * 20)
            assert len(sent) == 1, sent
            task.cancel()
            await asyncio.wait([task])
