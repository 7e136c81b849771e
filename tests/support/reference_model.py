"""A slow model of queries, row by row, to compare the fast code with."""

import math
import string
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from graphql_api.domain.country import FIELDS, Country, CountryField
from graphql_api.domain.filters import AllOf, AnyOf, Condition, Filter, Not, Operator
from graphql_api.domain.folding import fold
from graphql_api.domain.sorting import SortKey
from tests.support.factories import instants, numbers, texts

ROW_FIELD_NAMES = [field for field in CountryField if field in FIELDS]
"""The fields that are attributes of a row."""
TEXT_FIELD_NAMES = sorted(field for field in ROW_FIELD_NAMES if field.is_text)
INSTANT_FIELD_NAMES = [CountryField.LAST_REFRESHED_AT]
NUMBER_FIELD_NAMES = sorted(set(ROW_FIELD_NAMES) - {*TEXT_FIELD_NAMES, *INSTANT_FIELD_NAMES})

_COMPARISON_SIGNS = {
    Operator.EQ: (0,),
    Operator.NE: (-1, 1),
    Operator.GT: (1,),
    Operator.GTE: (0, 1),
    Operator.LT: (-1,),
    Operator.LTE: (-1, 0),
}
_EQUALITY_OPERATORS = (Operator.EQ, Operator.NE)
_SUBSTRING_OPERATORS = (Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH)
_CODE_FIELDS = {CountryField.CODE, CountryField.ALPHA3, CountryField.CURRENCY_CODE}
_TO_LOWER = {ord(letter.upper()): letter for letter in string.ascii_lowercase}
_LIST_OPERATORS = (Operator.IN, Operator.NOT_IN)
_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    str.lower,
    lambda text: text[1:4],
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: text.replace("’", "'"),
)


def matches(row: Country, filter_: Filter) -> bool:
    """Return whether a row matches a filter."""
    match filter_:
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
            return _matches_operand(_folded(value, field), operator, _folded(operand, field))


def sort_by_rank(rows: Iterable[Country], sort: Sequence[SortKey]) -> list[Country]:
    """Return `rows` sorted by the rank that each value has among the values of its field."""
    all_rows = list(rows)

    def rank(row: Country, key: SortKey) -> float:
        value = _folded(getattr(row, key.field), key.field)
        values = {_folded(getattr(other, key.field), key.field) for other in all_rows} - {None}
        if value is None:
            return math.inf
        index = sorted(values).index(value)
        return -index if key.descending else index

    return sorted(all_rows, key=lambda row: ([rank(row, key) for key in sort], fold(row.name), row.code))


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
    """Draw every pair of a field and an operator that the schema offers."""
    text = st.builds(lambda transform, text: transform(text), st.sampled_from(_SPELLINGS), texts())
    common_text = st.sampled_from(("fr", "FRA", "Europe", "eur", "ＦＲ", "ﬀ"))
    number = numbers() | st.integers(0, 1000)
    return st.one_of(
        _conditions(TEXT_FIELD_NAMES, (*_EQUALITY_OPERATORS, *_SUBSTRING_OPERATORS), text | common_text),
        _conditions(TEXT_FIELD_NAMES, _LIST_OPERATORS, st.frozensets(text | common_text, max_size=3)),
        _conditions(NUMBER_FIELD_NAMES, tuple(_COMPARISON_SIGNS), number),
        _conditions(NUMBER_FIELD_NAMES, _LIST_OPERATORS, st.frozensets(number, max_size=3)),
        _conditions(INSTANT_FIELD_NAMES, tuple(_COMPARISON_SIGNS), instants()),
        _conditions(ROW_FIELD_NAMES, (Operator.IS_NULL,), st.booleans()),
    )


def sort_keys() -> st.SearchStrategy[tuple[SortKey, ...]]:
    """Draw up to three sort keys, also of the same field."""
    key = st.builds(SortKey, st.sampled_from(ROW_FIELD_NAMES), st.booleans())
    return st.lists(key, max_size=3).map(tuple)


def _conditions(
    fields: Sequence[CountryField], operators: Sequence[Operator], operands: st.SearchStrategy[Any]
) -> st.SearchStrategy[Condition]:
    return st.builds(Condition, st.sampled_from(fields), st.sampled_from(operators), operands)


def _matches_operand(value: Any, operator: Operator, expected: Any) -> bool:  # noqa: ANN401 - text, number or instant
    if operator in _LIST_OPERATORS:
        listed = any(value == item for item in expected)
        return listed is (operator is Operator.IN)
    if operator in _COMPARISON_SIGNS:
        return (value > expected) - (value < expected) in _COMPARISON_SIGNS[operator]
    starts = [index for index in range(len(value) + 1) if value[index : index + len(expected)] == expected]
    if operator is Operator.STARTS_WITH:
        return 0 in starts
    if operator is Operator.ENDS_WITH:
        return len(value) - len(expected) in starts
    return starts != []


def _folded(value: Any, field: CountryField) -> Any:  # noqa: ANN401 - text, number, instant, or a set of them
    if isinstance(value, frozenset):
        return {_folded(item, field) for item in value}
    if field in _CODE_FIELDS and isinstance(value, str):
        return value.translate(_TO_LOWER)
    return fold(value) if isinstance(value, str) else value
