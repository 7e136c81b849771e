"""Filters: conditions on fields, combined by and, or, not, applied to a snapshot."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from graphql_api.domain.country import CountryField
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import SortedRows, SortKey, get_order
from graphql_api.utils.named_tuples import new_tuple


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


class Parameter(NamedTuple):
    """Stands for the operand of a prepared filter, as that of a prepared statement in SQL."""

    name: str


Operand = str | int | float | bool | datetime | frozenset[str | int | float] | Parameter


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
MATCH_ALL = AllOf(())

_Matcher: TypeAlias = Callable[[Sequence[Any], Iterable[int], Any], list[int]]
"""From a column, the rows to look at and an operand, the rows that match."""

_MATCHERS: Mapping[Operator, _Matcher] = {
    Operator.EQ: lambda column, rows, operand: [row for row in rows if column[row] == operand],
    Operator.NE: lambda column, rows, operand: [row for row in rows if column[row] != operand],
    Operator.IN: lambda column, rows, operands: [row for row in rows if column[row] in operands],
    Operator.NOT_IN: lambda column, rows, operands: [row for row in rows if column[row] not in operands],
    Operator.GT: lambda column, rows, operand: [
        row for row in rows if (value := column[row]) is not None and value > operand
    ],
    Operator.GTE: lambda column, rows, operand: [
        row for row in rows if (value := column[row]) is not None and value >= operand
    ],
    Operator.LT: lambda column, rows, operand: [
        row for row in rows if (value := column[row]) is not None and value < operand
    ],
    Operator.LTE: lambda column, rows, operand: [
        row for row in rows if (value := column[row]) is not None and value <= operand
    ],
    Operator.CONTAINS: lambda column, rows, operand: [
        row for row in rows if (text := column[row]) is not None and operand in text
    ],
    Operator.STARTS_WITH: lambda column, rows, operand: [
        row for row in rows if (text := column[row]) is not None and text.startswith(operand)
    ],
    Operator.ENDS_WITH: lambda column, rows, operand: [
        row for row in rows if (text := column[row]) is not None and text.endswith(operand)
    ],
    Operator.IS_NULL: lambda column, rows, is_null: [row for row in rows if (column[row] is None) is is_null],
    Operator.HAS: lambda column, rows, operand: [row for row in rows if operand in column[row]],
    Operator.HAS_EVERY: lambda column, rows, operands: [row for row in rows if operands.issubset(column[row])],
    Operator.HAS_SOME: lambda column, rows, operands: [row for row in rows if not operands.isdisjoint(column[row])],
    Operator.IS_EMPTY: lambda column, rows, is_empty: [row for row in rows if (not column[row]) is is_empty],
}
"""A null value matches `ne`, `notIn` and `isNull: true` alone. A call for each value would take three times as long."""
_EXACT = (Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN)
"""The comparisons whose operand is a value as a whole."""
_BISECTIONS: Mapping[Operator, tuple[Callable[..., int] | None, Callable[..., int] | None]] = {
    Operator.EQ: (bisect_left, bisect_right),
    Operator.GT: (bisect_right, None),
    Operator.GTE: (bisect_left, None),
    Operator.LT: (None, bisect_left),
    Operator.LTE: (None, bisect_right),
}
"""Start and end of the values that match, in their order. None: the first and the last one."""
RANGE_OPERATORS = _BISECTIONS.keys()


def prepare_filter(prepared: Filter) -> Callable[[Mapping[str, Any]], Filter]:
    """Return the function from operands by the names of the parameters to the filter that has them."""
    match prepared:
        case Condition(field, operator, Parameter(name)):
            return lambda operands: new_tuple(Condition, (field, operator, operands[name]))
        case AllOf(parts) | AnyOf(parts):
            combine, binders = type(prepared), [prepare_filter(part) for part in parts]
            return lambda operands: combine(tuple([bind(operands) for bind in binders]))
        case Not(part):
            bind_part = prepare_filter(part)
            return lambda operands: Not(bind_part(operands))
    return lambda _: prepared


def find_rows(country_filter: Filter, reader: SnapshotReader) -> Collection[int]:
    """Return the indexes of the rows that match, each once and in any order."""
    match country_filter:
        case Condition(field, comparison) if comparison in RANGE_OPERATORS:
            rows = get_order((SortKey(field),), reader).rows
            start, stop = find_span((country_filter,), rows, reader)
            return rows.row_indexes[start:stop]
        case AllOf(parts) if parts:
            reader.check_time()
            # Ranges first: their time is not in proportion to the rows.
            first, *others = sorted(parts, key=_get_precedence)
            found = find_rows(first, reader)
            for part in others:
                found = keep_rows(part, reader, found)
            return found
        case AnyOf(parts):
            reader.check_time()
            return {row for part in parts for row in find_rows(part, reader)}
        case Not(part):
            reader.check_time()
            excluded = set(find_rows(part, reader))
            return [row for row in range(len(reader.snapshot.rows)) if row not in excluded]
    return keep_rows(country_filter, reader, range(len(reader.snapshot.rows)))


def keep_rows(country_filter: Filter, reader: SnapshotReader, rows: Collection[int]) -> Sequence[int]:
    """Return those of `rows` that match, in their order."""
    reader.check_time()
    match country_filter:
        case Condition(field, comparison):
            operand = _fold_operand(country_filter, reader)
            return _MATCHERS[comparison](reader.snapshot.columns[field], rows, operand)
        case AllOf(parts):
            for part in parts:
                rows = keep_rows(part, reader, rows)
            return rows if isinstance(rows, Sequence) else list(rows)
        case AnyOf(parts):
            matching = {row for part in parts for row in keep_rows(part, reader, rows)}
            return [row for row in rows if row in matching]
        case Not(part):
            excluded = set(keep_rows(part, reader, rows))
            return [row for row in rows if row not in excluded]


def _note_unknown_values(operand: Any, folded: object, field: CountryField, reader: SnapshotReader) -> None:  # noqa: ANN401 - a text or a set of texts
    texts, folded_texts = (operand, folded) if isinstance(folded, frozenset) else ((operand,), {folded})
    if not folded_texts <= reader.snapshot.known_values[field]:
        reader.note_unknown_values(field, sorted(texts))  # every replica in the same order


def _get_precedence(part: Filter) -> int:
    """Ranges are first: their time is not in proportion to the rows."""
    if isinstance(part, Condition) and part.operator in RANGE_OPERATORS:
        return 0 if part.operator is Operator.EQ else 1
    return 2


def find_span(conditions: Iterable[Condition], rows: SortedRows, reader: SnapshotReader) -> tuple[int, int]:
    """Return start and stop of those of `rows` that match all conditions, by bisection.

    The operators are of `RANGE_OPERATORS`, and the conditions on the field that `rows` are sorted by first.
    """
    reader.check_time()
    values = rows.values
    start, stop = 0, len(values)
    for condition in conditions:
        _, comparison, operand = condition
        if isinstance(operand, str):
            operand = _fold_operand(condition, reader)
        find_start, find_stop = _BISECTIONS[comparison]
        if find_start is not None:
            start = find_start(values, operand, start, stop)
        if find_stop is not None:
            stop = find_stop(values, operand, start, stop)
    if rows.descending:
        return len(values) - stop, len(values) - start
    return start, stop


def _fold_operand(condition: Condition, reader: SnapshotReader) -> Operand:
    """Return the operand as columns have their values. Values that no row has are noted, if the field is closed."""
    field, comparison, operand = condition
    if isinstance(operand, str):
        folded: Operand = reader.fold(field.info.fold, operand)
    elif isinstance(operand, frozenset):
        fold = field.info.fold
        folded = frozenset(reader.fold(fold, item) if isinstance(item, str) else item for item in operand)
    else:
        return operand
    if comparison in _EXACT and field in reader.snapshot.known_values:
        _note_unknown_values(operand, folded, field, reader)
    return folded
