"""Currency codes: what is one, and what replaces a retired one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.currencies import RETIRED, first_in_use, is_code


@pytest.mark.parametrize("code", ["USD", "XCG", "AAA"])
def test_codes(code: str) -> None:
    """Three capital letters are a code."""
    assert is_code(code) is True


@pytest.mark.parametrize("code", ["", "US", "USDT", "usd", "US1", "USD\n", " USD", "ÀÉÎ", "ＵＳＤ"])
def test_what_is_no_code(code: str) -> None:
    """Anything else is none: length, case, digits, space and other alphabets count."""
    assert is_code(code) is False


@pytest.mark.parametrize(
    ("codes", "first"),
    [
        (["EUR", "USD"], "EUR"),
        (["", None, 978, "(none)", "XOF"], "XOF"),
        ([" CHF\n"], "CHF"),
        (["CUC", "EUR"], "CUP"),
        ([" ANG "], "XCG"),
        (["eur"], None),
        ([], None),
    ],
)
def test_first_in_use(codes: list[object], first: str | None) -> None:
    """The first that is a code counts, stripped, a retired one as its successor."""
    assert first_in_use(codes) == first


def test_successors_are_in_use() -> None:
    """Both sides of the table are codes, and no successor is retired itself."""
    assert [code for code in (*RETIRED, *RETIRED.values()) if not is_code(code)] == []
    assert set(RETIRED) & set(RETIRED.values()) == set()


def test_retired_codes_in_the_wild() -> None:
    """The retired codes that providers still send lead to their successors."""
    wild = ["CUC", "MRO", "STD", "VEF", "ANG", "ZWL", "BGN", "HRK", "SLL"]
    assert [first_in_use([code]) for code in wild] == [
        *["CUP", "MRU", "STN", "VES", "XCG", "ZWG", "EUR", "EUR", "SLE"],
    ]


ANYTHING = st.one_of(
    st.none(), st.integers(), st.text(max_size=5), st.sampled_from(list(RETIRED)), st.floats()
)


@given(st.lists(ANYTHING, max_size=4))
def test_anything(codes: list[object]) -> None:
    """Whatever is listed, the answer is none or a code that is not retired."""
    found = first_in_use(codes)
    assert found is None or (is_code(found) and found not in RETIRED)
