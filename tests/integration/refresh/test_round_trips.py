"""A refresh waits for the database once after the last source, and a query never does."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from graphql_api.domain.report import RefreshReport
from graphql_api.refresh import lease_session
from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Upstream
from tests.support.refresh_service import ServiceInstance, make_source_config, running_instance
from tests.support.schema_client import client_for
from tests.support.tcp_proxy import TCPProxy


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> MariaDB | PostgreSQL:
    """Return a server, one of each kind in turn."""
    database_server: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return database_server


@pytest.fixture
def relay(server: MariaDB | PostgreSQL) -> Iterator[TCPProxy]:
    """Lend the way to the server, on which round trips are counted."""
    with TCPProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def instance(
    server: MariaDB | PostgreSQL, relay: TCPProxy, upstream: Upstream
) -> AsyncIterator[ServiceInstance]:
    """Lend a process's worth that has just started, as the server does, behind the relay."""
    url = server.url(server.create_database(), port=relay.port)
    async with running_instance(url, make_source_config(upstream)) as instance:
        await instance.database.warm_pool(
            lease_session.WARM_CONNECTIONS, lease_session.prepare_statements
        )
        yield instance


@asynccontextmanager
async def block_tail(instance: ServiceInstance) -> AsyncIterator[None]:
    """Let nothing follow a refresh, so that what is counted belongs to it."""
    async with instance.service.lease_sessions.finish_lock:
        yield


async def run_refresh(
    instance: ServiceInstance, relay: TCPProxy, upstream: Upstream, *, revision: int
) -> tuple[RefreshReport, int]:
    """Refresh; return the report, and the round trips from the last source's answer to it."""
    released = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
    upstream.set_responses("rates", FakeResponse(body=RATES, hold_until=released.is_set))
    refresh = asyncio.create_task(instance.service.refresh())
    await asyncio.to_thread(upstream.wait_for_requests, "rates", revision)
    local_run = instance.service._local_run
    assert local_run is not None
    await local_run.lease_session.acquire()
    relay.reset_counts()
    released.set()
    report = await refresh
    return report, relay.round_trips


async def test_first_refresh(
    instance: ServiceInstance, relay: TCPProxy, upstream: Upstream
) -> None:
    """The first refresh after the start waits for the database once."""
    relay.reset_counts()
    async with block_tail(instance):
        report, round_trips = await run_refresh(instance, relay, upstream, revision=1)
    assert (round_trips, report.statements, report.inserted) == (1, 1, 250)
    assert relay.connections == 0


async def test_two_in_a_row(instance: ServiceInstance, relay: TCPProxy, upstream: Upstream) -> None:
    """A refresh waits once, too, while nothing of the one before it has been written down."""
    async with block_tail(instance):
        await run_refresh(instance, relay, upstream, revision=1)
        report, round_trips = await run_refresh(instance, relay, upstream, revision=2)
        assert (round_trips, report.statements, report.unchanged) == (1, 1, 250)
    assert relay.connections == 0
    assert [attempt.id for attempt in await instance.load_history()] == ["refresh-2", "refresh-1"]


async def test_dead_connections(
    instance: ServiceInstance, relay: TCPProxy, upstream: Upstream
) -> None:
    """Connections that died meanwhile are replaced while the sources are fetched."""
    await run_refresh(instance, relay, upstream, revision=1)
    await instance.service.close()
    relay.cut()
    async with block_tail(instance):
        report, round_trips = await run_refresh(instance, relay, upstream, revision=2)
    assert (round_trips, report.statements, report.unchanged) == (1, 1, 250)


async def test_query(instance: ServiceInstance, relay: TCPProxy, upstream: Upstream) -> None:
    """A query waits for no database."""
    await run_refresh(instance, relay, upstream, revision=1)
    await instance.service.close()
    relay.reset_counts()
    client = client_for(instance)
    assert len(await client.query_codes()) == 250
    assert await client.query('{ country(code: "FR") { name } status { totalCountries } }') == {
        "country": {"name": "France"},
        "status": {"totalCountries": 250},
    }
    assert (relay.round_trips, relay.connections) == (0, 0)
