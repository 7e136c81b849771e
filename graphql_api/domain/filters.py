"""Filters: conditions on fields, combined by and, or, not, applied to a snapshot."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import compress, repeat
from typing import Any

from graphql_api.domain.country import CountryField
from graphql_api.domain.snapshot import ComparableValue
from graphql_api.domain.snapshot_reader import SnapshotReader


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


Operand = str | int | float | bool | datetime | frozenset[str | int | float]


@dataclass(frozen=True, slots=True)
class Condition:
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

_COMPARISONS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.GT: operator.gt,
    Operator.GTE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LTE: operator.le,
    Operator.CONTAINS: operator.contains,
    Operator.STARTS_WITH: str.startswith,
    Operator.ENDS_WITH: str.endswith,
}
"""The comparison of a value with an operand. None matches only NE, and only EQ and NE can compare it."""


def apply_filter(country_filter: Filter, reader: SnapshotReader, candidates: Sequence[int]) -> Sequence[int]:
    """Return the `candidates` (indexes into the snapshot's rows) that match, in the same order."""
    reader.check_time()
    match country_filter:
        case Condition(field, comparison, operand):
            folded, column = _fold_operand(operand, field, reader), reader.snapshot.columns[field]
            has_null = field in reader.snapshot.fields_with_null
            return _apply_condition(comparison, folded, column, candidates, has_null=has_null)
        case AllOf(parts):
            for part in parts:
                candidates = apply_filter(part, reader, candidates)
            return candidates
        case AnyOf(parts):
            matching = {row_index for part in parts for row_index in apply_filter(part, reader, candidates)}
            return [row_index for row_index in candidates if row_index in matching]
        case Not(part):
            excluded = set(apply_filter(part, reader, candidates))
            return [row_index for row_index in candidates if row_index not in excluded]


def _apply_condition(
    comparison: Operator,
    operand: Any,  # noqa: ANN401 - one that fits the operator
    column: Sequence[ComparableValue],
    candidates: Sequence[int],
    *,
    has_null: bool,
) -> Sequence[int]:
    is_whole_column = candidates == range(len(column))
    values = column if is_whole_column else [column[row_index] for row_index in candidates]
    matches: Iterable[bool]
    if comparison is Operator.IS_NULL:
        matches = [(value is None) is operand for value in values]
    elif comparison is Operator.IN:
        matches = map(operand.__contains__, values)
    elif comparison is Operator.NOT_IN:
        matches = [value not in operand for value in values]
    elif has_null and comparison not in (Operator.EQ, Operator.NE):
        compare = _COMPARISONS[comparison]
        matches = [value is not None and compare(value, operand) for value in values]
    else:
        matches = map(_COMPARISONS[comparison], values, repeat(operand))
    return list(compress(candidates, matches))


def _fold_operand(operand: Operand, field: CountryField, reader: SnapshotReader) -> Operand:
    folder = field.info.fold
    if isinstance(operand, str):
        return reader.fold(folder, operand)
    if isinstance(operand, frozenset):
        return frozenset(reader.fold(folder, item) if isinstance(item, str) else item for item in operand)
    return operand
