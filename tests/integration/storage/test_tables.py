"""The tables: one column per field of a country, and instants that lose nothing."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone

from sqlalchemy import Column, MetaData, String, Table, insert, select

from graphql_api.domain.country import Country
from graphql_api.sources.parsing import MAX_TEXT_LENGTH
from graphql_api.storage.database import Database
from graphql_api.storage.tables import UtcDateTime, countries


def test_columns_of_countries() -> None:
    """The columns are the fields of a country in their order, null where the field may be None."""
    expected = [(field.name, "None" in str(field.type)) for field in fields(Country)]
    assert [(column.name, column.nullable) for column in countries.columns] == expected


def test_key_of_countries() -> None:
    """Countries are keyed by code alone."""
    assert [column.name for column in countries.primary_key] == ["code"]


def test_text_columns_hold_what_reading_admits() -> None:
    """The columns of free text are as wide as the longest text that a source may give."""
    types = {column.name: column.type for column in countries.columns}
    widths = {
        name: column_type.length
        for name, column_type in types.items()
        if isinstance(column_type, String) and name in ("name", "capital", "region", "subregion")
    }
    assert widths == dict.fromkeys(("name", "capital", "region", "subregion"), MAX_TEXT_LENGTH)


async def test_instants(empty_database: Database) -> None:
    """An instant comes back in UTC to the microsecond, whatever zone it was written in."""
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
