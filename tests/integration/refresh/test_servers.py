"""Refreshes on each kind of database: statements, stored rows, and two processes at once."""

import asyncio

from graphql_api.domain.snapshot import DataVersion
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import hold_countries, make_source_config, running_instance


async def test_published_equals_reloaded(url: str, upstream: Upstream) -> None:
    """The published snapshot equals, to the bit, the one that another process loads."""
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


async def test_mariadb_statements(mysql_family: MySQLFamilyServer, upstream: Upstream) -> None:
    """A refresh sends the lease, two reads and one INSERT; history and release follow."""
    name = mysql_family.create_database()
    async with running_instance(mysql_family.url(name), make_source_config(upstream)) as instance:
        await instance.service.refresh()
        await instance.service.close()
        before = len(mysql_family.queries(name))
        await instance.service.refresh()
        await instance.service.close()
        sent = [text.split("\n")[0].split(" ")[:2] for text in mysql_family.queries(name)[before:]]
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
    """Of two processes that refresh at once, one does, and both return its report."""
    released = hold_countries(upstream)
    async with (
        running_instance(url, make_source_config(upstream), name="one") as instance_a,
        running_instance(url, make_source_config(upstream), name="two") as instance_b,
    ):
        refreshes = [asyncio.create_task(instance.service.refresh()) for instance in (instance_a, instance_b)]
        await asyncio.to_thread(upstream.wait_for_requests, "countries")
        await asyncio.sleep(0.2)
        released.set()
        reports = await asyncio.gather(*refreshes)
        assert reports[0] == reports[1]
        assert {row.revision for row in await instance_a.load_rows()} == {1}
        assert (reports[0].version, reports[0].inserted) == (DataVersion(1, 250), 250)
        assert instance_a.catalog.snapshot == instance_b.catalog.snapshot
        assert instance_a.catalog.history == instance_b.catalog.history == (reports[0],)
