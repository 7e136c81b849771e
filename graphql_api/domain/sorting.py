"""Sorting: a total order by any keys, nulls last in both directions. Orders are kept with the snapshot."""

from array import array
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from graphql_api.domain.country import CountryField
from graphql_api.domain.snapshot import ComparableValue, Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.utils.lazy import lazy_property

_ORDER_BYTES = 1_000
"""Estimated bytes of an order besides its arrays: its keys and its place in the cache."""
_INDEX_BYTES = array("I").itemsize
_REFERENCE_BYTES = 8


class SortKey(NamedTuple):
    """One field to sort by."""

    field: CountryField
    descending: bool = False


class _HasField(Protocol):
    @property
    def field(self) -> Hashable: ...


KeyT = TypeVar("KeyT", bound=_HasField)

TIE_BREAKERS = (SortKey(CountryField.NAME), SortKey(CountryField.CODE))
"""The keys after the client's keys. The code is unique, so the order is total."""


class SortedRows:
    """Rows in an order, and the values that it compares first, in which ranges are found by bisection."""

    def __init__(self, row_indexes: Sequence[int], column: Sequence[Any], *, descending: bool) -> None:
        """Take rows that are in the order of `column`; those without a value come last."""
        self.row_indexes = array("I", row_indexes)
        self.descending = descending
        """True if the row of the greatest value comes first."""
        self._column = column
        self.identity = object()
        """Stands for these rows in keys, which would keep them in memory."""

    @lazy_property
    def values(self) -> Sequence[Any]:
        """Return the values of the column, the smallest first."""
        values = [value for row_index in self.row_indexes if (value := self._column[row_index]) is not None]
        return values[::-1] if self.descending else values

    @property
    def size(self) -> int:
        """Bytes, with references to all values."""
        return (_INDEX_BYTES + _REFERENCE_BYTES) * len(self.row_indexes)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOrder:
    """All rows of a snapshot in the order of some keys."""

    rows: SortedRows
    ranks: Sequence[int]
    """The position in the order of each row."""
    size: int
    """Bytes."""


def drop_repeated(keys: Sequence[KeyT]) -> tuple[KeyT, ...]:
    """Return the first key of each field. Another one of the same field decides nothing."""
    if len(keys) < 2:  # noqa: PLR2004 - one cannot repeat another
        return tuple(keys)
    first_keys: dict[Hashable, KeyT] = {}
    for key in keys:
        first_keys.setdefault(key.field, key)
    return tuple(first_keys.values())


def sort_rows(keys: Sequence[SortKey], reader: SnapshotReader, row_indexes: Collection[int]) -> Sequence[int]:
    """Return `row_indexes`, each given once and in any order, in the order of `keys`, then of name and code."""
    count = len(reader.snapshot.rows)
    if not keys:
        # The rows of a snapshot are in the order of the tie-breakers.
        return range(count) if len(row_indexes) == count else sorted(row_indexes)
    order = get_order(keys, reader)
    return order.rows.row_indexes if len(row_indexes) == count else sorted(row_indexes, key=order.ranks.__getitem__)


def find_order_identity(keys: Sequence[SortKey], reader: SnapshotReader) -> object:
    """Return what stands for the order of `keys` among those of a snapshot. None until rows have been sorted by it."""
    if not keys:
        return ()
    order: RowOrder | None = reader.snapshot.derived.get(("order", *keys))
    return order and order.rows.identity


def get_order(keys: Sequence[SortKey], reader: SnapshotReader) -> RowOrder:
    """Return all rows in the order of one or more keys. They are sorted once for a snapshot, memory permitting."""
    cache, cache_key = reader.snapshot.derived, ("order", *keys)
    order: RowOrder | None = cache.get(cache_key)
    if order is None:
        order = _build_order(keys, reader)
        cache.put(cache_key, order)
    return order


def _build_order(keys: Sequence[SortKey], reader: SnapshotReader) -> RowOrder:
    """Sort all rows by each key, the last one first: every sort is stable."""
    ordered = list(range(len(reader.snapshot.rows)))
    for key in reversed(keys):
        reader.check_time()
        column = reader.snapshot.columns[key.field]
        present = [row_index for row_index in ordered if column[row_index] is not None]
        absent = [row_index for row_index in ordered if column[row_index] is None]
        present.sort(key=column.__getitem__, reverse=key.descending)  # type: ignore[arg-type] # no None is left
        ordered = present + absent
    ranks = array("I", bytes(_INDEX_BYTES * len(ordered)))
    for rank, row_index in enumerate(ordered):
        ranks[row_index] = rank
    rows = SortedRows(ordered, reader.snapshot.columns[keys[0].field], descending=keys[0].descending)
    return RowOrder(rows=rows, ranks=ranks, size=rows.size + _INDEX_BYTES * len(ranks) + _ORDER_BYTES * len(keys))


def sort_values(row_index: int, keys: Sequence[SortKey], snapshot: Snapshot) -> tuple[ComparableValue, ...]:
    """Return the position of a row in the order: one value per key, then name and code."""
    return tuple(snapshot.columns[key.field][row_index] for key in (*keys, *TIE_BREAKERS))


def compare(left: Sequence[ComparableValue], right: Sequence[ComparableValue], keys: Sequence[SortKey]) -> int:
    """Return -1, 0 or 1 if position `left` is before, at or after position `right`."""
    for left_value, right_value, key in zip(left, right, (*keys, *TIE_BREAKERS), strict=True):
        if left_value == right_value:
            continue
        if left_value is None or right_value is None:
            return 1 if left_value is None else -1
        is_before = left_value < right_value  # type: ignore[operator] # a column has one type
        return -1 if is_before is not key.descending else 1
    return 0
