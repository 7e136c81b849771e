"""Rows that a database must return unchanged, with the check."""

from datetime import UTC
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from graphql_api.domain.country import FIELDS, Country, FieldInfo, FieldKind
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

MAX_CODE_LENGTH = 3
"""Characters of the longest code. Longer texts are drawn from hostile ones."""


def _field_values(field: FieldInfo) -> st.SearchStrategy[Any]:
    """Draw values that the column of a field can hold."""
    max_length = field.max_length or 0
    texts = (st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=max_length)).filter(
        lambda value: clean_text(value, max_length=max_length) == value
    )
    values: dict[FieldKind, st.SearchStrategy[Any]] = {
        FieldKind.TEXT: texts if max_length > MAX_CODE_LENGTH else st.just("x" * max_length),
        FieldKind.INT: st.integers(0, 2**31 - 1),
        FieldKind.FLOAT: st.floats(min_value=0, allow_nan=False, allow_infinity=False),
        FieldKind.INSTANT: st.datetimes(timezones=st.just(UTC)).map(lambda value: value.replace(fold=0)),
    }
    return st.none() | values[field.kind] if field.nullable else values[field.kind]


stored_rows = st.builds(
    Country,
    **{name: _field_values(field) for name, field in FIELDS.items()}
    # A deletion takes a revision above all that are stored.
    | {"code": st.just("FR"), "revision": st.integers(0, 2**31 - 1_000)},
)

few_round_trips = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""For property tests over one database: each example overwrites the row of the previous one."""


async def assert_round_trip(database: Database, row: Country) -> None:
    """Assert that a row is loaded unchanged, to the bit and the microsecond."""
    async with database.connect() as connection:
        await countries.remove(connection, "FR")
        await countries.upsert(connection, [row])
        assert repr(await countries.load(connection)) == repr([row])
