"""Prepared JSON is made once for each object, within a limit of bytes."""

from collections.abc import Sequence

from graphql_api.domain.snapshot import build_derived_cache
from graphql_api.execution.prepared_json import prepare_json


class Encoder:
    """Encodes numbers, and records which."""

    def __init__(self) -> None:
        """Start without a record."""
        self.encoded: list[list[object]] = []

    def __call__(self, objects: Sequence[object]) -> list[bytes]:
        """Encode."""
        self.encoded.append(list(objects))
        return [f"{value}".encode() for value in objects]


def test_once() -> None:
    """Each object is encoded once for each selection, also if it occurs several times."""
    cache, encode = build_derived_cache(10_000), Encoder()
    one, two, three = 1001, 1002, 1003
    assert prepare_json(cache, "a", [one, two, one], encode) == [b"1001", b"1002", b"1001"]
    assert prepare_json(cache, "a", [three, two], encode) == [b"1003", b"1002"]
    assert prepare_json(cache, "a", [two, three, one], encode) == [b"1002", b"1003", b"1001"]
    assert prepare_json(cache, "b", [one], encode) == [b"1001"]
    assert prepare_json(cache, "c", [], encode) == []
    assert encode.encoded == [[one, two], [three], [one]]


def test_objects_are_held() -> None:
    """An object that nobody else refers to is not mistaken for a new one at its address."""
    cache, encode = build_derived_cache(10_000_000), Encoder()
    for number in range(1000):
        assert prepare_json(cache, "a", [number + 10**6], encode) == [f"{number + 10**6}".encode()]
    assert len(encode.encoded) == 1000


def test_limit() -> None:
    """Beyond the limit, the selection that was used least recently is dropped."""
    cache, encode = build_derived_cache(3 * 658), Encoder()
    one = 12345678
    for selection in "abcabda":
        assert prepare_json(cache, selection, [one], encode) == [b"12345678"]
    assert len(encode.encoded) == 4
    prepare_json(cache, "c", [one], encode)
    assert len(encode.encoded) == 5


def test_large_table() -> None:
    """A selection beyond the limit is encoded at each use, and not held."""
    cache, encode = build_derived_cache(1_000), Encoder()
    numbers = list(range(1000, 1010))
    for _ in range(2):
        assert prepare_json(cache, "a", numbers, encode) == [f"{number}".encode() for number in numbers]
    assert encode.encoded == [numbers, numbers]
    prepare_json(cache, "b", numbers[:1], encode)
    prepare_json(cache, "b", numbers[:1], encode)
    assert len(encode.encoded) == 3
