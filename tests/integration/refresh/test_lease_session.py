"""The session: what a refresh holds of the database, from its beginning until after its answer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graphql_api.catalog import Catalog
from graphql_api.errors import RefreshInProgress
from graphql_api.refresh.lease_session import LeaseHeldByOther, LeaseSession
from graphql_api.sources.provider_cache import ProviderCache
from graphql_api.storage import lease
from graphql_api.storage.database import Database
from graphql_api.storage.migrations import migrate
from tests.support.attempts import REPORT
from tests.support.database import open_database, wait_for_connection_threads
from tests.support.factories import make_country
from tests.support.provider_caches import FULL_CACHE


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """Lend a migrated database."""
    async with open_database(f"sqlite:///{path}") as database:
        await migrate(database)
        yield database
    await wait_for_connection_threads()


def make_session(
    database: Database, *, refresh_id: str, holder: str, seconds: float = 60
) -> LeaseSession:
    """Begin a session over a catalog of its own."""
    catalog = Catalog(database, {})
    return LeaseSession(
        database,
        catalog,
        refresh_id=refresh_id,
        holder=holder,
        lease_duration=seconds,
        lease_lock=asyncio.Lock(),
    )


async def test_in_turn(database: Database) -> None:
    """Of two sessions of a process the one that began later has the lease in the end."""
    turn = asyncio.Lock()
    async with turn:
        sessions = [
            LeaseSession(
                database,
                Catalog(database, {}),
                refresh_id=name,
                holder="me",
                lease_duration=60,
                lease_lock=turn,
            )
            for name in ("1", "2")
        ]
        assert await database.run(lease.read) is None
    for session in sessions:
        await session.wait_until_open()
    assert [session.revision for session in sessions] == [1, 2]
    lease_info = await database.run(lease.read)
    assert lease_info is not None
    assert lease_info.refresh_id == "2"
    for session in sessions:
        await session.close(None, ProviderCache())


async def test_whole_life(database: Database) -> None:
    """It takes the lease, writes rows of its revision, and leaves history and a free lease."""
    session = make_session(database, refresh_id="1", holder="me")
    assert session.revision == 0
    await session.wait_until_open()
    assert session.revision == 1
    lease_info = await database.run(lease.read)
    assert lease_info is not None
    assert lease_info.refresh_id == "1"
    assert await session.store([make_country(revision=1)]) == 1
    await session.close(REPORT, FULL_CACHE)
    assert await database.run(lease.read) is None
    catalog = Catalog(database, {})
    await catalog.sync()
    assert (catalog.snapshot.rows, catalog.history) == ((make_country(revision=1),), (REPORT,))
    assert catalog.provider_cache == FULL_CACHE


async def test_held_by_another_process(database: Database) -> None:
    """Another process is told who has the lease; closing what was not opened takes nothing away."""
    first = make_session(database, refresh_id="1", holder="me")
    await first.wait_until_open()
    other = make_session(database, refresh_id="2", holder="other")
    with pytest.raises(LeaseHeldByOther) as exc_info:
        await other.wait_until_open()
    assert exc_info.value.lease_info == await database.run(lease.read)
    await other.close(None, ProviderCache())
    assert await database.run(lease.read) == exc_info.value.lease_info
    await first.close(None, ProviderCache())


async def test_taken_anew_by_the_same_process(database: Database) -> None:
    """The next refresh of a process does not wait for the tail of the one before it."""
    first = make_session(database, refresh_id="1", holder="me")
    await first.wait_until_open()
    second = make_session(database, refresh_id="2", holder="me")
    await second.wait_until_open()
    assert (first.revision, second.revision) == (1, 2)
    await first.close(None, ProviderCache())
    lease_info = await database.run(lease.read)
    assert lease_info is not None
    assert lease_info.refresh_id == "2"
    await second.close(None, ProviderCache())
    assert await database.run(lease.read) is None


async def test_lease_has_run_out(database: Database) -> None:
    """What took longer than its lease is not written: another process may have begun."""
    session = make_session(database, refresh_id="1", holder="me", seconds=0)
    await session.wait_until_open()
    with pytest.raises(RefreshInProgress) as exc_info:
        await session.store([make_country()])
    assert str(exc_info.value) == (
        "The refresh took longer than its lease of 0 s, and another process may have begun one; "
        "nothing was changed."
    )
    await session.close(None, ProviderCache())
    catalog = Catalog(database, {})
    await catalog.sync()
    assert catalog.snapshot.rows == ()
