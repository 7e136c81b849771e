"""Reading values that somebody else wrote: every function takes anything and never surprises."""

import json
import math
import unicodedata
from datetime import UTC, datetime
from typing import Any

from graphql_api.sources.provider import Unusable

MAX_TEXT = 200
"""Characters that the text columns of the database hold."""


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that `body` is, in UTF-8.

    Raises:
        Unusable: it is anything else.
    """
    try:
        content = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise Unusable("the body is not JSON") from None
    if not isinstance(content, dict):
        raise Unusable("the body is not a JSON object")
    return content


def text(value: object) -> str | None:
    """Return stripped text, or None for what is not text or cannot be stored as it is."""
    if not isinstance(value, str):
        return None
    stripped = value.strip()
    # Control characters and halves of surrogate pairs: some databases refuse them.
    storable = not any(unicodedata.category(c) in ("Cc", "Cs") for c in stripped)
    return stripped if 0 < len(stripped) <= MAX_TEXT and storable else None


def printable(value: object, *, at_most: int = 80) -> str:
    """Return a few characters that show what `value` is, safe to store and to print."""
    shown = str(value)[: at_most + 1]
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    return shown if len(shown) <= at_most else f"{shown[: at_most - 1]}…"


def positive(value: object) -> float | None:
    """Return a finite number above zero, or None for anything else."""
    return non_negative(value) or None


def non_negative(value: object) -> float | None:
    """Return a finite number from zero, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    # Without the sign of -0.0, which databases drop.
    return abs(number) if math.isfinite(number) and number >= 0 else None


def instant_of_unix(value: object) -> datetime | None:
    """Return the instant that a count of seconds since 1970 names, or None."""
    seconds = non_negative(value)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def instant_of_date(value: object) -> datetime | None:
    """Return the first instant, in UTC, of a date such as 2026-09-29, or None."""
    try:
        return datetime.strptime(str(value), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
