"""A refresh that is overtaken: its lease ran out unseen, and another process has written since."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import update

from graphql_api.domain.report import RefreshFailure, RefreshReport
from graphql_api.errors import RefreshInProgress
from graphql_api.storage import lease
from graphql_api.storage.database import DatabaseConnection
from graphql_api.storage.tables import leases
from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.refresh_service import (
    ServiceInstance,
    first_countries,
    make_source_config,
    rates_response,
    running_instance,
)

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


async def expire_lease(connection: DatabaseConnection) -> None:
    """Let the lease run out, by the database's clock alone, as while a machine sleeps."""
    await connection.execute(update(leases).values(expires_at=0))


async def run_overtaken_refresh(
    late: ServiceInstance, upstream: Upstream, other: ServiceInstance
) -> RefreshReport:
    """Let a refresh be overtaken by another one, whose report is returned."""
    released = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
    refresh = asyncio.create_task(late.service.refresh())
    async with asyncio.timeout(60):
        while await other.database.run(lease.read) is None:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)
    await other.database.run(expire_lease)
    report = await other.service.refresh()
    released.set()
    with pytest.raises(RefreshInProgress) as exc_info:
        await refresh
    assert str(exc_info.value) == MESSAGE
    return report


async def test_overtaken(url: str, upstream: Upstream) -> None:
    """It changes nothing, not even rows that the other does not list, and it says what happened."""
    with Upstream() as other_upstream:
        other_upstream.set_responses("countries", first_countries(200))
        other_upstream.set_responses("rates", rates_response(EUR=2.0))
        async with (
            running_instance(url, make_source_config(upstream), name="late") as late,
            running_instance(url, make_source_config(other_upstream), name="other") as other,
        ):
            await late.service.refresh()
            await late.service.close()
            report = await run_overtaken_refresh(late, upstream, other)
            assert (report.version.revision, len(report.missing)) == (3, 50)
            await other.service.close()
            assert {row.revision for row in await late.load_rows()} == {1, 3}
            assert tuple(await late.load_rows()) == tuple(
                sorted(other.catalog.snapshot.rows, key=lambda row: row.code)
            )
            failure, *earlier = await late.load_history()
            assert isinstance(failure, RefreshFailure)
            assert (failure.code, failure.message) == ("REFRESH_IN_PROGRESS", MESSAGE)
            assert [attempt.id for attempt in earlier] == ["other-1", "late-1"]
            assert await late.database.run(lease.read) is None
            await late.catalog.sync()
            assert late.catalog.snapshot == other.catalog.snapshot
            assert (await late.service.refresh()).version.revision == 4


async def test_overtaken_before_there_was_anything(url: str, upstream: Upstream) -> None:
    """The same where it is new countries that it would add."""
    with Upstream() as other_upstream:
        other_upstream.set_responses("countries", first_countries(200))
        async with (
            running_instance(url, make_source_config(upstream), name="late") as late,
            running_instance(url, make_source_config(other_upstream), name="other") as other,
        ):
            report = await run_overtaken_refresh(late, upstream, other)
            assert report.inserted == 200
            assert len(await late.load_rows()) == 200
