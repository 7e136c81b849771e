"""Prepared JSON: the bytes that the objects of one snapshot contribute to responses."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from graphql_api.domain.derived_cache import DerivedCache
from graphql_api.utils.exact_bytes import copy_exactly

_PIECE_BYTES = 400
"""Bytes of a piece besides its JSON, measured with tracemalloc: its key and its place in the cache."""
_TABLE_BYTES = 500
_ENTRY_BYTES = 150
"""Estimated bytes of an object's entry besides its JSON."""


class PreparedTable:
    """JSON of one selection. It refers to the objects, so that no other one gets the id of one."""

    def __init__(self) -> None:
        self.json_by_id: dict[int, bytes] = {}
        self.size = _TABLE_BYTES
        """Bytes."""
        self._objects: list[object] = []
        """In the order of `json_by_id`."""

    def find(self, objects: Sequence[object]) -> list[bytes] | None:
        """Return the JSON of each object; None if one has none."""
        if len(objects) == len(self._objects) and list(objects) == self._objects:  # compares identities first
            return list(self.json_by_id.values())
        try:
            return list(map(self.json_by_id.__getitem__, map(id, objects)))
        except KeyError:
            return None

    def find_missing(self, objects: Sequence[object]) -> list[object]:
        """Return the objects that have no JSON, each once."""
        return list({id(value): value for value in objects if id(value) not in self.json_by_id}.values())

    def add(self, objects: Sequence[object], encoded: Sequence[bytes]) -> None:
        """Add objects that have no JSON yet."""
        self._objects.extend(objects)
        self.json_by_id.update(zip(map(id, objects), map(copy_exactly, encoded), strict=True))
        self.size += sum(map(len, encoded)) + _ENTRY_BYTES * len(encoded)


class PreparedPiece(NamedTuple):
    """JSON that a selection shows of the snapshot itself, or of a part of it."""

    json: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return _PIECE_BYTES + len(self.json)


def prepare_json(
    cache: DerivedCache,
    selection: Hashable,
    table: PreparedTable,
    objects: Sequence[Any],
    encode: Callable[[Sequence[Any]], Sequence[bytes]],
) -> list[bytes]:
    """Return the JSON that a selection shows of each object. `encode` makes that of those which have none in its table.

    The objects must not change while `cache` is used.
    """
    missing = table.find_missing(objects)
    encoded = encode(missing)
    cache.pop(selection)  # before its size changes
    table.add(missing, encoded)
    cache.put(selection, table)
    return [table.json_by_id[id(value)] for value in objects]
