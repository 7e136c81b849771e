"""A least-recently-used cache, bounded by the size of what it holds."""

from collections import OrderedDict
from collections.abc import Callable, ItemsView
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class LRUCache(Generic[K, V]):
    """Maps keys to values and evicts the least recently used beyond `max_size`."""

    def __init__(self, max_size: int, *, size_of: Callable[[K, V], int] = lambda _key, _value: 1) -> None:
        """Hold entries of `max_size` in total, in the unit of `size_of`. By default, entries."""
        self.max_size = max_size
        self.size = 0
        """Total size of the entries held."""
        self._size_of = size_of
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __contains__(self, key: object) -> bool:
        # Does not mark the key as used.
        return key in self._entries

    def get(self, key: K) -> V | None:
        """Return the value and mark it as used; None if it is not held."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Hold a value, replacing the key's former one. One larger than the cache is not held."""
        self.pop(key)
        size = self._size_of(key, value)
        if size > self.max_size:
            return
        self._entries[key] = value
        self.size += size
        while self.size > self.max_size:
            self.size -= self._size_of(*self._entries.popitem(last=False))

    def pop(self, key: K) -> V | None:
        """Drop an entry and return its value; None if it is not held."""
        value = self._entries.pop(key, None)
        if value is not None:
            self.size -= self._size_of(key, value)
        return value

    def items(self) -> ItemsView[K, V]:
        """Return keys and values, the least recently used first."""
        return self._entries.items()

    def clear(self) -> None:
        """Drop every entry."""
        self._entries.clear()
        self.size = 0
