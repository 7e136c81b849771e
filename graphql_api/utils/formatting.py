"""Numbers, times and text as people read them, in English whatever the locale."""

import unicodedata
from datetime import datetime, timedelta

_UNIT_SUFFIXES = ("", "K", "M", "B", "T", "Q")
_UNIT_FACTOR = 1000
_MIN_THREE_DIGITS = 100
_MIN_WHOLE_AREA = 10
_TIME_UNITS = ((1440, "day"), (60, "hour"), (1, "minute"))
"""Units with their length in minutes, the longest first."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Month names. Those of strftime depend on the locale."""


def format_compact(amount: float) -> str:
    """Return an amount with at most three digits before the point and a unit, e.g. "3.1T"."""
    scaled = amount
    for unit in _UNIT_SUFFIXES:
        decimals = 1 if unit and round(scaled, 1) < _MIN_THREE_DIGITS else 0
        if round(scaled, decimals) < _UNIT_FACTOR:
            return f"{scaled:.{decimals}f}{unit}"
        scaled /= _UNIT_FACTOR
    return f"{amount:.1e}".replace("e+", "e")


def format_usd(amount: float) -> str:
    """Return an amount of US dollars in compact form, e.g. "$3.1T"."""
    return f"${format_compact(amount)}"


def format_rate(rate: float) -> str:
    """Return an exchange rate with at least four significant digits."""
    if rate >= _MIN_THREE_DIGITS:
        return f"{rate:,.2f}"
    return f"{rate:.4f}" if rate >= 1 else f"{rate:.4g}"


def format_area(area: float) -> str:
    """Return an area in whole units, or with two significant digits if it is small."""
    return f"{area:,.0f}" if area >= _MIN_WHOLE_AREA else f"{area:.2g}"


def format_age(age: timedelta) -> str:
    """Return a duration in whole minutes, hours or days, e.g. "3 hours ago"."""
    minutes = max(int(age.total_seconds() // 60), 0)
    for length, unit in _TIME_UNITS:
        if count := minutes // length:
            return f"{count:,} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def format_datetime(value: datetime) -> str:
    """Return a UTC time to the minute, e.g. "24 Nov 2026, 16:26 UTC"."""
    return f"{format_date(value)}, {value:%H:%M} UTC"


def format_date(value: datetime) -> str:
    """Return the date of a UTC time, e.g. "24 Nov 2026"."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def to_plain_line(text: str) -> str:
    """Return `text` on one line, without invisible and combining characters.

    Invisible characters can reverse the text or show as boxes. Combining marks that form no letter
    pile up beyond the line.
    """
    composed = unicodedata.normalize("NFC", text)
    visible = (c for c in composed if c.isspace() or unicodedata.category(c)[0] not in "CM")
    return " ".join("".join(visible).split())


def escape_unprintable(text: str, *, keep: str = "") -> str:
    """Return text with escapes for characters that end a line, control the terminal, reorder text or are invisible.

    The characters of `keep` stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def flag_emoji(code: str) -> str:
    """Return the flag of an alpha-2 code as an emoji."""
    return "".join(chr(ord("🇦") + ord(letter) - ord("A")) for letter in code)
