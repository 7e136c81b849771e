"""The change marker: it changes with data, history and lease, and costs one statement."""

from dataclasses import replace
from datetime import timedelta

from graphql_api.domain.snapshot import DataChecksum, DataVersion
from graphql_api.storage import change_marker, countries, lease, refreshes
from graphql_api.storage.change_marker import ChangeMarker
from graphql_api.storage.database import Database
from tests.support.attempts import make_failure, make_report
from tests.support.database import record_statements
from tests.support.factories import REFRESHED_AT, make_country, make_snapshot

EMPTY = ChangeMarker(
    DataChecksum(DataVersion(0, 0), None, 0), last_sequence=0, known_id=None, holder=None, lease_revision=0
)


async def test_empty_database(database: Database) -> None:
    """Without rows and refreshes all numbers are 0."""
    async with database.connect() as connection:
        assert await change_marker.read(connection, known_sequence=0) == EMPTY


async def test_every_change_shows(database: Database) -> None:
    """Rows, their newest time and their population change the checksum, which is that of their snapshot."""
    later = REFRESHED_AT + timedelta(microseconds=1)
    rows = [
        make_country("FR", revision=1, population=2**31 - 1),
        make_country("TR", revision=7, last_refreshed_at=later),
    ]
    async with database.connect() as connection:
        await countries.upsert(connection, rows)
        marker = await change_marker.read(connection, known_sequence=0)
        expected = DataChecksum(DataVersion(7, 2), later, 2**31 - 1 + 1000)
        assert marker == replace(EMPTY, checksum=expected)
        assert make_snapshot(rows).checksum == expected
        await countries.remove(connection, "FR")
        marker = await change_marker.read(connection, known_sequence=0)
        assert marker == replace(EMPTY, checksum=DataChecksum(DataVersion(8, 1), later, 1000), lease_revision=9)


async def test_history(database: Database) -> None:
    """The marker has the highest sequence number, and the id of the attempt that the caller knows."""
    async with database.connect() as connection:
        await refreshes.append(connection, make_report("one"))
        await refreshes.append(connection, make_failure("two"))
        for known_sequence, known_id in ((0, None), (1, "one"), (2, "two"), (3, None)):
            marker = await change_marker.read(connection, known_sequence=known_sequence)
            assert marker == replace(EMPTY, last_sequence=2, known_id=known_id)


async def test_holder(database: Database) -> None:
    """The marker has the holder of the lease, until it is released or expires."""
    async with database.connect() as connection:
        for seconds in (60, 0):
            await lease.acquire(connection, holder="me", refresh_id="1", ttl=seconds)
            expected = "me" if seconds else None
            marker = await change_marker.read(connection, known_sequence=0)
            assert (marker.holder, marker.lease_revision) == (expected, 1 if seconds else 2)
        await lease.acquire(connection, holder="me", refresh_id="2", ttl=60)
        await lease.release(connection, refresh_id="2")
        assert await change_marker.read(connection, known_sequence=0) == replace(EMPTY, lease_revision=3)


async def test_one_statement(database: Database) -> None:
    """The marker is read in one statement, so from one state of the database."""
    async with database.connect() as connection:
        executed = record_statements(database)
        await change_marker.read(connection, known_sequence=0)
    assert [statement.split()[0] for statement in executed] == ["SELECT"]
