"""The session: what a refresh holds of the database, from its beginning until after its answer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graphql_api.catalog import Catalog
from graphql_api.errors import RefreshInProgress
from graphql_api.refresh.session import HeldElsewhere, Session
from graphql_api.sources.keeping import Memory
from graphql_api.storage import lease
from graphql_api.storage.engine import Database
from graphql_api.storage.migrations import migrate
from tests.databases import connections_ended, opened
from tests.rows import make_country
from tests.sources.memories import HEARD
from tests.storage.attempts import REPORT


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """Lend a migrated database."""
    async with opened(f"sqlite:///{path}") as database:
        await migrate(database)
        yield database
    await connections_ended()


def begin(database: Database, *, refresh_id: str, holder: str, seconds: float = 60) -> Session:
    """Begin a session over a catalog of its own."""
    catalog = Catalog(database, {})
    return Session(
        database,
        catalog,
        refresh_id=refresh_id,
        holder=holder,
        seconds=seconds,
        turn=asyncio.Lock(),
    )


async def test_in_turn(database: Database) -> None:
    """Of two sessions of a process the one that began later has the lease in the end."""
    turn = asyncio.Lock()
    async with turn:
        sessions = [
            Session(
                database, Catalog(database, {}), refresh_id=name, holder="me", seconds=60, turn=turn
            )
            for name in ("1", "2")
        ]
        assert await database.run(lease.look) is None
    for session in sessions:
        await session.opened()
    assert [session.revision for session in sessions] == [1, 2]
    held = await database.run(lease.look)
    assert held is not None
    assert held.refresh_id == "2"
    for session in sessions:
        await session.close(None, Memory())


async def test_whole_life(database: Database) -> None:
    """It takes the lease, writes rows of its revision, and leaves history and a free lease."""
    session = begin(database, refresh_id="1", holder="me")
    assert session.revision == 0
    await session.opened()
    assert session.revision == 1
    held = await database.run(lease.look)
    assert held is not None
    assert held.refresh_id == "1"
    assert await session.store([make_country(revision=1)]) == 1
    await session.close(REPORT, HEARD)
    assert await database.run(lease.look) is None
    catalog = Catalog(database, {})
    await catalog.sync()
    assert (catalog.snapshot.rows, catalog.history) == ((make_country(revision=1),), (REPORT,))
    assert catalog.memory == HEARD


async def test_held_by_another_process(database: Database) -> None:
    """Another process is told who has the lease; closing what was not opened takes nothing away."""
    first = begin(database, refresh_id="1", holder="me")
    await first.opened()
    other = begin(database, refresh_id="2", holder="other")
    with pytest.raises(HeldElsewhere) as caught:
        await other.opened()
    assert caught.value.held == await database.run(lease.look)
    await other.close(None, Memory())
    assert await database.run(lease.look) == caught.value.held
    await first.close(None, Memory())


async def test_taken_anew_by_the_same_process(database: Database) -> None:
    """The next refresh of a process does not wait for the tail of the one before it."""
    first = begin(database, refresh_id="1", holder="me")
    await first.opened()
    second = begin(database, refresh_id="2", holder="me")
    await second.opened()
    assert (first.revision, second.revision) == (1, 2)
    await first.close(None, Memory())
    held = await database.run(lease.look)
    assert held is not None
    assert held.refresh_id == "2"
    await second.close(None, Memory())
    assert await database.run(lease.look) is None


async def test_lease_has_run_out(database: Database) -> None:
    """What took longer than its lease is not written: another process may have begun."""
    session = begin(database, refresh_id="1", holder="me", seconds=0)
    await session.opened()
    with pytest.raises(RefreshInProgress) as caught:
        await session.store([make_country()])
    assert str(caught.value) == (
        "The refresh took longer than its lease of 0 s, and another process may have begun one; "
        "nothing was changed."
    )
    await session.close(None, Memory())
    catalog = Catalog(database, {})
    await catalog.sync()
    assert catalog.snapshot.rows == ()
