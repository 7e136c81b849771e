"""Refreshes on database servers: what reaches them, what they keep, and who waits for what."""

import asyncio
import threading

import pytest

from graphql_api.domain.snapshot import Version
from tests.refresh.running import asking, running
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.upstream.server import COUNTRIES, Answer, Upstream


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> MariaDB | PostgreSQL:
    """Return a server, one of each kind in turn."""
    found: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def url(server: MariaDB | PostgreSQL) -> str:
    """Return the address of a database that nobody has used."""
    return server.url(server.create_database())


async def test_published_is_what_a_reload_gives(url: str, upstream: Upstream) -> None:
    """What a refresh publishes equals, to the bit, what another process loads."""
    async with running(url, asking(upstream)) as started:
        report = await started.service.refresh()
        assert (report.inserted, report.statements) == (250, 1)
        again = await started.service.refresh()
        assert (again.unchanged, again.version, again.statements) == (250, Version(2, 250), 1)
        await started.service.close()
        reloaded = await started.reloaded()
        assert repr(reloaded.snapshot.rows) == repr(started.catalog.snapshot.rows)
        assert reloaded.snapshot == started.catalog.snapshot
        assert reloaded.history == (again, report)


async def test_what_reaches_mariadb(mariadb: MariaDB, upstream: Upstream) -> None:
    """A refresh is the lease, a look and one INSERT; the history and the lease's end follow."""
    name = mariadb.create_database()
    async with running(mariadb.url(name), asking(upstream)) as started:
        await started.service.refresh()
        await started.service.close()
        before = len(mariadb.queries(name))
        await started.service.refresh()
        await started.service.close()
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
    upstream.answer("countries", Answer(body=COUNTRIES, until=released.is_set))
    async with (
        running(url, asking(upstream), name="one") as one,
        running(url, asking(upstream), name="two") as two,
    ):
        refreshes = [asyncio.create_task(each.service.refresh()) for each in (one, two)]
        await asyncio.to_thread(upstream.wait_until_asked, "countries")
        await asyncio.sleep(0.2)
        released.set()
        reports = await asyncio.gather(*refreshes)
        assert reports[0] == reports[1]
        assert (reports[0].version, reports[0].inserted) == (Version(1, 250), 250)
        assert one.catalog.snapshot == two.catalog.snapshot
