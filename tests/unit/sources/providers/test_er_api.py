"""ExchangeRate-API's answer: its table read as it stands, and anything else refused."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.provider import ProviderError
from graphql_api.sources.providers.er_api import PROVIDER, parse
from graphql_api.sources.validation import validate_rates
from tests.support.fake_providers.server import HTML, RATES

GOOD: dict[str, object] = {
    "result": "success",
    "base_code": "USD",
    "time_last_update_unix": 1790640151,
    "time_next_update_unix": 1790727681,
    "rates": {"USD": 1, "EUR": 0.88},
}


def answer(**changes: object) -> bytes:
    """Return a good answer with these fields changed."""
    return json.dumps({**GOOD, **changes}).encode()


def refusal(body: bytes) -> str:
    """Return the message that a body is refused with."""
    with pytest.raises(ProviderError) as refused:
        parse(body)
    return str(refused.value)


def test_provider() -> None:
    """The provider is live, keyless, and named as its terms ask."""
    assert (PROVIDER.name, PROVIDER.is_live, PROVIDER.url, PROVIDER.attribution) == (
        "er-api",
        True,
        "https://open.er-api.com/v6/latest/USD",
        "Rates by Exchange Rate API (https://www.exchangerate-api.com)",
    )


def test_whole_answer() -> None:
    """The 155 rates are read and believed, dated and good for as long as the answer says."""
    raw = parse(RATES)
    assert (len(raw.rates), raw.as_of) == (155, datetime(2026, 9, 29, 0, 2, 31, tzinfo=UTC))
    checked = validate_rates(raw)
    assert (len(checked.rates), checked.as_of) == (155, raw.as_of)
    assert checked.next_update == datetime(2026, 9, 30, 0, 21, 21, tzinfo=UTC)
    some = {code: checked.rates[code] for code in ("USD", "EUR", "AED", "XCG")}
    assert some == {"USD": 1.0, "EUR": 0.88022588, "AED": 3.6725, "XCG": 1.80284863}


@pytest.mark.parametrize("when", [None, "1790640151", -1, 1e300, True])
def test_undated(when: object) -> None:
    """Without times that can be read the rates count, undated."""
    raw = parse(answer(time_last_update_unix=when, time_next_update_unix=when))
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
    """An answer whose result is not success is refused with the kind of error that it names."""
    assert refusal(answer(**changes)) == f"responded with an error: {reason}"


@pytest.mark.parametrize("table", [None, [], "rates", 1])
def test_no_table(table: object) -> None:
    """Success without a table is refused."""
    assert refusal(answer(rates=table)) == "the body has no table of rates"


@pytest.mark.parametrize("base", ["EUR", "usd", None, 1])
def test_other_base(base: object) -> None:
    """Rates for another currency are refused."""
    assert refusal(answer(base_code=base)) == "the base of the rates is not USD"


@pytest.mark.parametrize("body", [b"", HTML, RATES[:-100]])
def test_no_json(body: bytes) -> None:
    """Empty, foreign and broken bodies are refused."""
    assert refusal(body) == "the body is not JSON"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)
TABLES = st.dictionaries(st.sampled_from(["USD", "EUR", "eur", ""]), VALUES, max_size=3)
CHANGES = st.dictionaries(st.sampled_from([*GOOD, "error-type"]), VALUES | TABLES, max_size=2)


@given(st.binary() | CHANGES.map(lambda changes: answer(**changes)))
def test_any_body(body: bytes) -> None:
    """Any bytes give rates above nought or the one exception for it."""
    try:
        checked = validate_rates(parse(body))
    except ProviderError:
        return
    assert min(checked.rates.values()) > 0
