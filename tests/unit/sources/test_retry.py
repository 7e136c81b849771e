"""The retry policy: delays, Retry-After, and when it stops."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.provider import ProviderError
from graphql_api.sources.retry import RetryableError, RetryPolicy, parse_http_date

NOW = datetime(2026, 9, 29, 12, 0, tzinfo=UTC)


def next_delay(
    retry_after: str | None = None, *, retry_count: int = 0, remaining: float = 10, jitter: float = 1
) -> float:
    """Return the delay before the next retry."""
    retries = RetryPolicy(jitter=lambda: jitter, clock=lambda: NOW)
    failure = RetryableError("it is busy", retry_after=retry_after)
    return retries.next_delay(failure, retry_count=retry_count, remaining=remaining)


@pytest.mark.parametrize(
    ("retry_count", "jitter", "seconds"),
    [(0, 0, 0.125), (0, 0.5, 0.1875), (0, 1, 0.25), (1, 0, 0.25), (1, 0.5, 0.375), (1, 1, 0.5)],
)
def test_delays(retry_count: int, jitter: float, seconds: float) -> None:
    """The second delay is twice the first, and jitter shortens each by up to a half."""
    assert next_delay(retry_count=retry_count, jitter=jitter) == seconds


def test_randomness() -> None:
    """By default the delays are random, so that servers do not retry together."""
    failure = RetryableError("it is busy")
    assert len({RetryPolicy().next_delay(failure, retry_count=0, remaining=10) for _ in range(5)}) > 1


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        ("0", 0.25),
        ("Tue, 29 Sep 2026 12:00:07 GMT", 7),
        ("Tue, 29 Sep 2026 11:59:00 GMT", 0.25),
        ("soon", 0.25),
        ("-7", 0.25),
        ("1.5", 0.25),
        ("", 0.25),
        ("٧", 0.25),
    ],
)
def test_retry_after(retry_after: str, seconds: float) -> None:
    """A valid Retry-After is kept if it is longer than the policy's own delay."""
    assert next_delay(retry_after) == seconds


@pytest.mark.parametrize("retry_after", ["11", "9999999999", "Tue, 29 Sep 2026 12:00:11 GMT"])
@pytest.mark.parametrize("retry_count", [0, 2])
def test_retry_after_is_too_long(retry_after: str, retry_count: int) -> None:
    """A Retry-After longer than the time left ends the retries, and the reason has both."""
    with pytest.raises(ProviderError) as exc_info:
        next_delay(retry_after, retry_count=retry_count)
    seconds = "9999999999" if retry_after[0] == "9" else "11"
    assert str(exc_info.value) == (f"it is busy and requested a delay of {seconds} s, longer than the time left")


@pytest.mark.parametrize(("retry_count", "remaining"), [(2, 10), (3, 10), (0, 0.2), (0, 0), (0, -1)])
def test_no_retry_left(retry_count: int, remaining: float) -> None:
    """After two retries, or without time for the next, the failure itself is raised."""
    with pytest.raises(RetryableError) as exc_info:
        next_delay(retry_count=retry_count, remaining=remaining)
    assert str(exc_info.value) == "it is busy"


@given(st.text(), st.integers(0, 3), st.floats(-1, 100), st.floats(0, 1))
def test_any_header(retry_after: str, retry_count: int, remaining: float, jitter: float) -> None:
    """With any header, the delay fits the time left, or there is no retry."""
    try:
        seconds = next_delay(retry_after, retry_count=retry_count, remaining=remaining, jitter=jitter)
    except ProviderError:
        return
    assert 0 <= seconds <= remaining


def test_date() -> None:
    """An HTTP date becomes an instant in UTC, and other text None."""
    assert parse_http_date("Tue, 29 Sep 2026 14:00:00 +0200") == NOW
    assert parse_http_date("yesterday") is None


@given(st.text() | st.from_regex(r"\w{3}, \d{1,2} \w{3} \d{1,6} \d\d:\d\d:\d\d \S{0,6}"))
def test_any_date(text: str) -> None:
    """Any text becomes an instant in UTC or None."""
    instant = parse_http_date(text)
    assert instant is None or instant.tzinfo is UTC
