"""Queries said again, a row at a time and slowly: what the fast code is compared with."""

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from graphql_api.domain.country import TEXT_FIELDS, Country, CountryField
from graphql_api.domain.filters import AllOf, AnyOf, Condition, Filter, Not, Operator
from graphql_api.domain.sorting import SortKey
from graphql_api.domain.text import fold
from tests.rows import instants, numbers, texts

EVERYTHING = AllOf(())

TEXTS = sorted(TEXT_FIELDS)
INSTANTS = [CountryField.LAST_REFRESHED_AT]
NUMBERS = sorted(set(CountryField) - TEXT_FIELDS - set(INSTANTS))

_SIGNS = {
    Operator.EQ: (0,),
    Operator.NE: (-1, 1),
    Operator.GT: (1,),
    Operator.GTE: (0, 1),
    Operator.LT: (-1,),
    Operator.LTE: (-1, 0),
}
_EQUALITY = (Operator.EQ, Operator.NE)
_PARTS = (Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH)
_LISTS = (Operator.IN, Operator.NOT_IN)
_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    str.lower,
    lambda text: text[1:4],
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: text.replace("’", "'"),
)


def matches(row: Country, wanted: Filter) -> bool:
    """Tell whether one row is wanted."""
    match wanted:
        case AllOf(parts):
            return all(matches(row, part) for part in parts)
        case AnyOf(parts):
            return any(matches(row, part) for part in parts)
        case Not(part):
            return not matches(row, part)
        case Condition(field, Operator.IS_NULL, operand):
            return (getattr(row, field) is None) == operand
        case Condition(field, operator, operand):
            value = getattr(row, field)
            if value is None:
                return operator in (Operator.NE, Operator.NOT_IN)
            return _holds(_plain(value), operator, operand)


def in_order(rows: Iterable[Country], sort: Sequence[SortKey]) -> list[Country]:
    """Return `rows` sorted by the rank that each value has among the values of its field."""
    known = list(rows)

    def rank(row: Country, key: SortKey) -> float:
        value = _plain(getattr(row, key.field))
        values = {_plain(getattr(one, key.field)) for one in known} - {None}
        if value is None:
            return math.inf
        place = sorted(values).index(value)
        return -place if key.descending else place

    return sorted(
        known, key=lambda row: ([rank(row, key) for key in sort], fold(row.name), row.code)
    )


def filters() -> st.SearchStrategy[Filter]:
    """Draw conditions on every kind of field, nested in and, or and not."""
    return st.recursive(
        conditions(),
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda parts: AllOf(tuple(parts)))
            | st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts)))
            | inner.map(Not)
        ),
        max_leaves=6,
    )


def conditions() -> st.SearchStrategy[Condition]:
    """Draw every pair of a field and an operator that clients can ask for."""
    text = st.builds(lambda spell, text: spell(text), st.sampled_from(_SPELLINGS), texts())
    known = st.sampled_from(("fr", "FRA", "Europe", "eur"))
    number = numbers() | st.integers(0, 1000)
    return st.one_of(
        _conditions(TEXTS, (*_EQUALITY, *_PARTS), text | known),
        _conditions(TEXTS, _LISTS, st.frozensets(text | known, max_size=3)),
        _conditions(NUMBERS, tuple(_SIGNS), number),
        _conditions(NUMBERS, _LISTS, st.frozensets(number, max_size=3)),
        _conditions(INSTANTS, tuple(_SIGNS), instants()),
        _conditions(list(CountryField), (Operator.IS_NULL,), st.booleans()),
    )


def orders() -> st.SearchStrategy[tuple[SortKey, ...]]:
    """Draw up to three sort keys, the same field twice included."""
    key = st.builds(SortKey, st.sampled_from(CountryField), st.booleans())
    return st.lists(key, max_size=3).map(tuple)


def _conditions(
    fields: Sequence[CountryField], operators: Sequence[Operator], operands: st.SearchStrategy[Any]
) -> st.SearchStrategy[Condition]:
    return st.builds(Condition, st.sampled_from(fields), st.sampled_from(operators), operands)


def _holds(value: Any, operator: Operator, operand: Any) -> bool:  # noqa: ANN401  (text, number or instant)
    if operator in _LISTS:
        listed = any(value == _plain(one) for one in operand)
        return listed is (operator is Operator.IN)
    given: Any = _plain(operand)
    if operator in _SIGNS:
        return (value > given) - (value < given) in _SIGNS[operator]
    starts = [at for at in range(len(value) + 1) if value[at : at + len(given)] == given]
    if operator is Operator.STARTS_WITH:
        return 0 in starts
    if operator is Operator.ENDS_WITH:
        return len(value) - len(given) in starts
    return starts != []


def _plain(value: str | float | datetime | None) -> Any:  # noqa: ANN401  (text, number or instant)
    return fold(value) if isinstance(value, str) else value
