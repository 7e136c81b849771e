"""Parses untrusted values: functions accept anything and return a valid value or None."""

import json
import math
import reprlib
import unicodedata
from datetime import UTC, datetime
from typing import Any, TypeVar

from graphql_api.sources.provider import ProviderError

MAX_RECORDS = 5_000
"""Records of one list or table. There are 250 countries, and the longest real list has 340 currencies."""
MAX_JSON_VALUES = 100_000
"""Values of one JSON body. The largest real one has 41 000. The parser blocks other threads while it runs."""
_MAX_MESSAGE_LENGTH = 150
"""Characters of a provider's error message that are kept."""
_MAX_INT_DIGITS = 20
"""Longer integers become floats: converting them exactly takes quadratic time."""

C = TypeVar("C", list[Any], dict[str, Any])


def decode_utf8(body: bytes) -> str:
    """Return the text without a byte order mark.

    Raises:
        ProviderError: the body is not UTF-8.
    """
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProviderError("the body is not UTF-8 text") from None


def parse_json(body: bytes) -> object:
    """Return the value of a JSON body in UTF-8.

    Raises:
        ProviderError: the body is not JSON, has too many values, or is an error message.
    """
    # Each value but the first follows one of these bytes.
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
        raise ProviderError(f"the body has more than {MAX_JSON_VALUES} values")
    decoded = decode_utf8(body)
    try:
        content: object = json.loads(decoded, parse_int=_parse_int, parse_float=_parse_float)
    except (ValueError, RecursionError):
        raise ProviderError("the body is not JSON") from None
    _reject_error_payload(content)
    return content


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Return the object of a JSON body in UTF-8.

    Raises:
        ProviderError: the body is not a JSON object, has too many values, or is an error message.
    """
    content = parse_json(body)
    if not isinstance(content, dict):
        raise ProviderError("the body is not a JSON object")
    return content


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else float(digits)


def _parse_float(number: str) -> float:
    # The parser, which is in C, lets other threads run only while it calls a function in Python.
    return float(number)


def require_records(value: object, container: type[C], message: str) -> C:
    """Return a list or table of records.

    Raises:
        ProviderError: it is no such container, with `message`, or it has more than `MAX_RECORDS` records.
    """
    if not isinstance(value, container):
        raise ProviderError(message)
    require_record_count(len(value))
    return value


def require_record_count(count: int) -> None:
    """Accept the number of a provider's records.

    Raises:
        ProviderError: there are more than `MAX_RECORDS`.
    """
    if count > MAX_RECORDS:
        raise ProviderError(f"sent {count} records, more than {MAX_RECORDS}")


def _reject_error_payload(content: object) -> None:
    """Reject an object that reports an error. Some services do so with status 200."""
    if not isinstance(content, dict):
        return
    candidates = [
        *(get_nested(error, "message") for error in as_list(content.get("errors"))),
        get_nested(content, "error", "message"),
        content.get("error"),
        content.get("message"),
    ]
    messages = (message.strip() for message in candidates if isinstance(message, str))
    message = next(filter(None, messages), None)
    if message or content.get("success") is False:
        shown = to_printable(message or "no message", max_length=_MAX_MESSAGE_LENGTH)
        raise ProviderError(f"responded with an error: {shown}")


def get_nested(value: object, *path: str) -> object:
    """Return the value under a path of keys in nested objects; None if a key is missing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def as_list(value: object) -> list[object]:
    """Return a list unchanged, and an empty list for any other value."""
    return value if isinstance(value, list) else []


def clean_text(value: object, *, max_length: int) -> str | None:
    """Return stripped text; None if it is empty, too long, or not storable in every database."""
    if not isinstance(value, str):
        return None
    stripped = value.strip()
    if not 0 < len(stripped) <= max_length:
        return None
    # Some databases refuse control characters (Cc) and lone surrogates (Cs).
    return None if any(unicodedata.category(c) in ("Cc", "Cs") for c in stripped) else stripped


def to_printable(value: object, *, max_length: int = 80) -> str:
    """Return the start of `str(value)` on one line, safe to store and to print."""
    # The text of nested lists may be long, and may exceed the recursion limit.
    text = reprlib.repr(value) if isinstance(value, list | dict) else str(value)
    cleaned = text[: max_length + 1]
    cleaned = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cleaned)
    return cleaned if len(cleaned) <= max_length else f"{cleaned[: max_length - 1]}…"


def parse_non_negative(value: object) -> float | None:
    """Return a finite number of at least zero; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    # abs() because databases drop the sign of -0.0, and memory would not.
    return abs(number) if math.isfinite(number) and number >= 0 else None


def parse_unix_time(value: object) -> datetime | None:
    """Return the UTC instant of a number of seconds since 1970; None for any other value."""
    seconds = parse_non_negative(value)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def parse_date(value: object) -> datetime | None:
    """Return midnight UTC of a date such as 2026-09-29; None for any other value."""
    if not isinstance(value, str) or len(value) > len("2026-09-29"):
        return None
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
