"""Rows of countries: stored to the bit, and safe from late writers."""

import string
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.country import FIELDS, Country, FieldKind
from graphql_api.storage import countries, lease
from graphql_api.storage.database import Database
from graphql_api.storage.dialects.mysql import MySQL
from graphql_api.storage.dialects.postgresql import PostgreSQL
from graphql_api.storage.dialects.sqlite import SQLite
from tests.support.call_counts import counted_steps
from tests.support.database import record_statements
from tests.support.factories import REFRESHED_AT, make_country, make_sparse_country
from tests.support.stored_rows import assert_round_trip, few_round_trips, stored_rows
from tests.support.world import make_world

ROW_WITH_NULLS = make_sparse_country("AQ", flag_url=None, countries_as_of=None, rates_provider=None, rates_as_of=None)
STEPS_OF_UPSERT = {SQLite: 1, PostgreSQL: 1, MySQL: 2}
"""Steps for each row: it is converted for the driver, and made a text for MySQL."""


async def load_rows(connection: AsyncConnection) -> list[Country]:
    """Return the rows, in order of code."""
    return sorted(await countries.load(connection), key=lambda row: row.code)


async def test_slices(database: Database) -> None:
    """Rows are written and loaded in slices, of which none has more than one row."""
    rows = make_world()
    async with database.connect() as connection:
        await countries.prepare_statements(connection)
        with counted_steps() as steps:
            await countries.upsert(connection, rows)
        assert len(steps) > STEPS_OF_UPSERT[database.dialect.__class__] * len(rows)
        with counted_steps() as steps:
            await countries.load(connection)
        assert len(steps) > len(rows)


async def test_no_rows(database: Database) -> None:
    """A new database holds no country."""
    async with database.connect() as connection:
        assert await countries.load(connection) == []


@few_round_trips
@given(row=stored_rows)
async def test_round_trip(row: Country, database: Database) -> None:
    """A row with any text is loaded unchanged, to the bit and the microsecond."""
    await assert_round_trip(database, row)


async def test_nulls(database: Database) -> None:
    """Nulls stay None, next to a row without nulls."""
    async with database.connect() as connection:
        await countries.upsert(connection, [ROW_WITH_NULLS, make_country("FR")])
        assert await load_rows(connection) == [ROW_WITH_NULLS, make_country("FR")]


async def test_values_become_null(database: Database) -> None:
    """A null of a new revision replaces the old value."""
    async with database.connect() as connection:
        await countries.upsert(connection, [make_country("AQ")])
        await countries.upsert(connection, [ROW_WITH_NULLS])
        assert await load_rows(connection) == [ROW_WITH_NULLS]


def make_other_value(kind: FieldKind, number: int) -> Any:  # noqa: ANN401 - of any kind
    """Return a value that no row of the factory and no other number has."""
    return {
        FieldKind.TEXT: f"{number}",
        FieldKind.INT: 10_000 + number,
        FieldKind.FLOAT: number + 0.25,
        FieldKind.INSTANT: REFRESHED_AT + timedelta(days=1 + number),
    }[kind]


async def test_every_column_is_overwritten(database: Database) -> None:
    """A higher revision replaces every value but the code."""
    before = make_country("FR")
    values = {
        name: make_other_value(info.kind, number)
        for number, (name, info) in enumerate(FIELDS.items())
        if name != "code"
    }
    after = replace(before, **values)
    assert not any(getattr(after, name) == getattr(before, name) for name in values)
    async with database.connect() as connection:
        await countries.upsert(connection, [before])
        await countries.upsert(connection, [after])
        assert await countries.load(connection) == [after]


async def test_one_statement(database: Database) -> None:
    """All 250 rows take one INSERT, also the second time, and one SELECT."""
    codes = [f"{first}{second}" for first in "ABCDEFGHIJ" for second in "ABCDEFGHIJKLMNOPQRSTUVWXY"]
    rows = [make_country(code) for code in codes]
    async with database.connect() as connection:
        executed = record_statements(database)
        assert await countries.upsert(connection, rows) == 1
        assert await countries.upsert(connection, rows) == 1
        assert len(await countries.load(connection)) == 250
    verbs = [statement.split()[0] for statement in executed]
    # SQLite executes the statement for each row.
    transaction = ("BEGIN", "COMMIT") if database.engine.dialect.name == "sqlite" else ()
    assert verbs == [*transaction[:1], "INSERT", *transaction[1:]] * 2 + ["SELECT"]


@pytest.mark.parametrize("revision", [5, 6])
async def test_not_too_late(revision: int, database: Database) -> None:
    """A row is overwritten by an equal or a higher revision."""
    async with database.connect() as connection:
        await countries.upsert(connection, [make_country(revision=5)])
        after = make_country(revision=revision, name="after")
        await countries.upsert(connection, [after])
        assert await countries.load(connection) == [after]


async def test_too_late(database: Database) -> None:
    """If one row is stored with a higher revision none is written, not even a new one."""
    before = [make_country("DE", revision=3), make_country("FR", revision=1)]
    late = [make_country(code, revision=2, name="late") for code in ("DE", "FR", "TR")]
    async with database.connect() as connection:
        await countries.upsert(connection, before)
        for rows in (late, late[::-1], late[1::-1]):
            with pytest.raises(countries.StaleWriteError):
                await countries.upsert(connection, rows)
            assert await load_rows(connection) == before


async def test_too_late_in_batches(database: Database) -> None:
    """The same holds for rows that take several statements."""
    codes = [f"{first}{second}" for first in string.ascii_letters for second in string.ascii_letters][:2000]
    late = [make_country(code, revision=2, name="é" * 200, capital="é" * 200) for code in codes]
    before = [make_country(codes[-1], revision=3)]
    async with database.connect() as connection:
        await countries.upsert(connection, before)
        with pytest.raises(countries.StaleWriteError):
            await countries.upsert(connection, late)
        assert await load_rows(connection) == before


async def test_no_other_column_may_be_null(database: Database) -> None:
    """A row without a required value is a defect, not mistaken for a late one."""
    nameless = replace(make_country("FR"), name=cast("str", None))
    async with database.connect() as connection:
        with pytest.raises(IntegrityError):
            await countries.upsert(connection, [nameless])
        assert await load_rows(connection) == []


async def test_remove(database: Database) -> None:
    """Removing a row gives the others a revision above all; removing none changes nothing."""
    rows = [make_country("DE", revision=4), make_country("FR", revision=5), make_country("TR", revision=3)]
    async with database.connect() as connection:
        await countries.upsert(connection, rows)
        assert await countries.remove(connection, "FR") is True
        remaining = [make_country("DE", revision=6), make_country("TR", revision=6)]
        assert await load_rows(connection) == remaining
        assert await countries.remove(connection, "FR") is False
        assert await load_rows(connection) == remaining


async def test_too_late_after_a_removal(database: Database) -> None:
    """A removal rejects the rows of a refresh that began before it."""
    async with database.connect() as connection:
        await countries.upsert(connection, [make_country("FR"), make_country("TR")])
        revision = await lease.acquire(connection, holder="me", refresh_id="1", ttl=60)
        assert revision == 2
        await countries.remove(connection, "FR")
        with pytest.raises(countries.StaleWriteError):
            await countries.upsert(connection, [make_country(code, revision=revision) for code in ("FR", "TR")])
        assert await load_rows(connection) == [make_country("TR", revision=3)]


async def test_removed_country_returns(database: Database) -> None:
    """A removed row can be written again, with any revision."""
    again = replace(make_country("FR"), revision=1)
    async with database.connect() as connection:
        await countries.upsert(connection, [make_country("FR", revision=9)])
        await countries.remove(connection, "FR")
        await countries.upsert(connection, [again])
        assert await countries.load(connection) == [again]
