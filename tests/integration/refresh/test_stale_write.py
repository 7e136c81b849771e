"""Stale writes: the lease expired unnoticed, and another process has written since."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from graphql_api.domain.report import RefreshFailure, RefreshReport
from graphql_api.errors import RefreshInProgress
from graphql_api.storage import lease
from graphql_api.storage.database import DatabaseConnection
from graphql_api.storage.tables import leases
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import (
    ServiceInstance,
    first_countries,
    hold_countries,
    make_source_config,
    rates_response,
    running_instance,
)

pytestmark = pytest.mark.slow

MESSAGE = (
    "The refresh did not renew its lease of 20 s in time, and another process has written newer data "
    "meanwhile; nothing was changed."
)


async def expire_lease(connection: DatabaseConnection) -> None:
    """Expire the lease by the database's clock alone, as while a machine sleeps."""
    await connection.execute(update(leases).values(expires_at=0))


@pytest.fixture
def acquired(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Return an event that is set once a refresh has acquired the lease, and has read that it has it."""
    acquire, event = lease.acquire, asyncio.Event()

    async def acquire_and_tell(*args: Any, **kwargs: Any) -> int | lease.LeaseInfo:  # noqa: ANN401 - passed on
        result = await acquire(*args, **kwargs)
        event.set()
        return result

    monkeypatch.setattr(lease, "acquire", acquire_and_tell)
    return event


async def run_stale_refresh(
    late: ServiceInstance, upstream: Upstream, other: ServiceInstance, acquired: asyncio.Event
) -> RefreshReport:
    """Expect a refresh of `late` to fail because `other` refreshes; return the other's report."""
    released = hold_countries(upstream)
    acquired.clear()
    refresh = asyncio.create_task(late.service.refresh())
    await acquired.wait()
    await other.database.run(expire_lease)
    report = await other.service.refresh()
    released.set()
    with pytest.raises(RefreshInProgress) as exc_info:
        await refresh
    assert str(exc_info.value) == MESSAGE
    return report


async def test_update_is_rejected(url: str, upstream: Upstream, acquired: asyncio.Event) -> None:
    """A stale write changes nothing, not even rows that the newer refresh does not list."""
    with Upstream() as other_upstream:
        other_upstream.set_responses("countries", first_countries(200))
        other_upstream.set_responses("rates", rates_response(EUR=2.0))
        async with (
            running_instance(url, make_source_config(upstream), name="late") as late,
            running_instance(url, make_source_config(other_upstream), name="other") as other,
        ):
            await late.service.refresh()
            await late.service.close()
            report = await run_stale_refresh(late, upstream, other, acquired)
            assert (report.version.revision, len(report.missing)) == (3, 50)
            await other.service.close()
            assert {row.revision for row in await late.load_rows()} == {1, 3}
            assert tuple(await late.load_rows()) == tuple(sorted(other.catalog.snapshot.rows, key=lambda row: row.code))
            failure, *earlier = await late.load_history()
            assert isinstance(failure, RefreshFailure)
            assert (failure.code, failure.message) == ("REFRESH_IN_PROGRESS", MESSAGE)
            assert [attempt.id for attempt in earlier] == ["other-1", "late-1"]
            assert await late.database.run(lease.read) is None
            await late.catalog.sync()
            assert late.catalog.snapshot == other.catalog.snapshot
            assert (await late.service.refresh()).version.revision == 4


async def test_insert_is_rejected(url: str, upstream: Upstream, acquired: asyncio.Event) -> None:
    """A stale write does not insert countries either."""
    with Upstream() as other_upstream:
        other_upstream.set_responses("countries", first_countries(200))
        async with (
            running_instance(url, make_source_config(upstream), name="late") as late,
            running_instance(url, make_source_config(other_upstream), name="other") as other,
        ):
            report = await run_stale_refresh(late, upstream, other, acquired)
            assert report.inserted == 200
            assert len(await late.load_rows()) == 200
