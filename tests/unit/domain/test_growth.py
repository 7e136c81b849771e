"""Work grows linearly with the rows, counted in calls, which do not depend on the machine."""

import tracemalloc
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from graphql_api.domain.country import CountryField
from graphql_api.domain.derived_cache import DerivedCache
from graphql_api.domain.filters import AllOf, AnyOf, Condition, Filter, Not, Operator
from graphql_api.domain.folding import fold
from graphql_api.domain.pagination import PageRequest, paginate
from graphql_api.domain.snapshot import ComparableValue, Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import SortKey, sort_rows
from tests.support.call_counts import count_calls
from tests.support.factories import make_country, make_snapshot

FEW, MANY = 250, 10_000


def make_sized_snapshot(size: int) -> Snapshot:
    """Return `size` rows, every tenth without a capital. Nothing is derived from them yet."""
    return replace(build_sized_snapshot(size), derived=DerivedCache())


@cache
def build_sized_snapshot(size: int) -> Snapshot:
    """Build the snapshot, which takes a second for many rows."""
    return make_snapshot(
        make_country(
            f"{index}",
            alpha3=f"{index}x",
            name=f"Land {index:05}",
            capital=None if index % 10 == 0 else f"Stadt {index % 100}",
            population=index * 7919 % size,
        )
        for index in range(size)
    )


CONTAINS = Condition(CountryField.CAPITAL, Operator.CONTAINS, "É1")
LARGE = Condition(CountryField.POPULATION, Operator.LT, 100_000)
BY_CAPITAL = (SortKey(CountryField.CAPITAL, descending=True), SortKey(CountryField.POPULATION))


@pytest.mark.parametrize(
    ("filter_", "sort"),
    [
        (AllOf(()), ()),
        (CONTAINS, ()),
        (AnyOf((CONTAINS, Not(LARGE), Not(CONTAINS))), ()),
        (AllOf(()), BY_CAPITAL),
        (AllOf((LARGE, CONTAINS)), BY_CAPITAL),
    ],
)
def test_query(filter_: Filter, sort: tuple[SortKey, ...]) -> None:
    """Forty times the rows take at most forty times the calls, and fold no more operands."""
    few, many = (
        count_calls(
            lambda target=snapshot: paginate(SnapshotReader(target), filter_, sort, PageRequest(first=10)).rows  # type: ignore[misc] # the default only binds it
        )
        for snapshot in (make_sized_snapshot(FEW), make_sized_snapshot(MANY))
    )
    assert many.total() <= few.total() * MANY / FEW
    assert many[fold.__code__] == few[fold.__code__] <= 2


class CountingColumn(tuple[ComparableValue, ...]):
    """A column that counts the values taken from it."""

    __slots__ = ()
    taken = 0

    def __getitem__(self, row_index: Any) -> Any:  # noqa: ANN401 - an index or a slice
        type(self).taken += 1
        return super().__getitem__(row_index)


RANGES = [
    (Condition(CountryField.POPULATION, Operator.EQ, 5), 1, 0),
    (Condition(CountryField.POPULATION, Operator.GT, MANY - 11), 10, 0),
    (Condition(CountryField.POPULATION, Operator.LTE, 9), 10, 0),
    (AllOf((CONTAINS, Condition(CountryField.POPULATION, Operator.LT, 3))), 0, 3),
]


@pytest.mark.parametrize(("filter_", "matching", "taken"), RANGES)
def test_range(filter_: Filter, matching: int, taken: int) -> None:
    """Once a column was sorted, a range takes none of its values, and other conditions those of the range's rows."""
    snapshot = make_sized_snapshot(MANY)
    columns = {field: CountingColumn(column) for field, column in snapshot.columns.items()}
    snapshot = replace(snapshot, columns=columns)
    reader = SnapshotReader(snapshot)
    paginate(reader, LARGE, (), PageRequest())
    CountingColumn.taken = 0
    assert len(paginate(reader, filter_, (), PageRequest()).matching) == matching
    assert CountingColumn.taken == taken


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("operator", "matching"),
    [(Operator.EQ, 1), (Operator.GT, 9979), (Operator.GTE, 9980), (Operator.LT, 20), (Operator.LTE, 21)],
)
def test_range_beside_kept_rows(operator: Operator, matching: int, descending: bool) -> None:
    """Beside rows that are kept, a range of the field that they are in the order of takes none of its values."""
    snapshot, sort = make_sized_snapshot(MANY), (SortKey(CountryField.POPULATION, descending),)
    for _ in range(2):
        paginate(SnapshotReader(snapshot), LARGE, sort, PageRequest())
    columns = {field: CountingColumn(column) for field, column in snapshot.columns.items()}
    reader = SnapshotReader(replace(snapshot, columns=columns))
    CountingColumn.taken = 0
    filter_ = AllOf((LARGE, Condition(CountryField.POPULATION, operator, 20)))
    assert len(paginate(reader, filter_, sort, PageRequest()).matching) == matching
    assert CountingColumn.taken == 0


def test_sorted_once() -> None:
    """Rows are sorted once for each order of a snapshot, whatever the filter and the page."""
    snapshot = make_sized_snapshot(FEW)
    paginate(SnapshotReader(snapshot), AllOf(()), BY_CAPITAL, PageRequest(first=1))
    columns = {field: CountingColumn(column) for field, column in snapshot.columns.items()}
    CountingColumn.taken = 0
    page = paginate(SnapshotReader(replace(snapshot, columns=columns)), AllOf(()), BY_CAPITAL, PageRequest(first=5))
    assert CountingColumn.taken == 0
    assert page.matching == sort_rows(BY_CAPITAL, SnapshotReader(make_sized_snapshot(FEW)), range(FEW))


def test_cursor() -> None:
    """Finding the position of a cursor compares a logarithmic number of rows."""
    snapshot = make_sized_snapshot(MANY)
    page = paginate(SnapshotReader(snapshot), AllOf(()), BY_CAPITAL, PageRequest(first=5000))
    after = page.cursor(page.row_indexes[-1])

    def fetch_next() -> object:
        return paginate(SnapshotReader(snapshot), AllOf(()), BY_CAPITAL, PageRequest(first=10, after=after))

    def fetch_first() -> object:
        return paginate(SnapshotReader(snapshot), AllOf(()), BY_CAPITAL, PageRequest(first=10))

    assert count_calls(fetch_next).total() - count_calls(fetch_first).total() < 1000


def test_one_country() -> None:
    """Finding a country takes the same calls among many rows as among few."""
    few, many = (
        count_calls(lambda target=snapshot: SnapshotReader(target).find(code="7", name=None)).total()  # type: ignore[misc] # mypy cannot infer the default
        for snapshot in (make_sized_snapshot(FEW), make_sized_snapshot(MANY))
    )
    assert few == many


def bytes_per_row(size: int) -> float:
    """Return the bytes of a snapshot per row, texts and indexes included."""
    tracemalloc.start()
    snapshot = build_sized_snapshot.__wrapped__(size)
    used_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used_bytes / len(snapshot.rows)


@pytest.mark.slow
def test_memory() -> None:
    """A row takes less than two kilobytes, among many as among few."""
    few, many = bytes_per_row(FEW), bytes_per_row(MANY)
    assert 1_200 < few < 2_000
    assert many < few * 1.1
