"""Live progress, as somebody sees it who subscribes to a real server over a real WebSocket."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from tests.cli.running import Process, serving
from tests.http.talking import PROGRESS, REFRESH, Talk, talking
from tests.upstream.server import COUNTRIES, Answer, Upstream

DOWN = Answer(status=500)


def asking(upstream: Upstream) -> Mapping[str, str]:
    """Return the settings of a server that asks the upstream and nobody else after it."""
    return {
        "COUNTRIES_SOURCES": f"geonames={upstream.countries_url}",
        "RATES_SOURCES": f"er-api={upstream.rates_url}",
        "SNAPSHOT_POLL": "0.1",
    }


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """Lend the sources."""
    with Upstream() as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Process]:
    """Lend a server that has done with the refresh of its start."""
    with serving(tmp_path_factory.mktemp("progress"), **asking(upstream)) as process:
        process.wait_until_said(r"countries from geonames, rates from er-api")
        yield process


@pytest.fixture
def released(upstream: Upstream) -> Iterator[threading.Event]:
    """Hold back the countries until the event is set."""
    event = threading.Event()
    upstream.answer("countries", Answer(body=COUNTRIES, until=event.is_set))
    yield event
    event.set()
    upstream.answer("countries", Answer(body=COUNTRIES))


async def until_fetching(talk: Talk) -> None:
    """Read until the source that is not held back has answered."""
    while (await talk.progress())["message"] != "er-api answered: 155 rates":
        pass


async def test_refresh(server: Process) -> None:
    """A refresh is told step by step, each once and in order, and its report comes last."""
    async with talking(server) as talk:
        await talk.begin(PROGRESS)
        await talk.begin(REFRESH, "2")
        events = await talk.to_the_end()
        answered = (await talk.answer("2"))["data"]["refreshCountries"]
    assert [(one["phase"], one["fraction"]) for one in events] == [
        ("STARTED", 0.0),
        ("FETCHING", 0.05),
        ("FETCHING", 0.35),
        ("FETCHING", 0.65),
        ("TRANSFORMING", 0.7),
        ("UPSERTING", 0.75),
        ("DRAWING", 0.9),
        ("DONE", 1.0),
    ]
    assert {one["message"] for one in events[2:4]} == {
        "geonames answered: 250 countries",
        "er-api answered: 155 rates",
    }
    elapsed = [one["elapsedMs"] for one in events]
    assert elapsed == sorted(elapsed)
    assert {one["refreshId"] for one in events} == {answered["id"]}
    assert [one["report"] for one in events] == [None] * 7 + [answered]
    assert {one["code"] for one in events} == {None}


async def test_failure(server: Process, upstream: Upstream, released: threading.Event) -> None:
    """A refresh that fails ends with the code and the message of its error, and has no report."""
    del released
    upstream.answer("countries", DOWN)
    async with talking(server) as talk:
        await talk.begin(PROGRESS)
        await talk.begin(REFRESH, "2")
        last = (await talk.to_the_end())[-1]
        [error] = (await talk.answer("2"))["errors"]
    assert (last["phase"], last["code"], last["report"]) == ("FAILED", "SOURCE_UNAVAILABLE", None)
    assert last["fraction"] in {0.05, 0.35}
    assert error["extensions"] == {"code": last["code"]}
    assert error["message"] == last["message"]
    assert last["message"] == (
        "No source of countries could be used. geonames: it answered with status 500."
    )


async def test_late(server: Process, released: threading.Event) -> None:
    """Who subscribes in mid-refresh is told at once where it is, and then the rest."""
    async with talking(server) as early, talking(server) as late:
        await early.begin(PROGRESS)
        await early.begin(REFRESH, "2")
        await until_fetching(early)
        await late.begin(PROGRESS)
        first = await late.progress()
        assert (first["phase"], first["message"]) == ("FETCHING", "er-api answered: 155 rates")
        released.set()
        rest = await late.to_the_end()
        assert rest == await early.to_the_end()
        assert rest[-1]["phase"] == "DONE"


async def test_too_late(server: Process) -> None:
    """Who subscribes after a refresh is told nothing of it, and all of the next one."""
    async with talking(server) as talk:
        before = (await talk.ask(REFRESH))["data"]["refreshCountries"]["id"]
        await talk.begin(PROGRESS)
        for number in range(2):  # it stays open from one refresh to the next
            await talk.begin(REFRESH, f"refresh {number}")
            events = await talk.to_the_end()
            assert (events[0]["phase"], events[-1]["phase"]) == ("STARTED", "DONE")
            assert events[-1]["refreshId"] != before
            before = events[-1]["refreshId"]
            await talk.answer(f"refresh {number}")
            assert (await talk.hear())["type"] == "complete"


async def test_many(server: Process) -> None:
    """Two hundred subscribers are all told the same."""
    async with AsyncExitStack() as stack:
        talks = [await stack.enter_async_context(talking(server)) for _ in range(200)]
        for talk in talks:
            await talk.begin(PROGRESS)
            # It has an answer only once what came before has been taken.
            await talk.say({"type": "ping"})
            assert await talk.hear() == {"type": "pong"}
        await talks[0].begin(REFRESH, "2")
        told = await asyncio.gather(*(talk.to_the_end() for talk in talks))
    assert len(told[0]) == 8
    assert all(events == told[0] for events in told)


@pytest.mark.parametrize("leaves", [True, False])
async def test_mutation_goes_on(
    server: Process, upstream: Upstream, released: threading.Event, leaves: bool
) -> None:
    """A mutation that its client completes, or leaves, is carried out all the same."""
    async with talking(server) as other:
        await other.begin(PROGRESS)
        async with talking(server) as talk:
            await talk.begin(REFRESH)
            await until_fetching(other)
            if leaves:
                await talk.connection.close()
            else:
                await talk.say({"type": "complete", "id": "1"})
                assert await talk.ask("{ __typename }") == {"data": {"__typename": "Query"}}
            released.set()
            assert (await other.to_the_end())[-1]["phase"] == "DONE"
        assert upstream.asked("countries") > 0


async def test_other_server(tmp_path: Path, upstream: Upstream, released: threading.Event) -> None:
    """What one server refreshes is told by another one over the same database, with the report."""
    released.set()
    with ExitStack() as stack:
        one = stack.enter_context(serving(tmp_path, **asking(upstream)))
        one.wait_until_said("rates from er-api")
        two = stack.enter_context(serving(tmp_path, **asking(upstream)))
        released.clear()
        async with talking(one) as here, talking(two) as there:
            await there.begin(PROGRESS)
            await here.begin(REFRESH)
            events = [await there.progress()]
            released.set()
            events += await there.to_the_end()
            answered = (await here.answer())["data"]["refreshCountries"]
    assert events[0]["phase"] == "FETCHING"
    assert events[0]["message"] == "Another server fetches countries and exchange rates"
    assert (events[-1]["phase"], events[-1]["report"]) == ("DONE", answered)
    assert {one["refreshId"] for one in events} == {answered["id"]}


async def test_started_by_itself(tmp_path: Path, upstream: Upstream) -> None:
    """A refresh that nobody has asked for is told too."""
    every = {**asking(upstream), "REFRESH_INTERVAL": "0.2"}
    with serving(tmp_path, **every) as process:
        async with talking(process) as talk:
            await talk.begin(PROGRESS)
            ends = [(await talk.to_the_end())[-1] for _ in range(2)]
    assert [one["phase"] for one in ends] == ["DONE", "DONE"]
    assert ends[0]["refreshId"] != ends[1]["refreshId"]
