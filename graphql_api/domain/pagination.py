"""Pagination, forward and backward, by cursor and by offset.

A cursor is a position in an order, not a row: it holds the values that the order compares. So it
stays valid after its row is deleted or refreshed.
"""

import base64
import json
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Hashable, Sequence
from datetime import datetime
from functools import cmp_to_key, partial
from typing import NamedTuple

import orjson

from graphql_api.domain.country import Country, CountryField, FieldKind
from graphql_api.domain.filters import Filter
from graphql_api.domain.selection import Selection, select_rows
from graphql_api.domain.snapshot import ComparableValue
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import TIE_BREAKERS, SortKey, compare, drop_repeated, sort_rows, sort_values
from graphql_api.errors import InvalidInput
from graphql_api.utils.lazy import lazy_property
from graphql_api.utils.named_tuples import new_tuple


class PageRequest(NamedTuple):
    """The pagination arguments of a client. The default is the whole list."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None
    offset: int | None = None

    def check(self) -> None:
        """Check what the types of the arguments do not say.

        Raises:
            InvalidInput: Arguments exclude each other, or a number is negative.
        """
        first, after, last, before, offset = self
        if (first or 0) < 0 or (last or 0) < 0 or (offset or 0) < 0:
            numbers = {"first": first, "last": last, "offset": offset}
            name, value = next((name, value) for name, value in numbers.items() if value is not None and value < 0)
            raise InvalidInput(f"{name} must be 0 or more, not {value}.")
        if first is not None and last is not None:
            raise InvalidInput("Give first or last, not both.")
        if offset is not None:
            for name, excluded in (("after", after), ("before", before), ("last", last)):
                if excluded is not None:
                    raise InvalidInput(f"Give offset or {name}, not both; offset goes with first.")


class _PageValues(NamedTuple):
    reader: SnapshotReader
    sort: tuple[SortKey, ...]
    selection: Selection
    request: PageRequest
    after: Sequence[ComparableValue] | None
    before: Sequence[ComparableValue] | None
    """Positions of the cursors in `request`."""


class Page(_PageValues):
    """A slice of the matching rows. It is sorted on demand, and so are rows and cursors built.

    It is a tuple because every new query makes one: a frozen dataclass takes three times as long.
    """

    @property
    def identity(self) -> Hashable:
        """Return what pages of the same snapshot have in common if they are equal; None if it is not known."""
        _, _, identity = self.selection
        return None if identity is None else (identity, self.span.start, self.span.stop)

    @property
    def selected(self) -> Collection[int]:
        """Return the indexes into the snapshot's rows of all matching rows, each once."""
        return self.selection.rows

    @lazy_property
    def matching(self) -> Sequence[int]:
        """Return the indexes of all matching rows, in order."""
        rows, sorted_rows, _ = self.selection
        return sort_rows(self.sort, self.reader, rows) if sorted_rows is None else sorted_rows

    @lazy_property
    def span(self) -> range:
        """Return the positions in `matching` of the rows on the page."""
        first, _, last, _, offset = self.request
        stop = len(self.selection.rows)
        start = min(offset or 0, stop)
        if self.after is not None:
            start = self._find_index(self.after, bisect_right)
        if self.before is not None:
            stop = max(start, self._find_index(self.before, bisect_left))
        if first is not None:
            stop = min(stop, start + first)
        if last is not None:
            start = max(start, stop - last)
        return range(start, stop)

    @property
    def row_indexes(self) -> Sequence[int]:
        """Return the indexes into the snapshot's rows of the rows on the page."""
        span = self.span
        return self.matching[span.start : span.stop]

    @property
    def rows(self) -> tuple[Country, ...]:
        """Return the countries on the page, in its order."""
        rows, row_indexes = self.reader.snapshot.rows, self.row_indexes
        if isinstance(row_indexes, range):
            return rows[row_indexes.start : row_indexes.stop]
        return tuple(map(rows.__getitem__, row_indexes))

    def cursor(self, row_index: int) -> str:
        """Return the cursor of the row with that index."""
        return encode_cursor(sort_values(row_index, self.sort, self.reader.snapshot), self.sort)

    def _find_index(self, position: Sequence[ComparableValue], bisect: Callable[..., int]) -> int:
        to_sort_key = cmp_to_key(partial(compare, keys=self.sort))
        return bisect(
            self.matching,
            to_sort_key(position),
            key=lambda row_index: to_sort_key(sort_values(row_index, self.sort, self.reader.snapshot)),
        )


def paginate(reader: SnapshotReader, country_filter: Filter, sort: Sequence[SortKey], request: PageRequest) -> Page:
    """Filter the rows of a snapshot. The page sorts and slices them.

    Raises:
        InvalidInput: Arguments of the page exclude each other, or one is not valid.
    """
    request.check()
    keys = drop_repeated(sort)
    selection = select_rows(country_filter, keys, reader)
    after = None if request.after is None else _parse_cursor(request.after, "after", keys)
    before = None if request.before is None else _parse_cursor(request.before, "before", keys)
    return new_tuple(Page, (reader, keys, selection, request, after, before))


def _parse_cursor(cursor: str, argument: str, keys: Sequence[SortKey]) -> Sequence[ComparableValue]:
    try:
        return decode_cursor(cursor, keys)
    except ValueError:
        raise InvalidInput(
            f"{argument} is not a cursor of this list in this order; "
            "use one that the same query with the same sort returned."
        ) from None


def encode_cursor(position: Sequence[ComparableValue], keys: Sequence[SortKey]) -> str:
    """Return the cursor of a position in the order of `keys`."""
    values = [value.isoformat() if isinstance(value, datetime) else value for value in position]
    text = orjson.dumps([_signature(keys), *values])
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decode_cursor(cursor: str, keys: Sequence[SortKey]) -> tuple[ComparableValue, ...]:
    """Return the position of a cursor from `encode_cursor`.

    Raises:
        ValueError: `cursor` is malformed, or belongs to another order.
    """
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    try:
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except RecursionError:
        raise ValueError("not a cursor") from None
    fields = [key.field for key in (*keys, *TIE_BREAKERS)]
    if not isinstance(content, list) or len(content) != len(fields) + 1:
        raise ValueError("not a cursor")
    if content[0] != _signature(keys):
        raise ValueError("made for another order")
    return tuple(map(_decode_value, content[1:], fields))


def _signature(keys: Sequence[SortKey]) -> str:
    return ",".join(f"-{key.field}" if key.descending else key.field for key in keys)


def _decode_value(value: object, field: CountryField) -> ComparableValue:
    if value is None and field.info.nullable:
        return None
    if isinstance(value, str):
        if field.is_text:
            return value
        if field.info.kind is FieldKind.INSTANT:
            instant = datetime.fromisoformat(value)
            if instant.tzinfo is not None:
                return instant
    elif (
        field.info.kind in (FieldKind.INT, FieldKind.FLOAT)
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        # False for NaN, which has no place in an order, and for integers beyond any float.
        and abs(value) <= sys.float_info.max
    ):
        return value
    raise ValueError(f"not a value of {field}")
