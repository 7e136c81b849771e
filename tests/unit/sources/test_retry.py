"""When to ask again: the pauses, what a provider asks for, and when it is enough."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.provider import ProviderError
from graphql_api.sources.retry import RetryableError, RetryPolicy, parse_http_date

NOW = datetime(2026, 9, 29, 12, 0, tzinfo=UTC)


def pause(
    retry_after: str | None = None,
    *,
    retry_count: int = 0,
    remaining: float = 10,
    jitter: float = 1,
) -> float:
    """Return the pause after a failure."""
    retries = RetryPolicy(jitter=lambda: jitter, clock=lambda: NOW)
    failure = RetryableError("it is busy", retry_after=retry_after)
    return retries.next_delay(failure, retry_count=retry_count, remaining=remaining)


@pytest.mark.parametrize(
    ("retry_count", "jitter", "seconds"),
    [(0, 0, 0.125), (0, 0.5, 0.1875), (0, 1, 0.25), (1, 0, 0.25), (1, 0.5, 0.375), (1, 1, 0.5)],
)
def test_pauses(retry_count: int, jitter: float, seconds: float) -> None:
    """The second pause is twice the first, and each is half as much longer or shorter."""
    assert pause(retry_count=retry_count, jitter=jitter) == seconds


def test_randomness() -> None:
    """Left to themselves two projects do not ask again at the same moment."""
    failure = RetryableError("it is busy")
    assert (
        len({RetryPolicy().next_delay(failure, retry_count=0, remaining=10) for _ in range(5)}) > 1
    )


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
    """What a provider asks for is waited when it can be read and is more than the pause."""
    assert pause(retry_after) == seconds


@pytest.mark.parametrize("retry_after", ["11", "9999999999", "Tue, 29 Sep 2026 12:00:11 GMT"])
@pytest.mark.parametrize("retry_count", [0, 2])
def test_asks_for_too_long(retry_after: str, retry_count: int) -> None:
    """A pause that is longer than what is left is not made, and the reason says so."""
    with pytest.raises(ProviderError) as exc_info:
        pause(retry_after, retry_count=retry_count)
    seconds = "9999999999" if retry_after[0] == "9" else "11"
    assert str(exc_info.value) == (
        f"it is busy and requested a delay of {seconds} s, longer than the time left"
    )


@pytest.mark.parametrize(
    ("retry_count", "remaining"), [(2, 10), (3, 10), (0, 0.2), (0, 0), (0, -1)]
)
def test_enough(retry_count: int, remaining: float) -> None:
    """After two retries, or when the time is up before the next, the failure itself is told."""
    with pytest.raises(RetryableError) as exc_info:
        pause(retry_count=retry_count, remaining=remaining)
    assert str(exc_info.value) == "it is busy"


@given(st.text(), st.integers(0, 3), st.floats(-1, 100), st.floats(0, 1))
def test_any_header(retry_after: str, retry_count: int, remaining: float, jitter: float) -> None:
    """Whatever the header says, the pause is within what is left, or there is none."""
    try:
        seconds = pause(retry_after, retry_count=retry_count, remaining=remaining, jitter=jitter)
    except ProviderError:
        return
    assert 0 <= seconds <= remaining


def test_date() -> None:
    """A date of HTTP is an instant in UTC, and other text is none."""
    assert parse_http_date("Tue, 29 Sep 2026 14:00:00 +0200") == NOW
    assert parse_http_date("yesterday") is None


@given(st.text() | st.from_regex(r"\w{3}, \d{1,2} \w{3} \d{1,6} \d\d:\d\d:\d\d \S{0,6}"))
def test_any_date(text: str) -> None:
    """Whatever is written, it is an instant in UTC or none."""
    instant = parse_http_date(text)
    assert instant is None or instant.tzinfo is UTC
