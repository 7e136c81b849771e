"""Selection: the rows that match a filter. Caches the rows of conditions, in order, from their second use on.

A client that changes one condition, or walks from page to page, sends the others again.
"""

from array import array
from collections.abc import Collection, Sequence
from typing import NamedTuple

from graphql_api.domain.filters import RANGE_OPERATORS, AllOf, Condition, Filter, find_range, find_rows, keep_rows
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import TIE_BREAKERS, SortKey, sort_rows

_SELECTION_BYTES = 1_000
"""Estimated bytes of a kept selection besides its rows and the text of its key."""


class _KeptSelection(NamedTuple):
    row_indexes: Sequence[int]
    """In order."""
    size: int
    """Bytes."""


def select_rows(
    country_filter: Filter, sort: tuple[SortKey, ...], reader: SnapshotReader
) -> tuple[Collection[int], Sequence[int] | None]:
    """Return the indexes of the rows that match, each once, and the same in the order of `sort` if that is known."""
    parts = country_filter.parts if isinstance(country_filter, AllOf) else (country_filter,)
    is_used_again = reader.snapshot.derived.is_used_again
    repeated: list[Filter] = []
    others: list[Filter] = []
    for part in parts:
        (repeated if is_used_again(part) else others).append(part)
    if not repeated:
        return find_rows(country_filter, reader), None
    rows, first_key = _select_kept(tuple(repeated), sort, reader), (sort or TIE_BREAKERS)[0]
    for part in others:
        if isinstance(part, Condition) and part.field is first_key.field and part.operator in RANGE_OPERATORS:
            rows = find_range(part, reader, rows, descending=first_key.descending)
        else:
            rows = keep_rows(part, reader, rows)
    return rows, rows


def _select_kept(parts: tuple[Filter, ...], sort: tuple[SortKey, ...], reader: SnapshotReader) -> Sequence[int]:
    """Return the rows that match all parts, in order. They are found once for a snapshot, memory permitting."""
    derived, key = reader.snapshot.derived, ("selection", parts, sort)
    kept: _KeptSelection | None = derived.get(key)
    if kept is not None:
        return kept.row_indexes
    row_indexes = sort_rows(sort, reader, find_rows(AllOf(parts), reader))
    if not reader.unknown_values:  # each response has suggestions for them
        size = _SELECTION_BYTES + 2 * len(repr(key)) + array("I").itemsize * len(row_indexes)
        derived.put(key, _KeptSelection(array("I", row_indexes), size))
    return row_indexes
