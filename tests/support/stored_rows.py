"""Rows that a database must return unchanged, and the check that it does."""

from datetime import UTC

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from graphql_api.domain.country import Country
from graphql_api.sources.parsing import clean_text
from graphql_api.storage import countries
from graphql_api.storage.database import Database

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

_texts = (st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=200)).filter(
    lambda value: clean_text(value, max_length=200) == value
)
_numbers = st.none() | st.floats(min_value=0, allow_nan=False, allow_infinity=False)
_instants = st.datetimes(timezones=st.just(UTC)).map(lambda value: value.replace(fold=0))
stored_rows = st.builds(
    Country,
    code=st.just("FR"),
    alpha3=st.just("FRA"),
    name=_texts,
    capital=st.none() | _texts,
    region=st.none() | _texts,
    subregion=st.none() | _texts,
    population=st.integers(0, 2**31 - 1),
    area_km2=_numbers,
    currency_code=st.none() | st.just("EUR"),
    exchange_rate=_numbers,
    estimated_gdp=_numbers,
    flag_url=st.none() | _texts,
    last_refreshed_at=_instants,
    revision=st.integers(0, 2**31 - 1),
    countries_provider=st.just("geonames"),
    countries_as_of=st.none() | _instants,
    rates_provider=st.none() | st.just("er-api"),
    rates_as_of=st.none() | _instants,
)

few_round_trips = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
"""For property tests over one database: each example overwrites the row of the one before."""


async def assert_round_trip(database: Database, row: Country) -> None:
    """Assert that a row comes back unchanged, to the bit and the microsecond."""
    async with database.connect() as connection:
        await countries.remove(connection, "FR")
        await countries.upsert(connection, [row])
        assert repr(await countries.load(connection)) == repr([row])
