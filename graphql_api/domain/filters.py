"""Filters: conditions on fields, combined by and, or, not, applied to a snapshot."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from graphql_api.domain.country import CountryField
from graphql_api.domain.snapshot import ComparableValue, Snapshot


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

_COMPARISONS: Mapping[Operator, tuple[Callable[[Any, Any], bool], bool]] = {
    Operator.EQ: (operator.eq, False),
    Operator.NE: (operator.ne, True),
    Operator.IN: (lambda value, operand: value in operand, False),
    Operator.NOT_IN: (lambda value, operand: value not in operand, True),
    Operator.GT: (operator.gt, False),
    Operator.GTE: (operator.ge, False),
    Operator.LT: (operator.lt, False),
    Operator.LTE: (operator.le, False),
    Operator.CONTAINS: (operator.contains, False),
    Operator.STARTS_WITH: (str.startswith, False),
    Operator.ENDS_WITH: (str.endswith, False),
}
"""The comparison of a value that is not None, and the result for None."""


def apply_filter(country_filter: Filter, snapshot: Snapshot, candidates: Sequence[int]) -> Sequence[int]:
    """Return the `candidates` (indexes into `snapshot.rows`) that match, in the same order."""
    match country_filter:
        case Condition():
            return _apply_condition(country_filter, snapshot.columns[country_filter.field], candidates)
        case AllOf(parts):
            for part in parts:
                candidates = apply_filter(part, snapshot, candidates)
            return candidates
        case AnyOf(parts):
            matching = {row_index for part in parts for row_index in apply_filter(part, snapshot, candidates)}
            return [row_index for row_index in candidates if row_index in matching]
        case Not(part):
            excluded = set(apply_filter(part, snapshot, candidates))
            return [row_index for row_index in candidates if row_index not in excluded]


def _apply_condition(
    condition: Condition, column: Sequence[ComparableValue], candidates: Sequence[int]
) -> Sequence[int]:
    if condition.operator is Operator.IS_NULL:
        return [row_index for row_index in candidates if (column[row_index] is None) is condition.operand]
    compare, result_for_null = _COMPARISONS[condition.operator]
    operand = _fold_operand(condition.operand, condition.field.info.fold)
    return [
        row_index
        for row_index in candidates
        if (result_for_null if (value := column[row_index]) is None else compare(value, operand))
    ]


def _fold_operand(operand: Operand, fold: Callable[[str], str]) -> Operand:
    if isinstance(operand, str):
        return fold(operand)
    if isinstance(operand, frozenset):
        return frozenset(fold(item) if isinstance(item, str) else item for item in operand)
    return operand
