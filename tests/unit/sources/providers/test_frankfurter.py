"""Frankfurter's answer: its rows read as they stand, and anything else refused."""

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

EURO: dict[str, object] = {"date": "2026-09-29", "base": "USD", "quote": "EUR", "rate": 0.88}


def answer(*rows: object) -> bytes:
    """Return an answer of these rows."""
    return json.dumps(rows).encode()


def test_provider() -> None:
    """The provider is live, keyless, and asked for one US dollar."""
    assert (PROVIDER.name, PROVIDER.is_live, PROVIDER.url, PROVIDER.attribution) == (
        "frankfurter",
        True,
        "https://api.frankfurter.dev/v2/rates",
        "Rates by Frankfurter (https://frankfurter.dev)",
    )
    assert PROVIDER.params == {"base": "USD"}


def test_whole_answer() -> None:
    """The 154 rates are read and believed, and the US dollar, which is not listed, is 1."""
    raw = parse(FRANKFURTER)
    assert (len(raw.rates), "USD" in raw.rates) == (154, False)
    checked = validate_rates(raw)
    assert (len(checked.rates), checked.as_of) == (155, datetime(2026, 9, 29, tzinfo=UTC))
    some = {code: checked.rates[code] for code in ("USD", "EUR", "AED", "XCG")}
    assert some == {"USD": 1.0, "EUR": 0.88022588, "AED": 3.6725, "XCG": 1.80284863}


@pytest.mark.parametrize(
    ("dates", "as_of"),
    [
        (["2026-09-28", "2026-09-29", "2020-01-01"], datetime(2026, 9, 29, tzinfo=UTC)),
        ([None, "yesterday", "2026-09-28"], datetime(2026, 9, 28, tzinfo=UTC)),
        ([None, 7], None),
    ],
)
def test_dates(dates: list[object], as_of: datetime | None) -> None:
    """The newest date that can be read is the table's."""
    assert parse(answer(*({**EURO, "date": date} for date in dates))).as_of == as_of


def test_rows_without_a_quote() -> None:
    """A row that names no currency is left out."""
    raw = parse(answer(EURO, {**EURO, "quote": None}, {**EURO, "quote": ["GBP"]}))
    assert raw.rates == {"EUR": 0.88}


@pytest.mark.parametrize("base", ["EUR", "usd", None, 1])
def test_other_base(base: object) -> None:
    """Rates for another currency are refused, also when it is one row of many."""
    with pytest.raises(ProviderError) as refused:
        parse(answer(EURO, {**EURO, "base": base}))
    assert str(refused.value) == "the base of the rates is not USD"


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
    """What is no list of rates is refused."""
    with pytest.raises(ProviderError) as refused:
        parse(body)
    assert str(refused.value) == reason


def test_empty_list() -> None:
    """An empty list is no table, though the US dollar would be known."""
    with pytest.raises(ProviderError) as refused:
        validate_rates(parse(b"[]"))
    assert str(refused.value) == "none of its 0 rates can be used"


ROWS = st.sampled_from([*EURO]).flatmap(
    lambda name: VALUES.map(lambda value: {**EURO, name: value})
)


@given(bodies(st.lists(ROWS | objects(*EURO), max_size=3)))
def test_any_body(body: bytes) -> None:
    """Any bytes give rates above nought or the one exception for it."""
    try:
        checked = validate_rates(parse(body))
    except ProviderError:
        return
    assert min(checked.rates.values()) > 0
    assert checked.rates["USD"] == 1
