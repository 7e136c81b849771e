"""A fresh database for each test, which has it through these fixtures alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graphql_api.storage.engine import Database
from graphql_api.storage.migrations import migrate
from tests.databases import connections_ended, opened


@pytest.fixture(autouse=True)
async def _connections_end() -> AsyncIterator[None]:
    """Let no thread of a test outlive its event loop."""
    yield
    await connections_ended()


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Return the address of a database that nobody has used."""
    return f"sqlite:///{tmp_path}/countries.db"


@pytest.fixture
async def empty_database(database_url: str) -> AsyncIterator[Database]:
    """Lend a database without tables."""
    async with opened(database_url) as database:
        yield database


@pytest.fixture
async def database(empty_database: Database) -> Database:
    """Return a migrated database without rows."""
    await migrate(empty_database)
    return empty_database


@pytest.fixture
async def replica(database: Database, database_url: str) -> AsyncIterator[Database]:
    """Lend what another process has: the same database through connections of its own."""
    del database  # it has migrated
    async with opened(database_url) as replica:
        yield replica
