"""The change marker: it changes with data, history and lease, and costs one statement."""

from graphql_api.domain.snapshot import DataVersion
from graphql_api.storage import change_marker, countries, lease, refreshes
from graphql_api.storage.change_marker import ChangeMarker
from graphql_api.storage.database import Database
from tests.support.attempts import make_failure, make_report
from tests.support.database import record_statements
from tests.support.factories import make_country


async def test_empty_database(database: Database) -> None:
    """Without rows and refreshes all numbers are 0."""
    async with database.connect() as connection:
        assert await change_marker.read(connection) == ChangeMarker(DataVersion(0, 0), 0, None)


async def test_every_change_shows(database: Database) -> None:
    """The highest revision, the number of rows and the newest refresh each change it."""
    rows = [make_country("FR", revision=1), make_country("TR", revision=7)]
    async with database.connect() as connection:
        await countries.upsert(connection, rows)
        assert await change_marker.read(connection) == ChangeMarker(DataVersion(7, 2), 0, None)
        await countries.remove(connection, "FR")
        assert await change_marker.read(connection) == ChangeMarker(DataVersion(7, 1), 0, None)
        await refreshes.append(connection, make_report("one"))
        assert await change_marker.read(connection) == ChangeMarker(DataVersion(7, 1), 1, None)
        await refreshes.append(connection, make_failure("two"))
        assert await change_marker.read(connection) == ChangeMarker(DataVersion(7, 1), 2, None)


async def test_holder(database: Database) -> None:
    """The marker has the holder of the lease, until it is released or expires."""
    async with database.connect() as connection:
        for seconds in (60, 0):
            await lease.acquire(connection, holder="me", refresh_id="1", ttl=seconds)
            expected = "me" if seconds else None
            assert await change_marker.read(connection) == ChangeMarker(DataVersion(0, 0), 0, expected)
        await lease.acquire(connection, holder="me", refresh_id="2", ttl=60)
        await lease.release(connection, refresh_id="2")
        assert await change_marker.read(connection) == ChangeMarker(DataVersion(0, 0), 0, None)


async def test_one_statement(database: Database) -> None:
    """The marker is read in one statement, so from one state of the database."""
    async with database.connect() as connection:
        executed = record_statements(database)
        await change_marker.read(connection)
    assert [statement.split()[0] for statement in executed] == ["SELECT"]
