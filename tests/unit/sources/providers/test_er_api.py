"""ExchangeRate-API: its table is parsed unchanged, and any other body is rejected."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.providers.er_api import parse
from graphql_api.sources.validation import validate_rates
from tests.support.fake_providers.server import HTML, RATES
from tests.support.hostile_json import VALUES
from tests.support.provider_checks import SOME_RATES, rejection, some_rates, validate_any_rates

GOOD: dict[str, object] = {
    "result": "success",
    "base_code": "USD",
    "time_last_update_unix": 1790640151,
    "time_next_update_unix": 1790727681,
    "rates": {"USD": 1, "EUR": 0.88},
}


def make_body(**changes: object) -> bytes:
    """Return a valid body with these fields changed."""
    return json.dumps({**GOOD, **changes}).encode()


def test_whole_answer() -> None:
    """All 155 rates are parsed and valid, with their date and next update."""
    raw = parse(RATES)
    assert (len(raw.rates), raw.as_of) == (155, datetime(2026, 9, 29, 0, 2, 31, tzinfo=UTC))
    validated = validate_rates(raw)
    assert (len(validated.rates), validated.as_of) == (155, raw.as_of)
    assert validated.next_update == datetime(2026, 9, 30, 0, 21, 21, tzinfo=UTC)
    assert some_rates(validated) == SOME_RATES


@pytest.mark.parametrize("when", [None, "1790640151", -1, 1e300, True])
def test_undated(when: object) -> None:
    """Rates with invalid dates are parsed without dates."""
    raw = parse(make_body(time_last_update_unix=when, time_next_update_unix=when))
    assert (raw.rates, raw.as_of, raw.next_update) == ({"USD": 1, "EUR": 0.88}, None, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"result": "error", "error-type": "unsupported-code"}, "unsupported-code"),
        ({"result": "error", "error-type": "two\nlines"}, "two�lines"),
        ({"result": "error", "error-type": None}, "None"),
        ({"result": "error"}, "no message"),
        ({"result": None}, "no message"),
        ({"result": ["success"]}, "no message"),
    ],
)
def test_error(changes: dict[str, object], reason: str) -> None:
    """A result other than success is rejected with its error type."""
    assert rejection(parse, make_body(**changes)) == f"responded with an error: {reason}"


@pytest.mark.parametrize("table", [None, [], "rates", 1])
def test_no_table(table: object) -> None:
    """A success without a table is rejected."""
    assert rejection(parse, make_body(rates=table)) == "the body has no table of rates"


@pytest.mark.parametrize("base", ["EUR", "usd", None, 1])
def test_other_base(base: object) -> None:
    """Rates with another base are rejected."""
    assert rejection(parse, make_body(base_code=base)) == "the base of the rates is not USD"


@pytest.mark.parametrize("body", [b"", HTML, RATES[:-100]])
def test_no_json(body: bytes) -> None:
    """Empty, foreign and broken bodies are rejected."""
    assert rejection(parse, body) == "the body is not JSON"


TABLES = st.dictionaries(st.sampled_from(["USD", "EUR", "eur", ""]), VALUES, max_size=3)
CHANGES = st.dictionaries(st.sampled_from([*GOOD, "error-type"]), VALUES | TABLES, max_size=2)


@given(st.binary() | CHANGES.map(lambda changes: make_body(**changes)))
def test_any_body(body: bytes) -> None:
    """Any bytes give rates above zero or a ProviderError."""
    validate_any_rates(parse, body)
