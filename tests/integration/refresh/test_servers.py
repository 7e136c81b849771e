"""Refreshes on database servers: what reaches them, what they keep, and who waits for what."""

import asyncio
import threading

import pytest

from graphql_api.domain.snapshot import DataVersion
from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.refresh_service import make_source_config, running_instance


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> MariaDB | PostgreSQL:
    """Return a server, one of each kind in turn."""
    database_server: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return database_server


@pytest.fixture
def url(server: MariaDB | PostgreSQL) -> str:
    """Return the address of a database that nobody has used."""
    return server.url(server.create_database())


async def test_published_is_what_a_reload_gives(url: str, upstream: Upstream) -> None:
    """What a refresh publishes equals, to the bit, what another process loads."""
    async with running_instance(url, make_source_config(upstream)) as instance:
        report = await instance.service.refresh()
        assert (report.inserted, report.statements) == (250, 1)
        second_report = await instance.service.refresh()
        assert (second_report.unchanged, second_report.version, second_report.statements) == (
            250,
            DataVersion(2, 250),
            1,
        )
        await instance.service.close()
        reloaded = await instance.reload_catalog()
        assert repr(reloaded.snapshot.rows) == repr(instance.catalog.snapshot.rows)
        assert reloaded.snapshot == instance.catalog.snapshot
        assert reloaded.history == (second_report, report)


async def test_what_reaches_mariadb(mariadb: MariaDB, upstream: Upstream) -> None:
    """A refresh is the lease, a look and one INSERT; the history and the lease's end follow."""
    name = mariadb.create_database()
    async with running_instance(mariadb.url(name), make_source_config(upstream)) as instance:
        await instance.service.refresh()
        await instance.service.close()
        before = len(mariadb.queries(name))
        await instance.service.refresh()
        await instance.service.close()
        sent = [text.split("\n")[0].split(" ")[:2] for text in mariadb.queries(name)[before:]]
    assert sent == [
        ["UPDATE", "leases"],
        ["SELECT", "leases.refresh_id,"],
        ["SELECT", "coalesce(max(countries.revision),"],
        ["SELECT", "refreshes.sequence,"],
        ["INSERT", "INTO"],
        ["START", "TRANSACTION"],
        ["INSERT", "INTO"],
        ["DELETE", "FROM"],
        ["COMMIT"],
        ["UPDATE", "leases"],
    ]


async def test_two_processes_at_once(url: str, upstream: Upstream) -> None:
    """Of two processes that refresh at once one does it, and both answer with its report."""
    released = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
    async with (
        running_instance(url, make_source_config(upstream), name="one") as instance_a,
        running_instance(url, make_source_config(upstream), name="two") as instance_b,
    ):
        refreshes = [
            asyncio.create_task(instance.service.refresh()) for instance in (instance_a, instance_b)
        ]
        await asyncio.to_thread(upstream.wait_for_requests, "countries")
        await asyncio.sleep(0.2)
        released.set()
        reports = await asyncio.gather(*refreshes)
        assert reports[0] == reports[1]
        assert (reports[0].version, reports[0].inserted) == (DataVersion(1, 250), 250)
        assert instance_a.catalog.snapshot == instance_b.catalog.snapshot
