"""Derived cache: values that queries derive from the rows of a snapshot. It ends with the snapshot."""

from collections.abc import Hashable
from typing import Any

from graphql_api.utils.doorkeeper import Doorkeeper
from graphql_api.utils.lru import LRUCache

_MAX_BYTES = 16_000_000
_REMEMBERED_KEYS = 4_096


class DerivedCache(LRUCache[Hashable, Any]):
    """Values by what they are derived by. Each has a `size` in bytes."""

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        """Hold at most `max_bytes`."""
        super().__init__(max_bytes, size_of=lambda _, value: value.size)
        self.is_used_again = Doorkeeper(_REMEMBERED_KEYS).admits
        """Tells whether a key has been used before. The values of many are worth their memory only then."""
