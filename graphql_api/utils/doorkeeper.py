"""A doorkeeper: lets a key into a cache from its second use on, because most keys are used once."""

from array import array
from collections.abc import Hashable

_BYTES_PER_HASH = 8


class Doorkeeper:
    """Remembers the hashes of recent keys, each at a place that follows from it, where the latest one stays.

    As in TinyLFU (https://arxiv.org/abs/1512.00727): what is used once must not push out what is used again.
    """

    def __init__(self, places: int) -> None:
        self._hashes = array("q", bytes(_BYTES_PER_HASH * places))

    def admits(self, key: Hashable) -> bool:
        """Return whether the key is remembered. From now on it is."""
        key_hash, hashes = hash(key), self._hashes
        place = key_hash % len(hashes)
        if hashes[place] == key_hash:
            return True
        hashes[place] = key_hash
        return False
