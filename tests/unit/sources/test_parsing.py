"""Reading what somebody else wrote: exact on what is good, and never surprised by the rest."""

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
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def refusal(body: bytes) -> str:
    """Return the message that a body is refused with."""
    with pytest.raises(ProviderError) as exc_info:
        parsing.parse_json_object(body)
    return str(exc_info.value)


def test_json_object() -> None:
    """An object in UTF-8 is read."""
    assert parsing.parse_json_object('{"name": "Türkiye"}'.encode()) == {"name": "Türkiye"}


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"text"', b"NaN"])
def test_json_that_is_no_object(body: bytes) -> None:
    """JSON of another kind is refused."""
    assert refusal(body) == "the body is not a JSON object"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"a": 1',
        b'{"a": 1} {"b": 2}',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json(body: bytes) -> None:
    """Broken, deep, foreign and oversized JSON is refused."""
    assert refusal(body) == "the body is not JSON"


@pytest.mark.parametrize(
    "body", ['{"é": 1}'.encode("latin-1"), '{"a": 1}'.encode("utf-16"), b"\xff", b"\x1f\x8b\x08"]
)
def test_what_is_no_utf8(body: bytes) -> None:
    """Another encoding is refused as such."""
    assert refusal(body) == "the body is not UTF-8 text"


def test_byte_order_mark() -> None:
    """The mark that some editors begin a file with is no part of it."""
    assert parsing.decode_utf8(b"\xef\xbb\xbftext") == "text"
    assert parsing.parse_json_object(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("answer", "message"),
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
def test_error(answer: str, message: str) -> None:
    """An object that says that it is an error is refused with what it says."""
    assert refusal(answer.encode()) == f"responded with an error: {message}"


@pytest.mark.parametrize(
    "answer", ['{"success": true}', '{"errors": []}', '{"error": null, "message": 7}', "{}"]
)
def test_no_error(answer: str) -> None:
    """An object that says nothing of an error is none."""
    assert parsing.parse_json_object(answer.encode()) == json.loads(answer)


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"message"'])
def test_json_value(body: bytes) -> None:
    """JSON of any kind is read where any is asked for."""
    assert parsing.parse_json(body) == json.loads(body)


@pytest.mark.parametrize(
    ("path", "expected"),
    [((), {"a": {"b": 1}}), (("a",), {"b": 1}), (("a", "b"), 1), (("b",), None)],
)
def test_member(path: tuple[str, ...], expected: object) -> None:
    """What objects within objects hold is found by its path."""
    assert parsing.get_nested({"a": {"b": 1}}, *path) == expected


@given(ANYTHING, st.lists(st.text(), min_size=1, max_size=2))
def test_any_member(value: object, path: list[str]) -> None:
    """Whatever there is instead of an object has no members."""
    if not isinstance(value, dict):
        assert parsing.get_nested(value, *path) is None
        assert parsing.get_nested({"a": value}, "a", *path) is None


@given(ANYTHING)
def test_elements(value: object) -> None:
    """A list has its elements, and anything else has none."""
    assert parsing.as_list(value) == (value if isinstance(value, list) else [])


@given(st.binary() | st.text().map(str.encode))
def test_any_body(body: bytes) -> None:
    """Any bytes give an object or the one exception for it."""
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
    """Text is stripped, and is none when empty, too long, or not storable everywhere."""
    assert parsing.clean_text(value) == expected


@given(ANYTHING)
def test_any_text(value: object) -> None:
    """Whatever is read as text fits the column, is stripped, and reads the same again."""
    result = parsing.clean_text(value)
    if result is not None:
        assert 1 <= len(result) <= parsing.MAX_TEXT_LENGTH
        assert parsing.clean_text(result) == result
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
    ],
)
def test_printable(value: object, shown: str) -> None:
    """A value is shown on one line of at most 80 characters, with marks for what has no shape."""
    assert parsing.to_printable(value) == shown


def test_printable_at_most() -> None:
    """A caller sets another length."""
    assert parsing.to_printable("abcdef", max_length=5) == "abcd…"
    assert parsing.to_printable("abcde", max_length=5) == "abcde"


@given(ANYTHING)
def test_anything_printable(value: object) -> None:
    """Whatever is shown is one short line of characters that have a shape."""
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
    """Finite numbers from nought are read as floats, and nothing else is."""
    result = parsing.parse_non_negative(value)
    assert (result, type(result)) == (number, type(number))


def test_negative_nought() -> None:
    """Nought has no sign: a database would drop it, and a copy in memory would not."""
    assert repr(parsing.parse_non_negative(-0.0)) == "0.0"


@pytest.mark.parametrize(
    ("value", "number"), [(0, None), (0.0, None), (5e-324, 5e-324), (3, 3.0), (-3, None)]
)
def test_positive(value: object, number: float | None) -> None:
    """Nought is not positive; otherwise the same numbers are read."""
    assert parsing.parse_positive(value) == number


@given(ANYTHING)
def test_any_number(value: object) -> None:
    """Whatever is read as a number is finite and not below nought."""
    result = parsing.parse_non_negative(value)
    assert result is None or (math.isfinite(result) and math.copysign(1, result) == 1)
    assert parsing.parse_positive(value) == (result if result != 0 else None)


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
    """Seconds since 1970 are an instant in UTC, up to the end of the year 9999."""
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
    """A date is its first instant in UTC."""
    assert parsing.parse_date(value) == instant


@given(ANYTHING)
def test_any_instant(value: object) -> None:
    """Whatever is read as an instant is in UTC."""
    for result in (parsing.parse_unix_time(value), parsing.parse_date(value)):
        assert result is None or result.tzinfo is UTC
