"""Rows of countries: they come back to the bit, and no late writer overwrites them."""

import string
from dataclasses import replace
from datetime import UTC
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.country import Country
from graphql_api.sources.parsing import clean_text
from graphql_api.storage import countries
from graphql_api.storage.database import Database
from tests.support.database import record_statements
from tests.support.factories import REFRESHED_AT, make_country, make_sparse_country

HOSTILE_TEXTS = (
    "'; DROP TABLE countries; --",
    'a "quoted" \\ %s %(name)s :code ? {0}',
    "🇹🇷 👩\u200d👩\u200d👧",
    "\u202eeciov fo noitceriD",
    "Z" + "\u0335\u0489\u0301" * 66,
    "NULL",
    "0",
    "w" * 200,
)

texts = (st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=200)).filter(
    lambda value: clean_text(value, max_length=200) == value
)
numbers = st.none() | st.floats(min_value=0, allow_nan=False, allow_infinity=False)
instants = st.datetimes(timezones=st.just(UTC)).map(lambda value: value.replace(fold=0))
rows = st.builds(
    Country,
    code=st.just("FR"),
    alpha3=st.just("FRA"),
    name=texts,
    capital=st.none() | texts,
    region=st.none() | texts,
    subregion=st.none() | texts,
    population=st.integers(0, 2**31 - 1),
    area_km2=numbers,
    currency_code=st.none() | st.just("EUR"),
    exchange_rate=numbers,
    estimated_gdp=numbers,
    flag_url=st.none() | texts,
    last_refreshed_at=instants,
    revision=st.integers(0, 2**31 - 1),
    countries_provider=st.just("geonames"),
    countries_as_of=st.none() | instants,
    rates_provider=st.none() | st.just("er-api"),
    rates_as_of=st.none() | instants,
)

ROW_WITH_NULLS = make_sparse_country(
    "AQ",
    flag_url=None,
    countries_as_of=None,
    rates_provider=None,
    rates_as_of=None,
)


async def load_rows(connection: AsyncConnection) -> list[Country]:
    """Return the rows, in order of code."""
    return sorted(await countries.load(connection), key=lambda row: row.code)


async def test_no_rows(database: Database) -> None:
    """A new database holds no country."""
    async with database.connect() as connection:
        assert await countries.load(connection) == []


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(row=rows)
async def test_round_trip(row: Country, database: Database) -> None:
    """A row comes back as it was, to the bit and the microsecond, whatever its text."""
    async with database.connect() as connection:
        await countries.remove(connection, "FR")
        await countries.upsert(connection, [row])
        assert repr(await countries.load(connection)) == repr([row])


async def test_nulls(database: Database) -> None:
    """What a row does not have stays None, beside a row that has everything."""
    async with database.connect() as connection:
        await countries.upsert(connection, [ROW_WITH_NULLS, make_country("FR")])
        assert await load_rows(connection) == [ROW_WITH_NULLS, make_country("FR")]


async def test_values_become_null(database: Database) -> None:
    """A new revision that lacks a value removes the old one."""
    async with database.connect() as connection:
        await countries.upsert(connection, [make_country("AQ")])
        await countries.upsert(connection, [ROW_WITH_NULLS])
        assert await load_rows(connection) == [ROW_WITH_NULLS]


async def test_every_column_is_overwritten(database: Database) -> None:
    """A higher revision replaces every value but the code."""
    before = make_country("FR")
    after = Country(
        code="FR",
        alpha3="FXX",
        name="x",
        capital="x",
        region="x",
        subregion="x",
        population=1,
        area_km2=1.5,
        currency_code="FRF",
        exchange_rate=1.5,
        estimated_gdp=1.5,
        flag_url="x",
        last_refreshed_at=REFRESHED_AT.replace(year=2027),
        revision=2,
        countries_provider="x",
        countries_as_of=REFRESHED_AT.replace(year=2028),
        rates_provider="x",
        rates_as_of=REFRESHED_AT.replace(year=2029),
    )
    async with database.connect() as connection:
        await countries.upsert(connection, [before])
        await countries.upsert(connection, [after])
        assert await countries.load(connection) == [after]


async def test_one_statement(database: Database) -> None:
    """All 250 rows are carried by one INSERT, first and again, and read by one SELECT."""
    codes = [f"{first}{second}" for first in "ABCDEFGHIJ" for second in "ABCDEFGHIJKLMNOPQRSTUVWXY"]
    rows = [make_country(code) for code in codes]
    async with database.connect() as connection:
        executed = record_statements(database)
        assert await countries.upsert(connection, rows) == 1
        assert await countries.upsert(connection, rows) == 1
        assert len(await countries.load(connection)) == 250
    verbs = [statement.split()[0] for statement in executed]
    # SQLite is given each row by itself.
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
    """Where one row is stored with a higher revision none is written, not even one that is new."""
    before = [make_country("DE", revision=3), make_country("FR", revision=1)]
    late = [make_country(code, revision=2, name="late") for code in ("DE", "FR", "TR")]
    async with database.connect() as connection:
        await countries.upsert(connection, before)
        for rows in (late, late[::-1], late[1::-1]):
            with pytest.raises(countries.StaleWriteError):
                await countries.upsert(connection, rows)
            assert await load_rows(connection) == before


async def test_too_late_in_batches(database: Database) -> None:
    """The same of as many rows as take several statements."""
    codes = [
        f"{first}{second}" for first in string.ascii_letters for second in string.ascii_letters
    ][:2000]
    late = [make_country(code, revision=2, name="é" * 200, capital="é" * 200) for code in codes]
    before = [make_country(codes[-1], revision=3)]
    async with database.connect() as connection:
        await countries.upsert(connection, before)
        with pytest.raises(countries.StaleWriteError):
            await countries.upsert(connection, late)
        assert await load_rows(connection) == before


async def test_no_other_column_may_be_null(database: Database) -> None:
    """A row that lacks what it must have is a defect, and not taken for one that comes too late."""
    nameless = replace(make_country("FR"), name=cast("str", None))
    async with database.connect() as connection:
        with pytest.raises(IntegrityError):
            await countries.upsert(connection, [nameless])
        assert await load_rows(connection) == []


async def test_remove(database: Database) -> None:
    """Removing a row tells whether there was one, and touches no other."""
    france, turkey = make_country("FR"), make_country("TR")
    async with database.connect() as connection:
        await countries.upsert(connection, [france, turkey])
        assert await countries.remove(connection, "FR") is True
        assert await countries.remove(connection, "FR") is False
        assert await load_rows(connection) == [turkey]


async def test_removed_country_returns(database: Database) -> None:
    """A removed row may be written again, at whatever revision."""
    again = replace(make_country("FR"), revision=1)
    async with database.connect() as connection:
        await countries.upsert(connection, [make_country("FR", revision=9)])
        await countries.remove(connection, "FR")
        await countries.upsert(connection, [again])
        assert await countries.load(connection) == [again]
