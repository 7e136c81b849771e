"""Live progress, over a real WebSocket to a real server."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.processes import Process, running_server
from tests.support.ws_client import PROGRESS, REFRESH, WebSocketClient, websocket_client

DOWN = FakeResponse(status=500)


FRACTION_OF_TWO_SOURCES = 0.45
"""Progress once two of three sources have been fetched."""


def source_settings(upstream: Upstream) -> Mapping[str, str]:
    """Return the settings of a server with one provider of each kind, the fake one."""
    return {
        "COUNTRIES_SOURCES": f"geonames={upstream.countries_url}",
        "RATES_SOURCES": f"er-api={upstream.rates_url}",
        "STATISTICS_SOURCES": f"world-bank={upstream.statistics_url}",
        "SNAPSHOT_POLL": "0.1",
    }


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """Run the fake providers."""
    with Upstream() as fake_providers:
        yield fake_providers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Process]:
    """Run a server, and wait for the refresh at its start."""
    folder = tmp_path_factory.mktemp("progress")
    with running_server(folder, **source_settings(upstream), MAX_CONNECTIONS_PER_CLIENT="400") as process:
        process.wait_for_log(r"countries from geonames, rates from er-api")
        yield process


@pytest.fixture
def released(upstream: Upstream) -> Iterator[threading.Event]:
    """Hold back the countries until the event is set."""
    event = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=event.is_set))
    yield event
    event.set()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES))


async def wait_until_fetching(client: WebSocketClient) -> None:
    """Receive events until the providers that do not hang have responded."""
    while (await client.receive_progress())["fraction"] < FRACTION_OF_TWO_SOURCES:
        pass


async def test_refresh(server: Process) -> None:
    """A refresh reports each step once and in order, and its report comes last."""
    async with websocket_client(server) as client:
        await client.subscribe(PROGRESS)
        await client.subscribe(REFRESH, "2")
        events = await client.receive_until_done()
        report = (await client.receive_next("2"))["data"]["refreshCountries"]
    assert [(event["phase"], event["fraction"]) for event in events] == [
        ("STARTED", 0.0),
        ("FETCHING", 0.05),
        ("FETCHING", 0.25),
        ("FETCHING", 0.45),
        ("FETCHING", 0.65),
        ("TRANSFORMING", 0.7),
        ("UPSERTING", 0.75),
        ("DRAWING", 0.9),
        ("DONE", 1.0),
    ]
    assert {event["message"] for event in events[2:5]} == {
        "geonames returned 250 countries",
        "er-api returned 155 rates",
        "world-bank returned statistics of 216 countries",
    }
    elapsed = [event["elapsedMs"] for event in events]
    assert elapsed == sorted(elapsed)
    assert {event["refreshId"] for event in events} == {report["id"]}
    assert [event["report"] for event in events] == [None] * 8 + [report]
    assert {event["code"] for event in events} == {None}


async def test_failure(server: Process, upstream: Upstream, released: threading.Event) -> None:
    """A refresh that fails ends with the code and the message of its error, and has no report."""
    del released
    upstream.set_responses("countries", DOWN)
    async with websocket_client(server) as client:
        await client.subscribe(PROGRESS)
        await client.subscribe(REFRESH, "2")
        last_event = (await client.receive_until_done())[-1]
        [error] = (await client.receive_next("2"))["errors"]
    assert (last_event["phase"], last_event["code"], last_event["report"]) == ("FAILED", "SOURCE_UNAVAILABLE", None)
    assert last_event["fraction"] in {0.05, 0.25, 0.45}
    assert error["extensions"] == {"code": last_event["code"]}
    assert error["message"] == last_event["message"]
    assert last_event["message"] == ("No source of countries could be used. geonames: responded with status 500.")


async def test_late(server: Process, released: threading.Event) -> None:
    """A subscriber that comes during a refresh gets its state at once, and then the rest."""
    async with websocket_client(server) as early, websocket_client(server) as late:
        await early.subscribe(PROGRESS)
        await early.subscribe(REFRESH, "2")
        await wait_until_fetching(early)
        await late.subscribe(PROGRESS)
        first = await late.receive_progress()
        assert (first["phase"], first["fraction"]) == ("FETCHING", FRACTION_OF_TWO_SOURCES)
        released.set()
        rest = await late.receive_until_done()
        assert rest == await early.receive_until_done()
        assert rest[-1]["phase"] == "DONE"


async def test_too_late(server: Process) -> None:
    """A subscriber that comes after a refresh gets nothing of it, and all of the next one."""
    async with websocket_client(server) as client:
        before = (await client.execute(REFRESH))["data"]["refreshCountries"]["id"]
        await client.subscribe(PROGRESS)
        for number in range(2):  # it stays open from one refresh to the next
            await client.subscribe(REFRESH, f"refresh {number}")
            events = await client.receive_until_done()
            assert (events[0]["phase"], events[-1]["phase"]) == ("STARTED", "DONE")
            assert events[-1]["refreshId"] != before
            before = events[-1]["refreshId"]
            await client.receive_next(f"refresh {number}")
            assert (await client.receive())["type"] == "complete"


async def test_many(server: Process) -> None:
    """Two hundred subscribers all receive the same events."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(websocket_client(server)) for _ in range(200)]
        for client in clients:
            await client.subscribe(PROGRESS)
            # It has an answer only once what came before has been taken.
            await client.send({"type": "ping"})
            assert await client.receive() == {"type": "pong"}
        await clients[0].subscribe(REFRESH, "2")
        received = await asyncio.gather(*(client.receive_until_done() for client in clients))
    assert len(received[0]) == 9
    assert all(events == received[0] for events in received)


@pytest.mark.parametrize("leaves", [True, False])
async def test_mutation_goes_on(server: Process, upstream: Upstream, released: threading.Event, leaves: bool) -> None:
    """A mutation finishes although its client completes it or disconnects."""
    async with websocket_client(server) as other:
        await other.subscribe(PROGRESS)
        async with websocket_client(server) as client:
            await client.subscribe(REFRESH)
            await wait_until_fetching(other)
            if leaves:
                await client.connection.close()
            else:
                await client.send({"type": "complete", "id": "1"})
                assert await client.execute("{ __typename }") == {"data": {"__typename": "Query"}}
            released.set()
            assert (await other.receive_until_done())[-1]["phase"] == "DONE"
        assert upstream.request_count("countries") > 0


@pytest.mark.slow
async def test_other_server(tmp_path: Path, upstream: Upstream, released: threading.Event) -> None:
    """A server reports the refresh of another one on the same database, with its report."""
    released.set()
    with ExitStack() as stack:
        first_server = stack.enter_context(running_server(tmp_path, **source_settings(upstream)))
        first_server.wait_for_log("rates from er-api")
        second_server = stack.enter_context(running_server(tmp_path, **source_settings(upstream)))
        released.clear()
        async with websocket_client(first_server) as first_client, websocket_client(second_server) as second_client:
            await second_client.subscribe(PROGRESS)
            await first_client.subscribe(REFRESH)
            events = [await second_client.receive_progress()]
            released.set()
            events += await second_client.receive_until_done()
            report = (await first_client.receive_next())["data"]["refreshCountries"]
    assert events[0]["phase"] == "FETCHING"
    assert events[0]["message"] == "Another server fetches countries and exchange rates"
    assert (events[-1]["phase"], events[-1]["report"]) == ("DONE", report)
    assert {event["refreshId"] for event in events} == {report["id"]}


@pytest.mark.slow
async def test_started_by_itself(tmp_path: Path, upstream: Upstream) -> None:
    """A scheduled refresh is reported too."""
    settings = {**source_settings(upstream), "REFRESH_INTERVAL": "0.2"}
    with running_server(tmp_path, **settings) as process:
        async with websocket_client(process) as client:
            await client.subscribe(PROGRESS)
            last_events = [(await client.receive_until_done())[-1] for _ in range(2)]
    assert [event["phase"] for event in last_events] == ["DONE", "DONE"]
    assert last_events[0]["refreshId"] != last_events[1]["refreshId"]
