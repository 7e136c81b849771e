"""The history after an outage: every replica has the same attempts, in the same order."""

import asyncio

import pytest

from graphql_api.errors import DatabaseUnavailable
from tests.support.db_servers.process import DatabaseServer
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import make_source_config, running_instance
from tests.support.tcp_proxy import TCPProxy


async def test_history_after_outage(server: DatabaseServer, upstream: Upstream) -> None:
    """A failure that could not be recorded does not stay above what other replicas have done since."""
    name = server.create_database()
    sources = make_source_config(upstream)
    with TCPProxy(server.port) as proxy:
        async with (
            running_instance(server.url(name, port=proxy.port), sources, name="cut", database_timeout=1) as cut_off,
            running_instance(server.url(name), sources, name="other") as other,
        ):
            first = await cut_off.service.refresh()
            await cut_off.service.close()
            await asyncio.to_thread(proxy.refuse)
            await asyncio.to_thread(proxy.cut)
            with pytest.raises(DatabaseUnavailable):
                await cut_off.service.refresh()
            assert [attempt.id for attempt in cut_off.catalog.history] == ["cut-2", "cut-1"]
            second = await other.service.refresh()
            await cut_off.service.close()
            await other.service.close()
            await asyncio.to_thread(proxy.accept)
            for replica in (cut_off, other):
                await replica.catalog.sync()
                assert replica.catalog.history == (second, first)
                assert (replica.catalog.last_refresh, replica.catalog.last_failure) == (second, None)
