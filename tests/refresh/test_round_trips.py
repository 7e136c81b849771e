"""A refresh waits for the database once after the last source, and a query never does."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from graphql_api.domain.report import RefreshReport
from graphql_api.refresh import session
from tests.refresh.running import Running, asking, running
from tests.schema.asking import asker_of
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.relay import Relay
from tests.upstream.server import COUNTRIES, RATES, Answer, Upstream


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> MariaDB | PostgreSQL:
    """Return a server, one of each kind in turn."""
    found: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def relay(server: MariaDB | PostgreSQL) -> Iterator[Relay]:
    """Lend the way to the server, on which round trips are counted."""
    with Relay(server.port) as between:
        yield between


@pytest.fixture
async def far(
    server: MariaDB | PostgreSQL, relay: Relay, upstream: Upstream
) -> AsyncIterator[Running]:
    """Lend a process's worth that has just started, as the server does, behind the relay."""
    url = server.url(server.create_database(), port=relay.port)
    async with running(url, asking(upstream)) as started:
        await started.database.warm(session.CONNECTIONS, session.rehearse)
        yield started


@asynccontextmanager
async def held_tail(started: Running) -> AsyncIterator[None]:
    """Let nothing follow a refresh, so that what is counted belongs to it."""
    async with started.service._closing:
        yield


async def refreshed(
    started: Running, relay: Relay, upstream: Upstream, *, revision: int
) -> tuple[RefreshReport, int]:
    """Refresh; return the report, and the round trips from the last source's answer to it."""
    released = threading.Event()
    upstream.answer("countries", Answer(body=COUNTRIES, until=released.is_set))
    upstream.answer("rates", Answer(body=RATES, until=released.is_set))
    refresh = asyncio.create_task(started.service.refresh())
    await asyncio.to_thread(upstream.wait_until_asked, "rates", revision)
    run = started.service._run
    assert run is not None
    await run.session.opened()
    relay.reset_counts()
    released.set()
    report = await refresh
    return report, relay.round_trips


async def test_first_refresh(far: Running, relay: Relay, upstream: Upstream) -> None:
    """The first refresh after the start waits for the database once."""
    relay.reset_counts()
    async with held_tail(far):
        report, trips = await refreshed(far, relay, upstream, revision=1)
    assert (trips, report.statements, report.inserted) == (1, 1, 250)
    assert relay.connections == 0


async def test_two_in_a_row(far: Running, relay: Relay, upstream: Upstream) -> None:
    """A refresh waits once, too, while nothing of the one before it has been written down."""
    async with held_tail(far):
        await refreshed(far, relay, upstream, revision=1)
        report, trips = await refreshed(far, relay, upstream, revision=2)
        assert (trips, report.statements, report.unchanged) == (1, 1, 250)
    assert relay.connections == 0
    assert [attempt.id for attempt in await far.recorded()] == ["refresh-2", "refresh-1"]


async def test_dead_connections(far: Running, relay: Relay, upstream: Upstream) -> None:
    """Connections that died meanwhile are replaced while the sources are fetched."""
    await refreshed(far, relay, upstream, revision=1)
    await far.service.close()
    relay.cut()
    async with held_tail(far):
        report, trips = await refreshed(far, relay, upstream, revision=2)
    assert (trips, report.statements, report.unchanged) == (1, 1, 250)


async def test_query(far: Running, relay: Relay, upstream: Upstream) -> None:
    """A query waits for no database."""
    await refreshed(far, relay, upstream, revision=1)
    await far.service.close()
    relay.reset_counts()
    asker = asker_of(far)
    assert len(await asker.codes()) == 250
    assert await asker.ask('{ country(code: "FR") { name } status { totalCountries } }') == {
        "country": {"name": "France"},
        "status": {"totalCountries": 250},
    }
    assert (relay.round_trips, relay.connections) == (0, 0)
