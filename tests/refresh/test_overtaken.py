"""A refresh that is overtaken: its lease ran out unseen, and another process has written since."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import update

from graphql_api.domain.report import RefreshFailure, RefreshReport
from graphql_api.errors import RefreshInProgress
from graphql_api.storage import lease
from graphql_api.storage.engine import Connection
from graphql_api.storage.tables import leases
from tests.refresh.running import Running, asking, first, rating, running
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.upstream.server import COUNTRIES, Answer, Upstream

MESSAGE = (
    "The refresh took longer than its lease of 80 s, and another process has written newer data "
    "meanwhile; nothing was changed."
)


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a database that nobody has used, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/countries.db"
    server: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return server.url(server.create_database())


async def run_out(connection: Connection) -> None:
    """Let the lease run out, by the database's clock alone, as while a machine sleeps."""
    await connection.execute(update(leases).values(expires_at=0))


async def overtake(late: Running, upstream: Upstream, other: Running) -> RefreshReport:
    """Let a refresh be overtaken by another one, whose report is returned."""
    released = threading.Event()
    upstream.answer("countries", Answer(body=COUNTRIES, until=released.is_set))
    refresh = asyncio.create_task(late.service.refresh())
    async with asyncio.timeout(60):
        while await other.database.run(lease.look) is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)
    await other.database.run(run_out)
    report = await other.service.refresh()
    released.set()
    with pytest.raises(RefreshInProgress) as raised:
        await refresh
    assert str(raised.value) == MESSAGE
    return report


async def test_overtaken(url: str, upstream: Upstream) -> None:
    """It changes nothing, not even rows that the other does not list, and it says what happened."""
    with Upstream() as others:
        others.answer("countries", first(200))
        others.answer("rates", rating(EUR=2.0))
        async with (
            running(url, asking(upstream), name="late") as late,
            running(url, asking(others), name="other") as other,
        ):
            await late.service.refresh()
            await late.service.close()
            report = await overtake(late, upstream, other)
            assert (report.version.revision, len(report.missing)) == (3, 50)
            await other.service.close()
            assert {row.revision for row in await late.rows()} == {1, 3}
            assert tuple(await late.rows()) == tuple(
                sorted(other.catalog.snapshot.rows, key=lambda row: row.code)
            )
            failure, *before = await late.recorded()
            assert isinstance(failure, RefreshFailure)
            assert (failure.code, failure.message) == ("REFRESH_IN_PROGRESS", MESSAGE)
            assert [attempt.id for attempt in before] == ["other-1", "late-1"]
            assert await late.database.run(lease.look) is None
            await late.catalog.sync()
            assert late.catalog.snapshot == other.catalog.snapshot
            assert (await late.service.refresh()).version.revision == 4


async def test_overtaken_before_there_was_anything(url: str, upstream: Upstream) -> None:
    """The same where it is new countries that it would add."""
    with Upstream() as others:
        others.answer("countries", first(200))
        async with (
            running(url, asking(upstream), name="late") as late,
            running(url, asking(others), name="other") as other,
        ):
            report = await overtake(late, upstream, other)
            assert report.inserted == 200
            assert len(await late.rows()) == 200
