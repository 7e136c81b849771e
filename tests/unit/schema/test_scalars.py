"""DateTime: round trips are exact, and only RFC 3339 is accepted."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.schema.scalars import format_instant, parse_instant
from tests.support.factories import few_examples

NOT_RFC_3339 = "^DateTime must be RFC 3339 with an offset, e.g. 2026-11-23T16:26:00Z$"
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timedelta(minutes=minutes))
INSTANTS = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis wants naive bounds
    max_value=datetime(9998, 12, 31),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=OFFSETS.map(timezone),
)


@few_examples
@given(instant=INSTANTS)
def test_round_trip(instant: datetime) -> None:
    """An instant in any zone is formatted in UTC and parsed back unchanged."""
    text = format_instant(instant)
    assert text.endswith("Z")
    assert parse_instant(text) == instant
    assert parse_instant(text).tzinfo is UTC
    assert format_instant(parse_instant(text)) == text


@few_examples
@given(instant=INSTANTS)
def test_any_offset_is_read(instant: datetime) -> None:
    """An instant with its own offset is parsed unchanged."""
    assert parse_instant(instant.isoformat()) == instant


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2026, 11, 23, 16, 26, tzinfo=UTC), "2026-11-23T16:26:00Z"),
        (datetime(2026, 11, 23, 16, 26, 0, 123456, tzinfo=UTC), "2026-11-23T16:26:00.123456Z"),
        (datetime(2026, 11, 23, 16, 26, 0, 120000, tzinfo=UTC), "2026-11-23T16:26:00.120000Z"),
        (datetime(2026, 11, 23, 1, 0, tzinfo=timezone(timedelta(hours=3))), "2026-11-22T22:00:00Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_output(instant: datetime, text: str) -> None:
    """An instant is formatted in UTC with Z, and with microseconds unless they are 0."""
    assert format_instant(instant) == text


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-11-23T16:26:00Z", 0),
        ("2026-11-23t16:26:00z", 0),
        ("2026-11-23T16:26:00+00:00", 0),
        ("2026-11-23T16:26:00-00:00", 0),
        ("2026-11-23T18:56:00+02:30", 0),
        ("2026-11-22T16:27:00-23:59", 0),
        ("2026-11-23T16:26:00.5Z", 500_000),
        ("2026-11-23T16:26:00.123456Z", 123_456),
        ("2026-11-23T16:26:00.123456999Z", 123_456),
    ],
)
def test_input(text: str, microsecond: int) -> None:
    """RFC 3339 is parsed in either case, with any offset and fraction that it allows."""
    assert parse_instant(text) == datetime(2026, 11, 23, 16, 26, 0, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "2026-11-23",
        "2026-11-23T16:26Z",
        "2026-11-23T16:26:00",
        "2026-11-23 16:26:00Z",
        "20261123T162600Z",
        "2026-W48-1T16:26:00Z",
        "2026-11-23T16:26:00+02",
        "2026-11-23T16:26:00+0200",
        "2026-11-23T16:26:00.Z",
        "2026-11-23T16:26:00,5Z",
        "2026-11-23T16:26:00.1234567890Z",
        "2026-11-23T16:26:00Z\n",
        " 2026-11-23T16:26:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-11-23T25:00:00Z",
        "2026-11-23T16:26:00+24:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "٢٠٢٦-11-23T16:26:00Z",
        1_795_451_160,
        1.5,
        True,
        None,
        ["2026-11-23T16:26:00Z"],
        datetime(2026, 11, 23, tzinfo=UTC),
    ],
)
def test_rejected(value: object) -> None:
    """Any other value is rejected, and the message says what is valid."""
    with pytest.raises(ValueError, match=NOT_RFC_3339):
        parse_instant(value)


@few_examples
@given(text=st.text() | st.from_regex(r"[0-9TtZz:.+-]{15,40}", fullmatch=True))
def test_any_text(text: str) -> None:
    """Any text is parsed or rejected with ValueError."""
    try:
        instant = parse_instant(text)
    except ValueError as error:
        assert str(error) == NOT_RFC_3339[1:-1]  # noqa: PT017 - some texts are valid
    else:
        assert parse_instant(format_instant(instant)) == instant
