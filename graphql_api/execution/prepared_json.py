"""Prepared JSON: the bytes that the objects of one snapshot contribute to responses."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from graphql_api.domain.snapshot import DerivedCache
from graphql_api.utils.exact_bytes import copy_exactly

_TABLE_BYTES = 500
_ENTRY_BYTES = 150
"""Estimated bytes of an object's entry besides its JSON."""


def is_used(cache: DerivedCache, selection: Hashable) -> bool:
    """Return whether a selection has been marked as used, or prepared. What is used once is not worth its memory."""
    return cache.get(selection) is not None


def mark_used(cache: DerivedCache, selection: Hashable) -> None:
    """Mark a selection as used once."""
    cache.put(selection, _Table())


def prepare_json(
    cache: DerivedCache, selection: Hashable, objects: Sequence[Any], encode: Callable[[Sequence[Any]], Sequence[bytes]]
) -> list[bytes]:
    """Return the JSON that a selection shows of each object. `encode` makes that of those which have none yet.

    The objects must not change while `cache` is used.
    """
    table: _Table = cache.get(selection) or _Table()
    if len(objects) == len(table.objects) and list(objects) == table.objects:  # compares identities first
        return list(table.json_by_id.values())
    try:
        return list(map(table.json_by_id.__getitem__, map(id, objects)))
    except KeyError:
        missing = list({id(value): value for value in objects if id(value) not in table.json_by_id}.values())
    encoded = encode(missing)
    cache.pop(selection)  # before its size changes
    table.add(missing, encoded)
    cache.put(selection, table)
    return [table.json_by_id[id(value)] for value in objects]


class _Table:
    """JSON of one selection. It refers to the objects, so that no other one gets the id of one."""

    def __init__(self) -> None:
        self.json_by_id: dict[int, bytes] = {}
        self.size = _TABLE_BYTES
        self.objects: list[object] = []
        """In the order of `json_by_id`."""

    def add(self, objects: Sequence[object], encoded: Sequence[bytes]) -> None:
        self.objects.extend(objects)
        self.json_by_id.update(zip(map(id, objects), map(copy_exactly, encoded), strict=True))
        self.size += sum(map(len, encoded)) + _ENTRY_BYTES * len(encoded)
