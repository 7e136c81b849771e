"""Formatting of numbers, times and text."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.utils.formatting import flag_emoji, format_age, format_area, format_rate, format_usd, to_plain_line


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0"),
        (0.4, "$0"),
        (0.6, "$1"),
        (12, "$12"),
        (999.4, "$999"),
        (999.6, "$1.0K"),
        (1000, "$1.0K"),
        (99_940, "$99.9K"),
        (99_960, "$100K"),
        (950_000, "$950K"),
        (999_499, "$999K"),
        (999_501, "$1.0M"),
        (12.4e6, "$12.4M"),
        (847e9, "$847B"),
        (999.4e9, "$999B"),
        (999.95e9, "$1.0T"),
        (1e12, "$1.0T"),
        (3.1e12, "$3.1T"),
        (3.14e15, "$3.1Q"),
        (999e15, "$999Q"),
        (999.6e15, "$1.0e18"),
        (3.14e20, "$3.1e20"),
        (1.7976931348623157e308, "$1.8e308"),
        (5e-324, "$0"),
    ],
)
def test_usd(amount: float, text: str) -> None:
    """The unit leaves at most three digits before the point."""
    assert format_usd(amount) == text


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_usd_is_short(amount: float) -> None:
    """Every amount fits into eight characters."""
    assert len(format_usd(amount)) <= 8


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (0, "just now"),
        (59.9, "just now"),
        (60, "1 minute ago"),
        (119, "1 minute ago"),
        (3599, "59 minutes ago"),
        (3600, "1 hour ago"),
        (86_399, "23 hours ago"),
        (86_400, "1 day ago"),
        (86_400 * 1234.5, "1,234 days ago"),
    ],
)
def test_age(seconds: float, text: str) -> None:
    """An age is in whole minutes, hours or days."""
    assert format_age(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (89_500.0, "89,500.00"),
        (577.3903304, "577.39"),
        (63.98126, "63.9813"),
        (1.0, "1.0000"),
        (0.88022588, "0.8802"),
        (0.000012345, "1.234e-05"),
    ],
)
def test_rate(rate: float, text: str) -> None:
    """A rate has at least four significant digits."""
    assert format_rate(rate) == text


@pytest.mark.parametrize(
    ("area", "text"), [(17_098_242.4, "17,098,242"), (10.6, "11"), (1.95, "1.9"), (0.44, "0.44"), (0.0, "0")]
)
def test_area(area: float, text: str) -> None:
    """A small area has two digits, so that it is not 0."""
    assert format_area(area) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\nlines\u2028three\x0bfour", "two lines three four"),
        ("  a \u200b b\t", "a b"),
        ("\u202egnp\u202c", "gnp"),
        ("Co\u0302te d’Ivoire", "Côte d’Ivoire"),
        ("Z\u0335\u0489x", "Zx"),
        ("\x00\ud800", ""),
    ],
)
def test_plain_line(text: str, line: str) -> None:
    """Line breaks, invisible characters and combining marks are removed."""
    assert to_plain_line(text) == line


def test_flags() -> None:
    """A flag is spelled with the regional indicators of the code."""
    assert (flag_emoji("FR"), flag_emoji("XK")) == ("🇫🇷", "🇽🇰")
