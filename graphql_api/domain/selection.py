"""Selection: the rows that match a filter. Caches the rows of conditions, in order, from their second use on.

A client that changes one condition, or walks from page to page, sends the others again.
"""

from collections.abc import Collection, Hashable, Sequence
from typing import NamedTuple, TypeGuard

from graphql_api.domain.filters import RANGE_OPERATORS, AllOf, Condition, Filter, find_rows, find_span, keep_rows
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import TIE_BREAKERS, SortedRows, SortKey, find_order_identity, get_order, sort_rows
from graphql_api.utils.named_tuples import new_tuple

_SELECTION_BYTES = 1_000
"""Estimated bytes of a kept selection besides its rows and the text of its key."""


class Selection(NamedTuple):
    """The rows that match a filter."""

    rows: Collection[int]
    """Indexes into the snapshot's rows, each once."""
    sorted_rows: Sequence[int] | None = None
    """The same in order, if that is known."""
    identity: Hashable = None
    """Equal for selections of a snapshot with equal rows in an equal order. None if that is not known."""


class _KeptSelection(NamedTuple):
    rows: SortedRows
    size: int
    """Bytes."""


def select_rows(country_filter: Filter, sort: tuple[SortKey, ...], reader: SnapshotReader) -> Selection:
    """Return the rows that match, in the order of `sort` if that is known."""
    parts = country_filter.parts if isinstance(country_filter, AllOf) else (country_filter,)
    if not parts:
        all_rows = range(len(reader.snapshot.rows))
        return Selection(all_rows, None if sort else all_rows, find_order_identity(sort, reader))
    is_used_again, sort_field = reader.snapshot.derived.is_used_again, (sort or TIE_BREAKERS)[0].field
    repeated: list[Filter] = []
    ranges: list[Condition] = []
    others: list[Filter] = []
    for part in parts:
        if is_used_again(part):
            repeated.append(part)
        elif isinstance(part, Condition) and part.field is sort_field and part.operator in RANGE_OPERATORS:
            ranges.append(part)
        else:
            others.append(part)
    if not repeated:
        if _is_range(parts):
            return _select_range(parts, sort, reader)
        return Selection(find_rows(country_filter, reader))
    kept = _select_kept(tuple(repeated), sort, reader)
    start, stop = find_span(ranges, kept, reader) if ranges else (0, len(kept.row_indexes))
    rows: Sequence[int] = kept.row_indexes[start:stop]
    if not others:
        return new_tuple(Selection, (rows, rows, (kept.identity, start, stop)))
    for part in others:
        rows = keep_rows(part, reader, rows)
    return Selection(rows, rows)


def _is_range(parts: tuple[Filter, ...]) -> TypeGuard[tuple[Condition, ...]]:
    """Return whether the parts are a range of one field."""
    fields = {
        part.field if isinstance(part, Condition) and part.operator in RANGE_OPERATORS else None for part in parts
    }
    return len(fields) == 1 and None not in fields


def _select_range(conditions: tuple[Condition, ...], sort: tuple[SortKey, ...], reader: SnapshotReader) -> Selection:
    """Return the rows of a range by their place in the order of its field. They are sorted if a new page shows them."""
    rows = get_order((SortKey(conditions[0].field),), reader).rows
    start, stop = find_span(conditions, rows, reader)
    order_identity = find_order_identity(sort, reader)
    identity = None if order_identity is None else (order_identity, rows.identity, start, stop)
    return Selection(rows.row_indexes[start:stop], None, identity)


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
