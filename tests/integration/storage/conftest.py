"""Fixtures of a fresh database for each test."""

from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import pytest

from graphql_api.storage.database import Database
from graphql_api.storage.migrations import migrate
from tests.support.database import SERVERS, open_database, wait_for_connection_threads
from tests.support.db_servers.process import DatabaseServer


@pytest.fixture(autouse=True)
async def _wait_for_connection_threads() -> AsyncIterator[None]:
    """Wait for the threads of a test before its event loop ends."""
    yield
    await wait_for_connection_threads()


@pytest.fixture(params=["sqlite", *SERVERS])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return a factory of URLs of unused databases, of each kind in turn."""
    if request.param == "sqlite":
        names = (f"sqlite:///{tmp_path}/countries{number}.db" for number in count())
        return names.__next__
    server: DatabaseServer = request.getfixturevalue(request.param)
    return lambda: server.url(server.create_database())


@pytest.fixture
def database_url(new_url: Callable[[], str]) -> str:
    """Return the URL of the database under test."""
    return new_url()


@pytest.fixture
def other_url(new_url: Callable[[], str]) -> str:
    """Return the URL of another database of the same kind."""
    return new_url()


@pytest.fixture
async def empty_database(database_url: str) -> AsyncIterator[Database]:
    """Lend a database without tables."""
    async with open_database(database_url) as database:
        yield database


@pytest.fixture
async def database(empty_database: Database) -> Database:
    """Return a migrated database without rows."""
    await migrate(empty_database)
    return empty_database


@pytest.fixture
async def other_database(other_url: str) -> AsyncIterator[Database]:
    """Lend another migrated database without rows."""
    async with open_database(other_url) as database:
        await migrate(database)
        yield database


@pytest.fixture
async def replica(database: Database, database_url: str) -> AsyncIterator[Database]:
    """Lend the same database through another pool, as another process has it."""
    del database  # migrated by it
    async with open_database(database_url) as replica:
        yield replica
