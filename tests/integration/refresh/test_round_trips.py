"""Round trips: a refresh waits for one after the last source, a query for none."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from graphql_api.domain.report import RefreshReport
from graphql_api.refresh import lease_session
from tests.support.db_servers.process import DatabaseServer
from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Upstream, world_bank_responder
from tests.support.refresh_service import ServiceInstance, make_source_config, running_instance
from tests.support.schema_client import client_for
from tests.support.tcp_proxy import TCPProxy


@pytest.fixture
def proxy(server: DatabaseServer) -> Iterator[TCPProxy]:
    """Lend a proxy in front of the server that counts round trips."""
    with TCPProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def instance(server: DatabaseServer, proxy: TCPProxy, upstream: Upstream) -> AsyncIterator[ServiceInstance]:
    """Lend a service behind the proxy, whose connections are warm as after a server's start."""
    url = server.url(server.create_database(), port=proxy.port)
    async with running_instance(url, make_source_config(upstream)) as instance:
        await instance.database.warm_pool(lease_session.WARM_CONNECTIONS, lease_session.prepare_statements)
        yield instance


@asynccontextmanager
async def block_finishing(instance: ServiceInstance) -> AsyncIterator[None]:
    """Keep lease sessions from finishing, so that only the refresh itself is counted."""
    async with instance.service.lease_sessions.finish_lock:
        yield


async def run_refresh(
    instance: ServiceInstance, proxy: TCPProxy, upstream: Upstream, *, revision: int
) -> tuple[RefreshReport, int]:
    """Refresh; return the report and the round trips after the last source's response."""
    released = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
    upstream.set_responses("rates", FakeResponse(body=RATES, hold_until=released.is_set))
    respond = world_bank_responder()
    upstream.set_responses("statistics", lambda request: replace(respond(request), hold_until=released.is_set))
    refresh = asyncio.create_task(instance.service.refresh())
    await asyncio.to_thread(upstream.wait_for_requests, "rates", revision)
    local_run = instance.service._local_run
    assert local_run is not None
    await local_run.lease_session.acquire()
    proxy.reset_counts()
    released.set()
    report = await refresh
    return report, proxy.round_trips


async def test_first_refresh(instance: ServiceInstance, proxy: TCPProxy, upstream: Upstream) -> None:
    """The first refresh after the start waits for one round trip."""
    proxy.reset_counts()
    async with block_finishing(instance):
        report, round_trips = await run_refresh(instance, proxy, upstream, revision=1)
    assert (round_trips, report.statements, report.inserted) == (1, 1, 250)
    assert proxy.connections == 0


async def test_consecutive_refreshes(instance: ServiceInstance, proxy: TCPProxy, upstream: Upstream) -> None:
    """A refresh waits for one round trip also while the one before it is not finished."""
    async with block_finishing(instance):
        await run_refresh(instance, proxy, upstream, revision=1)
        report, round_trips = await run_refresh(instance, proxy, upstream, revision=2)
        assert (round_trips, report.statements, report.unchanged) == (1, 1, 250)
    assert proxy.connections == 0
    assert [attempt.id for attempt in await instance.load_history()] == ["refresh-2", "refresh-1"]


async def test_dead_connections(instance: ServiceInstance, proxy: TCPProxy, upstream: Upstream) -> None:
    """Connections that died since the last refresh are replaced while the sources are fetched."""
    await run_refresh(instance, proxy, upstream, revision=1)
    await instance.service.close()
    proxy.cut()
    async with block_finishing(instance):
        report, round_trips = await run_refresh(instance, proxy, upstream, revision=2)
    assert (round_trips, report.statements, report.unchanged) == (1, 1, 250)


async def test_query(instance: ServiceInstance, proxy: TCPProxy, upstream: Upstream) -> None:
    """A query causes no round trip."""
    await run_refresh(instance, proxy, upstream, revision=1)
    await instance.service.close()
    proxy.reset_counts()
    client = client_for(instance)
    assert len(await client.query_codes()) == 250
    assert await client.query('{ country(code: "FR") { name } status { totalCountries } }') == {
        "country": {"name": "France"},
        "status": {"totalCountries": 250},
    }
    assert (proxy.round_trips, proxy.connections) == (0, 0)
