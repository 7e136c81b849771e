"""Parsing of untrusted values: valid ones exactly, any other as None or a ProviderError."""

import json
import math
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources import parsing
from graphql_api.sources.provider import ProviderError

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from([10**400, -(10**400), "\ud800", "\x00", " ", 1e308, 5e-324, "２"]),
)
ANY_VALUE = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5
)


def nested_list(depth: int) -> list[object]:
    """Return lists within lists, deeper than functions may call themselves."""
    nested: list[object] = []
    for _ in range(depth):
        nested = [nested]
    return nested


def rejection(body: bytes) -> str:
    """Return the message that rejects a body."""
    with pytest.raises(ProviderError) as exc_info:
        parsing.parse_json_object(body)
    return str(exc_info.value)


def test_json_object() -> None:
    """A JSON object in UTF-8 is parsed."""
    assert parsing.parse_json_object('{"name": "Türkiye"}'.encode()) == {"name": "Türkiye"}


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"text"', b"NaN"])
def test_other_json_types(body: bytes) -> None:
    """JSON that is no object is rejected."""
    assert rejection(body) == "the body is not a JSON object"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"a": 1', b'{"a": 1} {"b": 2}', b"[" * 100_000, b'{"a": 1' + b"9" * 5000]
)
def test_invalid_json(body: bytes) -> None:
    """Broken, deep, foreign and oversized JSON is rejected."""
    assert rejection(body) == "the body is not JSON"


@pytest.mark.parametrize("body", ['{"é": 1}'.encode("latin-1"), '{"a": 1}'.encode("utf-16"), b"\xff", b"\x1f\x8b\x08"])
def test_other_encoding(body: bytes) -> None:
    """A body that is not UTF-8 is rejected as such."""
    assert rejection(body) == "the body is not UTF-8 text"


def test_byte_order_mark() -> None:
    """A byte order mark is removed."""
    assert parsing.decode_utf8(b"\xef\xbb\xbftext") == "text"
    assert parsing.parse_json_object(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"success": false, "data": null, "errors": [{"message": "gone"}]}', "gone"),
        ('{"errors": [{"code": 1}, {"message": " no key\\n"}, {"message": "b"}]}', "no key"),
        ('{"error": {"message": "down"}, "data": 1}', "down"),
        ('{"error": "down"}', "down"),
        ('{"status": 404, "message": "not found"}', "not found"),
        ('{"success": false}', "no message"),
        ('{"success": false, "errors": ["a"], "message": ""}', "no message"),
        ('{"message": "a\\u0000b"}', "a�b"),
        (json.dumps({"message": "x" * 1000}), "x" * 149 + "…"),
    ],
)
def test_error(body: str, message: str) -> None:
    """An object that reports an error is rejected with its message."""
    assert rejection(body.encode()) == f"responded with an error: {message}"


@pytest.mark.parametrize("body", ['{"success": true}', '{"errors": []}', '{"error": null, "message": 7}', "{}"])
def test_no_error(body: str) -> None:
    """An object without an error message is accepted."""
    assert parsing.parse_json_object(body.encode()) == json.loads(body)


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"message"'])
def test_json_value(body: bytes) -> None:
    """parse_json accepts JSON of any type."""
    assert parsing.parse_json(body) == json.loads(body)


@pytest.mark.parametrize(
    ("path", "expected"), [((), {"a": {"b": 1}}), (("a",), {"b": 1}), (("a", "b"), 1), (("b",), None)]
)
def test_member(path: tuple[str, ...], expected: object) -> None:
    """A nested value is found by its path."""
    assert parsing.get_nested({"a": {"b": 1}}, *path) == expected


@given(ANY_VALUE, st.lists(st.text(), min_size=1, max_size=2))
def test_any_member(value: object, path: list[str]) -> None:
    """Any value that is no object has no members."""
    if not isinstance(value, dict):
        assert parsing.get_nested(value, *path) is None
        assert parsing.get_nested({"a": value}, "a", *path) is None


@given(ANY_VALUE)
def test_elements(value: object) -> None:
    """A list keeps its elements, and any other value has none."""
    assert parsing.as_list(value) == (value if isinstance(value, list) else [])


@given(st.binary() | st.text().map(str.encode))
def test_any_body(body: bytes) -> None:
    """Any bytes give an object or a ProviderError."""
    try:
        assert isinstance(parsing.parse_json_object(body), dict)
    except ProviderError:
        return


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Paris", "Paris"),
        ("  São Tomé\u00a0\r\n", "São Tomé"),
        ("'; DROP TABLE \\ %s \"", "'; DROP TABLE \\ %s \""),
        ("🏙", "🏙"),
        ("x" * 200, "x" * 200),
        ("x" * 201, None),
        ("", None),
        (" \t\n", None),
        ("a\x00b", None),
        ("a\nb", None),
        ("\x85a\x85", "a"),
        ("a\x85b", None),
        ("\ud800", None),
        (None, None),
        (7, None),
        (["Paris"], None),
        (b"Paris", None),
    ],
)
def test_text(value: object, expected: str | None) -> None:
    """Text is stripped; empty, overlong and unstorable text becomes None."""
    assert parsing.clean_text(value, max_length=200) == expected


@given(ANY_VALUE)
def test_any_text(value: object) -> None:
    """Any text that is kept fits the column, is stripped, and stays the same when parsed again."""
    result = parsing.clean_text(value, max_length=3)
    if result is not None:
        assert 1 <= len(result) <= 3
        assert parsing.clean_text(result, max_length=3) == result
        assert result.encode().decode() == result
        assert "\x00" not in result


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Antilles", "Antilles"),
        (None, "None"),
        ("two\nlines\x1b[31m\u202e\ud800", "two�lines�[31m��"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + "…"),
        ({"a": 1}, "{'a': 1}"),
        (nested_list(100_000), "[[[[[[[...]]]]]]]"),
        (list(range(100_000)), "[0, 1, 2, 3, 4, 5, ...]"),
    ],
)
def test_printable(value: object, shown: str) -> None:
    """A value is shown on one line of at most 80 characters, with replacement characters."""
    assert parsing.to_printable(value) == shown


def test_printable_at_most() -> None:
    """The maximum length is an argument."""
    assert parsing.to_printable("abcdef", max_length=5) == "abcd…"
    assert parsing.to_printable("abcde", max_length=5) == "abcde"


@given(ANY_VALUE)
def test_anything_printable(value: object) -> None:
    """Any value is shown as one short printable line."""
    shown = parsing.to_printable(value)
    assert len(shown) <= 80
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0.0),
        (7, 7.0),
        (0.44, 0.44),
        (sys.float_info.max, sys.float_info.max),
        (-1, None),
        (-5e-324, None),
        (math.inf, None),
        (-math.inf, None),
        (math.nan, None),
        (10**400, None),
        (True, None),
        (False, None),
        ("7", None),
        (None, None),
        ([7], None),
    ],
)
def test_non_negative(value: object, number: float | None) -> None:
    """Finite numbers of at least zero become floats, and any other value None."""
    result = parsing.parse_non_negative(value)
    assert (result, type(result)) == (number, type(number))


def test_negative_zero() -> None:
    """Negative zero loses its sign, as it would in a database."""
    assert repr(parsing.parse_non_negative(-0.0)) == "0.0"


@given(ANY_VALUE)
def test_any_number(value: object) -> None:
    """Any number that is kept is finite and not negative."""
    result = parsing.parse_non_negative(value)
    assert result is None or (math.isfinite(result) and math.copysign(1, result) == 1)


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1790640151, datetime(2026, 9, 29, 0, 2, 31, tzinfo=UTC)),
        (1790640151.5, datetime(2026, 9, 29, 0, 2, 31, 500_000, tzinfo=UTC)),
        (253402300800, None),
        (1e308, None),
        (-1, None),
        ("1790640151", None),
        (None, None),
        (True, None),
    ],
)
def test_instant_of_unix(value: object, instant: datetime | None) -> None:
    """Seconds since 1970 become an instant in UTC, up to the end of the year 9999."""
    assert parsing.parse_unix_time(value) == instant


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2026-09-29", datetime(2026, 9, 29, tzinfo=UTC)),
        ("2026-02-30", None),
        ("2026-09-29T00:00:00Z", None),
        ("", None),
        (None, None),
        (20260929, None),
    ],
)
def test_instant_of_date(value: object, instant: datetime | None) -> None:
    """A date becomes midnight UTC."""
    assert parsing.parse_date(value) == instant


@given(ANY_VALUE)
def test_any_instant(value: object) -> None:
    """Any instant that is kept is in UTC."""
    for result in (parsing.parse_unix_time(value), parsing.parse_date(value)):
        assert result is None or result.tzinfo is UTC
