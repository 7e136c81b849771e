"""Checking exchange rates: what of a provider's table is believed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources import rates
from graphql_api.sources.currencies import is_code
from graphql_api.sources.provider import ProviderError, RawRates


def check(table: dict[str, object]) -> dict[str, float]:
    """Return the rates of a table that are kept."""
    return dict(rates.validate_rates(RawRates(rates=table, as_of=None)).rates)


def test_good_rates() -> None:
    """Numbers above nought under a code are kept as floats, under the table's date."""
    as_of, next_update = datetime(2026, 9, 29, tzinfo=UTC), datetime(2026, 9, 30, tzinfo=UTC)
    table = {"USD": 1, "IRR": 1e6, "KWD": 0.3}
    validated = rates.validate_rates(RawRates(rates=table, as_of=as_of, next_update=next_update))
    assert validated == rates.ValidatedRates(
        rates={"USD": 1.0, "IRR": 1e6, "KWD": 0.3}, as_of=as_of, next_update=next_update
    )
    assert isinstance(validated.rates["USD"], float)


@pytest.mark.parametrize(
    "rate", [0, -0.0, -1, None, "1.5", True, float("nan"), float("inf"), 10**400, [1], {}]
)
def test_bad_rates(rate: object) -> None:
    """Anything else is left out, and the others stay."""
    assert check({"EUR": rate, "USD": 1}) == {"USD": 1.0}


@pytest.mark.parametrize("code", ["", "usd", "BT", "USDT", "1INCH", "ÀÉÎ"])
def test_no_currency(code: str) -> None:
    """What is not three capital letters is no currency and is left out."""
    assert check({code: 2, "USD": 1}) == {"USD": 1.0}


@pytest.mark.parametrize(("table", "count"), [({}, 0), ({"EUR": 0, "btc": 1}, 2)])
def test_nothing_to_keep(table: dict[str, object], count: int) -> None:
    """A table without a usable rate is refused."""
    with pytest.raises(ProviderError) as exc_info:
        check(table)
    assert str(exc_info.value) == f"none of its {count} rates can be used"


@pytest.mark.parametrize("table", [{}, {"USD": 1}, {"USD": 1.0000005}, {"USD": 0.9999995}])
def test_dollar(table: dict[str, object]) -> None:
    """One US dollar is one US dollar, whether the table says so, nearly so, or nothing of it."""
    assert check({"EUR": 0.5, **table}) == {"EUR": 0.5, "USD": 1.0}


@pytest.mark.parametrize(
    ("dollar", "shown"), [(2, "2"), (1.00001, "1.00001"), (0, "0"), (None, "None"), ("1", "1")]
)
def test_other_dollar(dollar: object, shown: str) -> None:
    """A table that says otherwise is not for one US dollar and is refused."""
    with pytest.raises(ProviderError) as exc_info:
        check({"EUR": 0.5, "USD": dollar})
    assert str(exc_info.value) == f"it says that one US dollar is {shown} US dollars"


def test_rate_of_a_retired_currency() -> None:
    """A rate under a retired code stays its own: it is no rate of the successor."""
    assert check({"ANG": 1.8, "VEF": 4e6}) == {"ANG": 1.8, "VEF": 4e6, "USD": 1.0}


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)


@given(st.dictionaries(st.sampled_from(["EUR", "GBP", "eur"]) | st.text(max_size=4), ANYTHING))
def test_anything(table: dict[str, object]) -> None:
    """Whatever the table says, what is kept are finite numbers above nought under codes."""
    validated = check({**table, "USD": 1})
    assert [code for code in validated if not is_code(code)] == []
    assert [rate for rate in validated.values() if not 0 < rate < float("inf")] == []
