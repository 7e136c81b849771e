"""The lease session: what a refresh holds of the database, until after its response."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from graphql_api.catalog import Catalog
from graphql_api.errors import RefreshInProgress
from graphql_api.refresh.lease_session import LeaseHeldByOther, LeaseSessions
from graphql_api.storage import lease
from graphql_api.storage.database import Database
from tests.support.attempts import REPORT
from tests.support.database import migrated_sqlite
from tests.support.factories import make_country
from tests.support.provider_caches import FULL_CACHE


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """Lend a migrated database."""
    async with migrated_sqlite(path) as database:
        yield database


def make_sessions(database: Database, *, holder: str) -> LeaseSessions:
    """Return the sessions of a process with a catalog of its own."""
    return LeaseSessions(database=database, catalog=Catalog(database, {}), holder=holder)


async def read_holding_refresh(database: Database) -> str | None:
    """Return the id of the refresh that holds the lease."""
    lease_info = await database.run(lease.read)
    return lease_info.refresh_id if lease_info else None


async def test_acquire_in_turn(database: Database) -> None:
    """Of two sessions of a process, the one that was opened later holds the lease in the end."""
    sessions = make_sessions(database, holder="me")
    async with AsyncExitStack() as stack:
        async with sessions.lease_lock:
            opened = [
                await stack.enter_async_context(sessions.open(refresh_id, lease_duration=60))
                for refresh_id in ("1", "2")
            ]
            assert await read_holding_refresh(database) is None
        assert [await session.acquire() for session in opened] == [1, 2]
        assert await read_holding_refresh(database) == "2"
    await sessions.wait_until_finished()


async def test_lifecycle(database: Database) -> None:
    """A session acquires the lease, writes rows, records the attempt and releases the lease."""
    sessions = make_sessions(database, holder="me")
    async with sessions.open("1", lease_duration=60) as session:
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
    async with sessions.open("1", lease_duration=60) as session:
        await session.acquire()
        lease_info = await database.run(lease.read)
        assert lease_info is not None
        async with other_sessions.open("2", lease_duration=60) as other:
            assert await other.acquire() == LeaseHeldByOther(lease_info)
        await other_sessions.wait_until_finished()
        assert await database.run(lease.read) == lease_info
    await sessions.wait_until_finished()


async def test_acquired_again_by_the_same_process(database: Database) -> None:
    """The next refresh of a process does not wait for the session before it to finish."""
    sessions = make_sessions(database, holder="me")
    async with AsyncExitStack() as stack:
        async with sessions.open("1", lease_duration=60) as first:
            second = await stack.enter_async_context(sessions.open("2", lease_duration=60))
            assert [await session.acquire() for session in (first, second)] == [1, 2]
        await sessions.wait_until_finished()
        assert await read_holding_refresh(database) == "2"
    await sessions.wait_until_finished()
    assert await read_holding_refresh(database) is None


async def test_cancelled_while_it_opens(database: Database) -> None:
    """A session whose refresh is cancelled before it has the lease leaves no lease behind."""
    sessions = make_sessions(database, holder="me")

    async def acquire() -> None:
        async with sessions.open("1", lease_duration=60) as session:
            await session.acquire()

    async with sessions.lease_lock:
        task = asyncio.create_task(acquire())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        assert (task.cancelled(), len(sessions.finish_tasks)) == (True, 1)
    await sessions.wait_until_finished()
    assert (await read_holding_refresh(database), len(sessions.finish_tasks)) == (None, 0)


async def test_lease_has_expired(database: Database) -> None:
    """Rows are not written after the lease has expired: another process may have begun."""
    sessions = make_sessions(database, holder="me")
    async with sessions.open("1", lease_duration=0) as session:
        await session.acquire()
        with pytest.raises(RefreshInProgress) as exc_info:
            await session.store([make_country()])
    assert str(exc_info.value) == (
        "The refresh took longer than its lease of 0 s, and another process may have begun one; nothing was changed."
    )
    await sessions.wait_until_finished()
    catalog = Catalog(database, {})
    await catalog.sync()
    assert catalog.snapshot.rows == ()
