"""Column types: instants lose nothing."""

from datetime import UTC, datetime, timedelta, timezone

from sqlalchemy import Column, MetaData, Table, insert, select

from graphql_api.storage.database import Database
from graphql_api.storage.tables import UtcDateTime


async def test_instants(empty_database: Database) -> None:
    """An instant of any zone is loaded in UTC, to the microsecond."""
    table = Table("instants", MetaData(), Column("at", UtcDateTime))
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    instants = [
        datetime(2026, 11, 24, 5, 45, 0, 1, tzinfo=kathmandu),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        None,
    ]
    async with empty_database.connect() as connection:
        await connection.run_sync(table.create)
        await connection.execute(insert(table), [{"at": at} for at in instants])
        stored = (await connection.execute(select(table.c.at))).scalars().all()
    assert list(map(repr, stored)) == [
        repr(datetime(2026, 11, 24, 0, 0, 0, 1, tzinfo=UTC)),
        repr(datetime(1, 1, 1, tzinfo=UTC)),
        repr(datetime.max.replace(tzinfo=UTC)),
        "None",
    ]
