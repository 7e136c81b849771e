"""Reading values that somebody else wrote: every function takes anything and never surprises."""

import json
import math
import unicodedata
from datetime import UTC, datetime
from typing import Any

from graphql_api.sources.provider import ProviderError

MAX_TEXT_LENGTH = 200
"""Characters that the text columns of the database hold."""

_MAX_MESSAGE_LENGTH = 150
"""Characters of what a service says instead of an answer."""


def decode_utf8(body: bytes) -> str:
    """Return the text that `body` is, without the mark that some editors begin it with.

    Raises:
        Unusable: it is not UTF-8.
    """
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProviderError("the body is not UTF-8 text") from None


def parse_json(body: bytes) -> object:
    """Return what `body` says in JSON, in UTF-8.

    Raises:
        Unusable: it is not JSON, or the answer of a service that says it has none.
    """
    decoded = decode_utf8(body)
    try:
        content: object = json.loads(decoded)
    except (ValueError, RecursionError):
        raise ProviderError("the body is not JSON") from None
    _reject_error_payload(content)
    return content


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that `body` is, in UTF-8.

    Raises:
        Unusable: it is anything else, or the answer of a service that says it has none.
    """
    content = parse_json(body)
    if not isinstance(content, dict):
        raise ProviderError("the body is not a JSON object")
    return content


def _reject_error_payload(content: object) -> None:
    """Refuse an object that is an error, whatever the status that it came with."""
    if not isinstance(content, dict):
        return
    candidates = [
        *(get_nested(error, "message") for error in as_list(content.get("errors"))),
        get_nested(content, "error", "message"),
        content.get("error"),
        content.get("message"),
    ]
    messages = [message for message in candidates if isinstance(message, str) and message.strip()]
    if messages or content.get("success") is False:
        message = messages[0].strip() if messages else "unnamed"
        message = to_printable(message, max_length=_MAX_MESSAGE_LENGTH)
        raise ProviderError(f"it answered an error: {message}")


def get_nested(value: object, *path: str) -> object:
    """Return what objects within objects hold under these names; None where there is no such."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def as_list(value: object) -> list[object]:
    """Return a list as it is, and an empty one for anything else."""
    return value if isinstance(value, list) else []


def clean_text(value: object) -> str | None:
    """Return stripped text, or None for what is not text or cannot be stored as it is."""
    if not isinstance(value, str):
        return None
    stripped = value.strip()
    # Control characters and halves of surrogate pairs: some databases refuse them.
    is_storable = not any(unicodedata.category(c) in ("Cc", "Cs") for c in stripped)
    return stripped if 0 < len(stripped) <= MAX_TEXT_LENGTH and is_storable else None


def to_printable(value: object, *, max_length: int = 80) -> str:
    """Return a few characters that show what `value` is, safe to store and to print."""
    cleaned = str(value)[: max_length + 1]
    cleaned = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cleaned)
    return cleaned if len(cleaned) <= max_length else f"{cleaned[: max_length - 1]}…"


def parse_positive(value: object) -> float | None:
    """Return a finite number above zero, or None for anything else."""
    return parse_non_negative(value) or None


def parse_non_negative(value: object) -> float | None:
    """Return a finite number from zero, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    # Without the sign of -0.0, which databases drop.
    return abs(number) if math.isfinite(number) and number >= 0 else None


def parse_unix_time(value: object) -> datetime | None:
    """Return the instant that a count of seconds since 1970 names, or None."""
    seconds = parse_non_negative(value)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def parse_date(value: object) -> datetime | None:
    """Return the first instant, in UTC, of a date such as 2026-09-29, or None."""
    try:
        return datetime.strptime(str(value), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
