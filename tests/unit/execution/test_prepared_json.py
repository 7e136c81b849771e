"""Prepared JSON is made once for each object, within a limit of bytes."""

from collections.abc import Sequence

from graphql_api.domain.derived_cache import DerivedCache
from graphql_api.execution.prepared_json import PreparedTable, prepare_json


class Encoder:
    """Encodes numbers, and records which."""

    def __init__(self) -> None:
        """Start without a record."""
        self.encoded: list[list[object]] = []

    def __call__(self, objects: Sequence[object]) -> list[bytes]:
        """Encode."""
        self.encoded.append(list(objects))
        return [f"{value}".encode() for value in objects]


def prepare(cache: DerivedCache, selection: str, objects: Sequence[object], encode: Encoder) -> list[bytes]:
    """Return the JSON of objects, as the encoder of a selection does."""
    table = cache.get(selection) or PreparedTable()
    found: list[bytes] | None = table.find(objects)
    return prepare_json(cache, selection, table, objects, encode) if found is None else found


def test_once() -> None:
    """Each object is encoded once for each selection, also if it occurs several times."""
    cache, encode = DerivedCache(10_000), Encoder()
    one, two, three = 1001, 1002, 1003
    assert prepare(cache, "a", [one, two, one], encode) == [b"1001", b"1002", b"1001"]
    assert prepare(cache, "a", [three, two], encode) == [b"1003", b"1002"]
    assert prepare(cache, "a", [two, three, one], encode) == [b"1002", b"1003", b"1001"]
    assert prepare(cache, "b", [one], encode) == [b"1001"]
    assert prepare(cache, "c", [], encode) == []
    assert encode.encoded == [[one, two], [three], [one]]


def test_objects_are_held() -> None:
    """An object that nobody else refers to is not mistaken for a new one at its address."""
    cache, encode = DerivedCache(10_000_000), Encoder()
    for number in range(1000):
        assert prepare(cache, "a", [number + 10**6], encode) == [f"{number + 10**6}".encode()]
    assert len(encode.encoded) == 1000


def test_limit() -> None:
    """Beyond the limit, the selection that was used least recently is dropped."""
    cache, encode = DerivedCache(3 * 658), Encoder()
    one = 12345678
    for selection in "abcabda":
        assert prepare(cache, selection, [one], encode) == [b"12345678"]
    assert len(encode.encoded) == 4
    prepare(cache, "c", [one], encode)
    assert len(encode.encoded) == 5


def test_large_table() -> None:
    """A selection beyond the limit is encoded at each use, and not held."""
    cache, encode = DerivedCache(1_000), Encoder()
    numbers = list(range(1000, 1010))
    for _ in range(2):
        assert prepare(cache, "a", numbers, encode) == [f"{number}".encode() for number in numbers]
    assert encode.encoded == [numbers, numbers]
    prepare(cache, "b", numbers[:1], encode)
    prepare(cache, "b", numbers[:1], encode)
    assert len(encode.encoded) == 3
