"""Aggregation: numbers of many countries together, and countries grouped by the values that they share."""

import math
import statistics
import sys
from array import array
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from itertools import chain, product
from operator import getitem
from typing import Any, NamedTuple, TypeAlias, TypeVar

from graphql_api.domain.country import LINKED_FIELDS, Country, CountryField
from graphql_api.domain.folding import fold
from graphql_api.domain.graph import Graph
from graphql_api.domain.pagination import Page
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.sorting import drop_repeated, sort_rows

Keys: TypeAlias = tuple[str | None, ...]
"""The values that the countries of a group share: one for each field that they are grouped by."""
Ranks: TypeAlias = tuple[int, ...]
"""The positions of keys among all values of their fields, in order, without case and accents. None is last."""
T = TypeVar("T")

_ROW_BYTES = 100
"""Estimated bytes of the keys of one row by one field."""
_GROUP_BYTES = 300
"""Estimated bytes of a group, besides its row indexes."""


class GroupSortField(Enum):
    """Values of groups to sort by: the keys, the number of rows, or the sum of a field."""

    KEY = auto()
    COUNT = auto()
    POPULATION = auto()
    AREA_KM2 = auto()
    ESTIMATED_GDP = auto()
    GDP = auto()
    GDP_PPP = auto()


class GroupSortKey(NamedTuple):
    """One value to sort groups by."""

    field: GroupSortField
    descending: bool = True


_LARGEST_FIRST = (GroupSortKey(GroupSortField.COUNT),)


def add(values: Sequence[float]) -> float:
    """Return the exact sum, rounded once; 0 of no values, and the greatest float if it is beyond the range."""
    try:
        return math.fsum(values)
    except OverflowError:
        return sys.float_info.max


def average(values: Sequence[float]) -> float | None:
    """Return the arithmetic mean of the values; None of no values."""
    if not values:
        return None
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return statistics.mean(values)  # by fractions: exact, but slow


def minimum(values: Sequence[float]) -> float | None:
    """Return the lowest value; None of no values."""
    return float(min(values)) if values else None


def maximum(values: Sequence[float]) -> float | None:
    """Return the highest value; None of no values."""
    return float(max(values)) if values else None


def median(values: Sequence[float]) -> float | None:
    """Return the value in the middle of their order, or the mean of the two there; None of no values."""
    ordered, middle = sorted(values), len(values) // 2
    return average(ordered[middle : middle + 1] if len(ordered) % 2 else ordered[max(middle - 1, 0) : middle + 1])


@dataclass(slots=True, eq=False)
class Aggregate:
    """Some rows of a snapshot, to be counted and added up. Not frozen: a query may have a thousand."""

    snapshot: Snapshot
    row_indexes: Collection[int]
    """Each once, in any order."""
    _values: dict[CountryField, Sequence[float]] = field(default_factory=dict)

    def get_values(self, column: CountryField) -> Sequence[float]:
        """Return the values of a column of numbers, without nulls."""
        if column not in self._values:
            self._values[column] = self._find_values(column)
        return self._values[column]

    def _find_values(self, column: CountryField) -> Sequence[float]:
        values: Sequence[Any] = self.snapshot.columns[column]
        if len(self.row_indexes) < len(values):
            values = list(map(values.__getitem__, self.row_indexes))
        return [value for value in values if value is not None]


class Numbers(NamedTuple):
    """One function over each column of an aggregate."""

    aggregate: Aggregate
    function: Callable[[Sequence[float]], float | None]

    def compute(self, column: CountryField) -> float | None:
        """Return the result for a column of numbers."""
        return self.function(self.aggregate.get_values(column))


class Group(NamedTuple):
    """The countries of a list that share some values."""

    keys: Keys
    ranks: Ranks
    aggregate: Aggregate
    page: Page

    @property
    def rows(self) -> list[Country]:
        """Return the countries in the order of the list."""
        reader = self.page.reader
        rows = reader.snapshot.rows
        return [rows[row_index] for row_index in sort_rows(self.page.sort, reader, self.aggregate.row_indexes)]


@dataclass(frozen=True, slots=True)
class _KeyColumn:
    """The values of all rows to group by one field."""

    values: Sequence[str | None]
    """Each value once, in order."""
    ranks: Sequence[Ranks]
    """Indexes into `values` of the values of each row."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class _Grouping:
    """All rows of a snapshot by the indexes of their keys, in the order of the keys."""

    row_indexes_by_ranks: Mapping[Ranks, Sequence[int]]
    size: int
    """Bytes."""


def group(page: Page, by: Sequence[CountryField], sort: Sequence[GroupSortKey]) -> list[Group]:
    """Group all rows that match, whatever the page. Without `sort`, the largest groups are first.

    Equal groups are in the order of their keys, nulls last. A row with several values of a field is in several groups.
    """
    groups = _select_groups(page, by)
    for key in reversed(drop_repeated(sort) or _LARGEST_FIRST):
        page.reader.check_time()
        if key.field is GroupSortField.KEY:
            sign = -1 if key.descending else 1
            groups.sort(key=partial(_rank_keys, sign))
        else:
            groups.sort(key=_MEASURES[key.field], reverse=key.descending)
    return groups


def get_keys(country: Country, column: CountryField, graph: Graph) -> Keys:
    """Return the values of a field that a country is grouped by: one, which may be None, or several."""
    value = graph.get_value(country, column) if column in LINKED_FIELDS else getattr(country, column)
    return (value or (None,)) if isinstance(value, tuple) else (value,)


def _select_groups(page: Page, by: Sequence[CountryField]) -> list[Group]:
    snapshot, selected = page.reader.snapshot, page.selected
    columns = [_derive(page, ("keys", column), partial(_build_key_column, snapshot, column)) for column in by]
    found = _derive(page, ("grouping", *by), partial(_build_grouping, columns)).row_indexes_by_ranks
    if len(selected) < len(snapshot.rows):
        is_selected = frozenset(selected).__contains__
        found = {ranks: list(filter(is_selected, row_indexes)) for ranks, row_indexes in found.items()}
    values = [column.values for column in columns]
    return [
        Group(tuple(map(getitem, values, ranks)), ranks, Aggregate(snapshot, row_indexes), page)
        for ranks, row_indexes in found.items()
        if row_indexes
    ]


def _derive(page: Page, cache_key: Hashable, build: Callable[[], T]) -> T:
    """Return what is built once for a snapshot, memory permitting."""
    cache = page.reader.snapshot.derived
    value: T | None = cache.get(cache_key)
    if value is None:
        page.reader.check_time()
        value = build()
        cache.put(cache_key, value)
    return value


def _build_key_column(snapshot: Snapshot, column: CountryField) -> _KeyColumn:
    keys_of_rows = [get_keys(row, column, snapshot.graph) for row in snapshot.rows]
    keys = set(chain.from_iterable(keys_of_rows))
    values = sorted(keys, key=lambda key: (key is None, fold(key or ""), key or ""))
    ranks = {key: rank for rank, key in enumerate(values)}
    ranks_of_rows = [tuple(map(ranks.__getitem__, keys)) for keys in keys_of_rows]
    return _KeyColumn(values, ranks_of_rows, _ROW_BYTES * (len(values) + len(ranks_of_rows)))


def _build_grouping(columns: Sequence[_KeyColumn]) -> _Grouping:
    found: dict[Ranks, list[int]] = {}
    for row_index, ranks_of_row in enumerate(zip(*(column.ranks for column in columns), strict=True)):
        for ranks in product(*ranks_of_row):
            found.setdefault(ranks, []).append(row_index)
    return _Grouping(
        {ranks: array("I", row_indexes) for ranks, row_indexes in sorted(found.items())},
        _GROUP_BYTES * len(found) + sum(map(len, found.values())) * array("I").itemsize,
    )


def _rank_keys(sign: int, group: Group) -> list[tuple[bool, int]]:
    return [(key is None, sign * rank) for key, rank in zip(group.keys, group.ranks, strict=True)]


def _add_up(column: CountryField, group: Group) -> float:
    return add(group.aggregate.get_values(column))


_MEASURES: Mapping[GroupSortField, Callable[[Group], float]] = {
    GroupSortField.COUNT: lambda group: len(group.aggregate.row_indexes),
    GroupSortField.POPULATION: partial(_add_up, CountryField.POPULATION),
    GroupSortField.AREA_KM2: partial(_add_up, CountryField.AREA_KM2),
    GroupSortField.ESTIMATED_GDP: partial(_add_up, CountryField.ESTIMATED_GDP),
    GroupSortField.GDP: partial(_add_up, CountryField.GDP),
    GroupSortField.GDP_PPP: partial(_add_up, CountryField.GDP_PPP),
}
