"""Currency codes: their form, the codes in use, and the successors of retired ones."""

import json
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.currencies import CURRENT, RETIRED, is_code, select_current_code
from tests.support.fake_providers.server import FAWAZAHMED0


@pytest.mark.parametrize("code", ["USD", "XCG", "AAA"])
def test_codes(code: str) -> None:
    """Three capital letters have the form of a code."""
    assert is_code(code) is True


@pytest.mark.parametrize("code", ["", "US", "USDT", "usd", "US1", "USD\n", " USD", "ÀÉÎ", "ＵＳＤ"])
def test_other_text(code: str) -> None:
    """Other lengths, cases, digits, spaces and alphabets are not a code."""
    assert is_code(code) is False


@pytest.mark.parametrize(
    ("codes", "first"),
    [
        (["EUR", "USD"], "EUR"),
        (["", None, 978, "(none)", "XOF"], "XOF"),
        ([" CHF\n"], "CHF"),
        (["CUC", "EUR"], "CUP"),
        ([" ANG "], "XCG"),
        (["CKD", "NZD"], "NZD"),
        (["CKD", "VEF"], "VES"),
        (["CKD", "KID"], "CKD"),
        (["eur"], None),
        ([], None),
    ],
)
def test_first_in_use(codes: list[object], first: str | None) -> None:
    """The first code in use is selected, after replacing retired ones; else the first code."""
    assert select_current_code(codes) == first


@pytest.mark.parametrize(
    ("codes", "tender", "selected"),
    [
        (["EGP", "ILS", "JOD"], ("ILS", "JOD"), "ILS"),
        (["BWP", "CNY", "EUR", "GBP", "INR", "JPY", "USD", "ZAR"], ("ZWG", "USD"), "USD"),
        (["BWP", "USD", "ZWL"], ("ZWG", "USD"), "ZWG"),
        (["GBP", "SHP"], ("SHP",), "SHP"),
        (["DZD", "MAD", "MRU"], ("MAD",), "MAD"),
        (["LSL"], ("ZAR", "LSL"), "LSL"),
        (["DZD", "MRU"], ("MAD",), "DZD"),
        ([], ("MAD",), None),
    ],
)
def test_tender(codes: list[object], tender: tuple[str, ...], selected: str | None) -> None:
    """Of the codes named, the first in the order of tender is selected; without tender among them, the first in use."""
    assert select_current_code(codes, tender) == selected


def test_successors_are_in_use() -> None:
    """Every successor is in use, and no retired currency is."""
    assert set(RETIRED.values()) <= CURRENT
    assert set(RETIRED) & CURRENT == set()
    assert [code for code in (*RETIRED, *CURRENT) if not is_code(code)] == []


def test_table() -> None:
    """The table has no metals, funds, units of account or test codes."""
    assert len(CURRENT) == 155
    assert {"USD", "EUR", "XAF", "XCG", "ZWG", "SLE"} <= CURRENT
    assert {"XAU", "XDR", "XTS", "XXX", "CHE", "CLF", "BTC"} & CURRENT == set()


def test_every_bundled_currency_is_in_use() -> None:
    """Every currency of the bundled data is in use."""
    bundled = json.loads(resources.files("graphql_api.sources.bundled").joinpath("countries.json").read_bytes())
    codes = {code for country in bundled["countries"] for code in country["currencies"]}
    assert codes - CURRENT == set()


def test_retired_codes_in_the_wild() -> None:
    """Retired codes that providers still send are replaced by their successors."""
    wild = ["CUC", "MRO", "STD", "VEF", "ANG", "ZWL", "BGN", "HRK", "SLL"]
    assert [select_current_code([code]) for code in wild] == [
        *["CUP", "MRU", "STN", "VES", "XCG", "ZWG", "EUR", "EUR", "SLE"]
    ]


def test_retired_codes_of_a_recorded_table() -> None:
    """A recorded table of rates has every currency in use, and 41 retired ones."""
    recorded = {code.upper() for code in json.loads(FAWAZAHMED0)["usd"]}
    assert len(recorded & CURRENT) == 155
    assert len(recorded & set(RETIRED)) == 41


ANY_VALUE = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.sampled_from(list(RETIRED)), st.floats())


@given(st.lists(ANY_VALUE, max_size=4))
def test_anything(codes: list[object]) -> None:
    """Of any list, the selection is None or a code that is not retired."""
    code = select_current_code(codes)
    assert code is None or (is_code(code) and code not in RETIRED)
