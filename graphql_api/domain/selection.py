"""Selection: the rows that match a filter. Caches the rows of conditions, in order, from their second use on.

A client that changes one condition, or walks from page to page, sends the others again.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from graphql_api.domain.filters import RANGE_OPERATORS, AllOf, Condition, Filter, find_ranges, find_rows, keep_rows
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import TIE_BREAKERS, SortedRows, SortKey, sort_rows

_SELECTION_BYTES = 1_000
"""Estimated bytes of a kept selection besides its rows and the text of its key."""


class _KeptSelection(NamedTuple):
    rows: SortedRows
    size: int
    """Bytes."""


def select_rows(
    country_filter: Filter, sort: tuple[SortKey, ...], reader: SnapshotReader
) -> tuple[Collection[int], Sequence[int] | None]:
    """Return the indexes of the rows that match, each once, and the same in the order of `sort` if that is known."""
    parts = country_filter.parts if isinstance(country_filter, AllOf) else (country_filter,)
    is_used_again = reader.snapshot.derived.is_used_again
    repeated = tuple([part for part in parts if is_used_again(part)])
    if not repeated:
        return find_rows(country_filter, reader), None
    selection, sort_field = _select_kept(repeated, sort, reader), (sort or TIE_BREAKERS)[0].field
    ranges: list[Condition] = []
    others: list[Filter] = []
    for part in parts:
        if part in repeated:
            continue
        if isinstance(part, Condition) and part.field is sort_field and part.operator in RANGE_OPERATORS:
            ranges.append(part)
        else:
            others.append(part)
    rows = find_ranges(ranges, selection, reader) if ranges else selection.row_indexes
    for part in others:
        rows = keep_rows(part, reader, rows)
    return rows, rows


def _select_kept(parts: tuple[Filter, ...], sort: tuple[SortKey, ...], reader: SnapshotReader) -> SortedRows:
    """Return the rows that match all parts, in order. They are found once for a snapshot, memory permitting."""
    derived, key = reader.snapshot.derived, ("selection", parts, sort)
    kept: _KeptSelection | None = derived.get(key)
    if kept is not None:
        return kept.rows
    row_indexes = sort_rows(sort, reader, find_rows(AllOf(parts), reader))
    first_key = (sort or TIE_BREAKERS)[0]
    rows = SortedRows(row_indexes, reader.snapshot.columns[first_key.field], descending=first_key.descending)
    if not reader.unknown_values:  # each response has suggestions for them
        derived.put(key, _KeptSelection(rows, _SELECTION_BYTES + 2 * len(repr(key)) + rows.size))
    return rows
