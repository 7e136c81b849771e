"""Custom scalars."""

import re
from datetime import UTC, datetime

import strawberry

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def format_instant(instant: datetime) -> str:
    """Return RFC 3339 in UTC, with microseconds unless they are 0."""
    return instant.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def parse_instant(value: object) -> datetime:
    """Parse RFC 3339 with an offset, and convert it to UTC.

    Raises:
        ValueError: The value is anything else.
    """
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError("DateTime must be RFC 3339 with an offset, e.g. 2026-11-23T16:26:00Z")


DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="An instant in RFC 3339, e.g. 2026-11-23T16:26:00Z. Results are in UTC; inputs need an offset.",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    serialize=format_instant,
    parse_value=parse_instant,
)
