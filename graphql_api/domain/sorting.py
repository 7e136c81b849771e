"""Sorting: a total order by any keys, nulls last in both directions."""

from collections.abc import Sequence
from dataclasses import dataclass

from graphql_api.domain.country import CountryField
from graphql_api.domain.snapshot import ComparableValue, Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader


@dataclass(frozen=True, slots=True)
class SortKey:
    """One field to sort by."""

    field: CountryField
    descending: bool = False


TIE_BREAKERS = (SortKey(CountryField.NAME), SortKey(CountryField.CODE))
"""The keys after the client's keys. The code is unique, so the order is total."""


def drop_repeated(keys: Sequence[SortKey]) -> tuple[SortKey, ...]:
    """Return the first key of each field. Another one of the same field decides nothing."""
    first_keys: dict[CountryField, SortKey] = {}
    for key in keys:
        first_keys.setdefault(key.field, key)
    return tuple(first_keys.values())


def sort_rows(keys: Sequence[SortKey], reader: SnapshotReader, row_indexes: Sequence[int]) -> list[int]:
    """Return `row_indexes` in the order of `keys`, then of name and code.

    `row_indexes` must be ascending: the rows of a snapshot are already in the order of the
    tie-breakers, and every sort here is stable.
    """
    ordered = list(row_indexes)
    for key in reversed(keys):
        reader.check_time()
        column = reader.snapshot.columns[key.field]
        present = [row_index for row_index in ordered if column[row_index] is not None]
        absent = [row_index for row_index in ordered if column[row_index] is None]
        present.sort(key=lambda row_index: column[row_index], reverse=key.descending)  # type: ignore[arg-type, return-value] # no None is left, and a column has one type
        ordered = present + absent
    return ordered


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
