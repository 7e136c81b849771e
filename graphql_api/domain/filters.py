"""Filters: conditions on fields, combined by and, or, not, applied to a snapshot."""

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import compress, repeat
from typing import Any, NamedTuple, TypeAlias

from graphql_api.domain.country import CountryField
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import SortKey, get_order


class Operator(StrEnum):
    """Compares a field's value with an operand. The value is the operator's GraphQL name."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    NOT_IN = "notIn"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    CONTAINS = "contains"
    STARTS_WITH = "startsWith"
    ENDS_WITH = "endsWith"
    IS_NULL = "isNull"
    HAS = "has"
    HAS_EVERY = "hasEvery"
    HAS_SOME = "hasSome"
    IS_EMPTY = "isEmpty"

    __hash__ = str.__hash__  # that of an enum is a Python function


Operand = str | int | float | bool | datetime | frozenset[str | int | float]


class Condition(NamedTuple):
    """Compares one field with one operand, which is folded on comparison if it is text."""

    field: CountryField
    operator: Operator
    operand: Operand


@dataclass(frozen=True, slots=True)
class AllOf:
    """Matches if every part matches; always without parts."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Matches if at least one part matches; never without parts."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Matches if the part does not."""

    part: "Filter"


Filter = Condition | AllOf | AnyOf | Not

_Matcher: TypeAlias = Callable[[Iterable[Any], Any], Iterable[bool]]
"""From values of a column and an operand, whether each value matches."""


def _match_all(compare: Callable[[Any, Any], bool]) -> _Matcher:
    return lambda values, operand: map(compare, values, repeat(operand))


def _match_present(compare: Callable[[Any, Any], bool]) -> _Matcher:
    return lambda values, operand: [value is not None and compare(value, operand) for value in values]


_COMPARISONS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.IN: lambda value, operands: value in operands,
    Operator.NOT_IN: lambda value, operands: value not in operands,
    Operator.GT: operator.gt,
    Operator.GTE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LTE: operator.le,
    Operator.CONTAINS: operator.contains,
    Operator.STARTS_WITH: str.startswith,
    Operator.ENDS_WITH: str.endswith,
    Operator.IS_NULL: lambda value, operand: (value is None) is operand,
    Operator.HAS: operator.contains,
    Operator.HAS_EVERY: lambda values, operands: operands.issubset(values),
    Operator.HAS_SOME: lambda values, operands: not operands.isdisjoint(values),
    Operator.IS_EMPTY: lambda values, operand: (not values) is operand,
}
_COMPARE_NULL = (Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN, Operator.IS_NULL)
"""The comparisons that can compare None. The others never match it."""
_EXACT = (Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN)
"""The comparisons whose operand is a value as a whole."""
_MATCHERS: Mapping[tuple[Operator, bool], _Matcher] = {
    (comparison, has_null): _match_present(compare)
    if has_null and comparison not in _COMPARE_NULL
    else _match_all(compare)
    for comparison, compare in _COMPARISONS.items()
    for has_null in (False, True)
}
"""By operator and whether the column has a None."""
_BISECTIONS: Mapping[Operator, tuple[Callable[..., int] | None, Callable[..., int] | None]] = {
    Operator.EQ: (bisect_left, bisect_right),
    Operator.GT: (bisect_right, None),
    Operator.GTE: (bisect_left, None),
    Operator.LT: (None, bisect_left),
    Operator.LTE: (None, bisect_right),
}
"""Start and end of the values that match, in their order. None: the first and the last one."""


def apply_filter(
    country_filter: Filter, reader: SnapshotReader, candidates: Collection[int] | None = None
) -> Collection[int]:
    """Return the indexes of the rows that match, each once and in any order.

    `candidates` are the only rows to look at; by default all rows.
    """
    reader.check_time()
    row_count = len(reader.snapshot.rows)
    if isinstance(country_filter, Condition):
        return _apply_condition(country_filter, reader, candidates)
    match country_filter:
        case AllOf(parts):
            # Ranges first: their time is not in proportion to the rows.
            for part in sorted(parts, key=_get_precedence) if candidates is None else parts:
                candidates = apply_filter(part, reader, candidates)
        case AnyOf(parts):
            return {row_index for part in parts for row_index in apply_filter(part, reader, candidates)}
        case Not(part):
            excluded = set(apply_filter(part, reader, candidates))
            all_candidates = range(row_count) if candidates is None else candidates
            return [row_index for row_index in all_candidates if row_index not in excluded]
    return range(row_count) if candidates is None else candidates


def _apply_condition(
    condition: Condition, reader: SnapshotReader, candidates: Collection[int] | None
) -> Collection[int]:
    field, comparison, operand = condition
    folded = _fold_operand(operand, field, reader)
    if comparison in _EXACT and field in reader.snapshot.known_values:
        _note_unknown_values(operand, folded, field, reader)
    if candidates is None and comparison in _BISECTIONS:
        return _find_range(comparison, folded, field, reader)
    return _compare_column(comparison, folded, field, reader, candidates)


def _note_unknown_values(operand: Any, folded: object, field: CountryField, reader: SnapshotReader) -> None:  # noqa: ANN401 - a text or a set of texts
    texts, folded_texts = (operand, folded) if isinstance(folded, frozenset) else ((operand,), {folded})
    if not folded_texts <= reader.snapshot.known_values[field]:
        reader.note_unknown_values(field, sorted(texts))  # every replica in the same order


def _get_precedence(part: Filter) -> int:
    if isinstance(part, Condition) and part.operator in _BISECTIONS:
        return 0 if part.operator is Operator.EQ else 1
    return 2


def _find_range(comparison: Operator, operand: object, field: CountryField, reader: SnapshotReader) -> Sequence[int]:
    """Return the rows whose values are in a range, in the order of the values."""
    order, get_value = get_order((SortKey(field),), reader), reader.snapshot.columns[field].__getitem__
    find_start, find_stop = _BISECTIONS[comparison]
    rows, start, stop = order.row_indexes, 0, order.present
    if find_start:
        start = find_start(rows, operand, hi=stop, key=get_value)
    if find_stop:
        stop = find_stop(rows, operand, lo=start, hi=stop, key=get_value)
    return rows[start:stop]


def _compare_column(
    comparison: Operator,
    operand: object,
    field: CountryField,
    reader: SnapshotReader,
    candidates: Collection[int] | None,
) -> Collection[int]:
    """Return the candidates whose values match."""
    snapshot = reader.snapshot
    values: Iterable[object] = snapshot.columns[field]
    if candidates is None:
        candidates = range(len(snapshot.rows))
    else:
        values = map(snapshot.columns[field].__getitem__, candidates)
    find_matches = _MATCHERS[comparison, field in snapshot.fields_with_null]
    return list(compress(candidates, find_matches(values, operand)))


def _fold_operand(operand: Operand, field: CountryField, reader: SnapshotReader) -> Operand:
    folder = field.info.fold
    if isinstance(operand, str):
        return reader.fold(folder, operand)
    if isinstance(operand, frozenset):
        return frozenset(reader.fold(folder, item) if isinstance(item, str) else item for item in operand)
    return operand
