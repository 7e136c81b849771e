"""The lease session: what a refresh holds of the database, until after its response."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select, update

from graphql_api.catalog import Catalog
from graphql_api.errors import RefreshInProgress
from graphql_api.refresh.lease_session import LEASE_DURATION, LeaseHeldByOther, LeaseSessions
from graphql_api.storage import lease
from graphql_api.storage.database import Database, DatabaseConnection
from graphql_api.storage.tables import leases
from tests.support.attempts import REPORT
from tests.support.database import migrated_sqlite
from tests.support.factories import make_country
from tests.support.provider_caches import FULL_CACHE
from tests.support.wait import wait_until_async


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """Lend a migrated database."""
    async with migrated_sqlite(path) as database:
        yield database


def make_sessions(database: Database, *, holder: str, lease_duration: float = LEASE_DURATION) -> LeaseSessions:
    """Return the sessions of a process with a catalog of its own."""
    return LeaseSessions(database=database, catalog=Catalog(database, {}), holder=holder, lease_duration=lease_duration)


async def read_holding_refresh(database: Database) -> str | None:
    """Return the id of the refresh that holds the lease."""
    lease_info = await database.run(lease.read)
    return lease_info.refresh_id if lease_info else None


async def expire_lease(database: Database) -> None:
    """Expire the lease by the database's clock alone, as while a machine sleeps."""
    await database.run(lambda connection: connection.execute(update(leases).values(expires_at=1)))


async def test_acquire_in_turn(database: Database) -> None:
    """Of two sessions of a process, the one that was opened later holds the lease in the end."""
    sessions = make_sessions(database, holder="me")
    async with AsyncExitStack() as stack:
        async with sessions.lease_lock:
            opened = [await stack.enter_async_context(sessions.open(refresh_id)) for refresh_id in ("1", "2")]
            assert await read_holding_refresh(database) is None
        assert [await session.acquire() for session in opened] == [1, 2]
        assert await read_holding_refresh(database) == "2"
    await sessions.wait_until_finished()


async def test_lifecycle(database: Database) -> None:
    """A session acquires the lease, writes rows, records the attempt and releases the lease."""
    sessions = make_sessions(database, holder="me")
    async with sessions.open("1") as session:
        assert await session.acquire() == 1
        assert await read_holding_refresh(database) == "1"
        assert session.is_writing is False
        assert await session.store([make_country(revision=1)]) == 1
        assert session.is_writing is True
        session.record_at_end(REPORT, FULL_CACHE)
    await sessions.wait_until_finished()
    assert await read_holding_refresh(database) is None
    catalog = Catalog(database, {})
    await catalog.sync()
    assert (catalog.snapshot.rows, catalog.history) == ((make_country(revision=1),), (REPORT,))
    assert catalog.provider_cache == FULL_CACHE


async def test_held_by_another_process(database: Database) -> None:
    """Acquiring a lease of another process returns that lease, and finishing leaves it alone."""
    sessions = make_sessions(database, holder="me")
    other_sessions = make_sessions(database, holder="other")
    async with sessions.open("1") as session:
        await session.acquire()
        lease_info = await database.run(lease.read)
        assert lease_info is not None
        async with other_sessions.open("2") as other:
            assert await other.acquire() == LeaseHeldByOther(lease_info)
        await other_sessions.wait_until_finished()
        assert await database.run(lease.read) == lease_info
    await sessions.wait_until_finished()


async def test_acquired_again_by_the_same_process(database: Database) -> None:
    """The next refresh of a process does not wait for the session before it to finish."""
    sessions = make_sessions(database, holder="me")
    async with AsyncExitStack() as stack:
        async with sessions.open("1") as first:
            second = await stack.enter_async_context(sessions.open("2"))
            assert [await session.acquire() for session in (first, second)] == [1, 2]
        await sessions.wait_until_finished()
        assert await read_holding_refresh(database) == "2"
    await sessions.wait_until_finished()
    assert await read_holding_refresh(database) is None


async def test_cancelled_while_it_opens(database: Database) -> None:
    """A session whose refresh is cancelled before it has the lease leaves no lease behind."""
    sessions = make_sessions(database, holder="me")

    async def acquire() -> None:
        async with sessions.open("1") as session:
            await session.acquire()

    async with sessions.lease_lock:
        task = asyncio.create_task(acquire())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        assert (task.cancelled(), len(sessions.finish_tasks)) == (True, 1)
    await sessions.wait_until_finished()
    assert (await read_holding_refresh(database), len(sessions.finish_tasks)) == (None, 0)


async def read_lease_end(connection: DatabaseConnection) -> float:
    """Return the end of the lease."""
    return float(await connection.scalar(select(leases.c.expires_at)) or 0)


async def test_renewed(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """The lease is renewed while the session lasts, also after a renewal that failed, and released at its end."""
    sessions = make_sessions(database, holder="me", lease_duration=2)

    async def is_renewed() -> bool:
        return await database.run(read_lease_end) > taken_until

    async with sessions.open("1") as session:
        await session.acquire()
        taken_until = await database.run(read_lease_end)
        await wait_until_async(is_renewed)
        await database.run(lambda connection: connection.exec_driver_sql("ALTER TABLE leases RENAME TO hidden"))
        await wait_until_async(lambda: len(caplog.messages) > 0)
        await database.run(lambda connection: connection.exec_driver_sql("ALTER TABLE hidden RENAME TO leases"))
        taken_until = await database.run(read_lease_end)
        await wait_until_async(is_renewed)
    await sessions.wait_until_finished()
    assert await database.run(read_lease_end) == 0
    assert set(caplog.messages) == {
        f"The lease of refresh 1 was not renewed: The database at {database} failed: no such table: leases."
    }


async def test_lease_that_another_process_took(database: Database) -> None:
    """Rows are not written after the lease has expired and another process has taken it."""
    sessions = make_sessions(database, holder="me")
    async with sessions.open("1") as session:
        await session.acquire()
        await expire_lease(database)
        assert await database.run(partial(lease.acquire, holder="other", refresh_id="2", ttl=60)) == 2
        session._lease_expires_at = 0
        with pytest.raises(RefreshInProgress) as exc_info:
            await session.store([make_country()])
    assert str(exc_info.value) == (
        "The refresh did not renew its lease of 20 s in time, and another process has begun one; nothing was changed."
    )
    await sessions.wait_until_finished()
    assert await read_holding_refresh(database) == "2"
    catalog = Catalog(database, {})
    await catalog.sync()
    assert catalog.snapshot.rows == ()


async def test_lease_that_expired(database: Database) -> None:
    """A session that slept beyond its lease takes it again before it writes, unless another process has it."""
    sessions = make_sessions(database, holder="me")
    async with sessions.open("1") as session:
        await session.acquire()
        await expire_lease(database)
        assert await read_holding_refresh(database) is None
        session._lease_expires_at = 0
        assert await session.store([make_country(revision=1)]) == 1
        assert await read_holding_refresh(database) == "1"
    await sessions.wait_until_finished()
