"""The currency-api of fawazahmed0: currencies in use are parsed, and others dropped."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.currencies import CURRENT
from graphql_api.sources.providers.fawazahmed0 import parse
from graphql_api.sources.validation import validate_rates
from tests.support.fake_providers.server import FAWAZAHMED0, HTML
from tests.support.hostile_json import VALUES, bodies, objects
from tests.support.provider_checks import SOME_RATES, rejection, some_rates, validate_any_rates

GOOD: dict[str, object] = {"date": "2026-09-29", "usd": {"usd": 1, "eur": 0.88}}


def test_whole_answer() -> None:
    """Of 339 codes the 155 in use are parsed, in capitals, with their date."""
    assert len(json.loads(FAWAZAHMED0)["usd"]) == 339
    raw = parse(FAWAZAHMED0)
    assert set(raw.rates) == CURRENT
    validated = validate_rates(raw)
    assert (len(validated.rates), validated.as_of) == (155, datetime(2026, 9, 29, tzinfo=UTC))
    assert some_rates(validated) == SOME_RATES


@pytest.mark.parametrize("code", ["btc", "xau", "xdr", "ggp", "ang", "dem", "1inch", "", "ab", "uſd", "ﬁm", "eᵘr"])
def test_other_codes(code: str) -> None:
    """Cryptocurrencies, metals, units, unofficial and retired codes are dropped."""
    body = json.dumps({"usd": {code: 2, "eur": 0.88}}).encode()
    assert parse(body).rates == {"EUR": 0.88}


@pytest.mark.parametrize("date", [None, "", "29.9.2026", 20260929])
def test_undated(date: object) -> None:
    """Rates with an invalid date are parsed without a date."""
    raw = parse(json.dumps({**GOOD, "date": date}).encode())
    assert (raw.rates, raw.as_of) == ({"USD": 1, "EUR": 0.88}, None)


NO_TABLE = "the body has no table of rates for USD"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{}", NO_TABLE),
        (b'{"usd": []}', NO_TABLE),
        (b'{"date": "2026-09-29", "eur": {"usd": 1.1}}', NO_TABLE),
        (b"[]", "the body is not a JSON object"),
        (HTML, "the body is not JSON"),
        (FAWAZAHMED0[:-5], "the body is not JSON"),
        (b'{"message": "no such file"}', "responded with an error: no such file"),
    ],
)
def test_no_table(body: bytes, reason: str) -> None:
    """A body without a table of the US dollar is rejected."""
    assert rejection(parse, body) == reason


TABLES = st.dictionaries(st.sampled_from(["usd", "eur", "EUR", "btc", ""]), VALUES, max_size=3)


@given(bodies(objects("date", "usd"), TABLES.map(lambda table: {**GOOD, "usd": table})))
def test_any_body(body: bytes) -> None:
    """Any bytes give rates above zero of currencies in use, or a ProviderError."""
    rates = validate_any_rates(parse, body)
    assert set(rates) <= CURRENT
