"""Frankfurter: its rows are parsed unchanged, and any other body is rejected."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.provider import ProviderError
from graphql_api.sources.providers.frankfurter import PROVIDER, parse
from graphql_api.sources.validation import validate_rates
from tests.support.fake_providers.server import FRANKFURTER, HTML
from tests.support.hostile_json import VALUES, bodies, objects
from tests.support.provider_checks import SOME_RATES, rejection, some_rates, validate_any_rates

EURO: dict[str, object] = {"date": "2026-09-29", "base": "USD", "quote": "EUR", "rate": 0.88}


def make_body(*rows: object) -> bytes:
    """Return a body of these rows."""
    return json.dumps(rows).encode()


def test_provider() -> None:
    """The provider requests rates for the US dollar."""
    assert PROVIDER.params == {"base": "USD"}


def test_whole_answer() -> None:
    """All 154 rates are parsed and valid; the US dollar, which is not listed, is 1."""
    raw = parse(FRANKFURTER)
    assert (len(raw.rates), "USD" in raw.rates) == (154, False)
    validated = validate_rates(raw)
    assert (len(validated.rates), validated.as_of) == (155, datetime(2026, 9, 29, tzinfo=UTC))
    assert some_rates(validated) == SOME_RATES


@pytest.mark.parametrize(
    ("dates", "as_of"),
    [
        (["2026-09-28", "2026-09-29", "2020-01-01"], datetime(2026, 9, 29, tzinfo=UTC)),
        ([None, "yesterday", "2026-09-28"], datetime(2026, 9, 28, tzinfo=UTC)),
        ([None, 7], None),
    ],
)
def test_dates(dates: list[object], as_of: datetime | None) -> None:
    """The table's date is the newest valid one."""
    assert parse(make_body(*({**EURO, "date": date} for date in dates))).as_of == as_of


def test_rows_without_a_quote() -> None:
    """A row without a currency is dropped."""
    raw = parse(make_body(EURO, {**EURO, "quote": None}, {**EURO, "quote": ["GBP"]}))
    assert raw.rates == {"EUR": 0.88}


@pytest.mark.parametrize("base", ["EUR", "usd", None, 1])
def test_other_base(base: object) -> None:
    """Rates with another base are rejected, even a single row."""
    assert rejection(parse, make_body(EURO, {**EURO, "base": base})) == "the base of the rates is not USD"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"status": 422, "message": "invalid base"}', "responded with an error: invalid base"),
        (b"{}", "the body is not a list of rates"),
        (b"7", "the body is not a list of rates"),
        (b"[7]", "the base of the rates is not USD"),
        (HTML, "the body is not JSON"),
        (FRANKFURTER[:-5], "the body is not JSON"),
    ],
)
def test_no_list(body: bytes, reason: str) -> None:
    """A body that is no list of rates is rejected."""
    assert rejection(parse, body) == reason


def test_empty_list() -> None:
    """An empty list is rejected by validation, although the US dollar would be known."""
    with pytest.raises(ProviderError) as exc_info:
        validate_rates(parse(b"[]"))
    assert str(exc_info.value) == "none of its 0 rates can be used"


ROWS = st.sampled_from([*EURO]).flatmap(lambda name: VALUES.map(lambda value: {**EURO, name: value}))


@given(bodies(st.lists(ROWS | objects(*EURO), max_size=3)))
def test_any_body(body: bytes) -> None:
    """Any bytes give rates above zero or a ProviderError."""
    rates = validate_any_rates(parse, body)
    assert rates.get("USD", 1) == 1
