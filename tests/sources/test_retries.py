"""When to ask again: the pauses, what a provider asks for, and when it is enough."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.provider import Unusable
from graphql_api.sources.retries import Passing, Retries, http_date

NOW = datetime(2026, 9, 29, 12, 0, tzinfo=UTC)


def pause(
    retry_after: str | None = None, *, retried: int = 0, left: float = 10, jitter: float = 0.5
) -> float:
    """Return the pause after a failure."""
    retries = Retries(jitter=lambda: jitter, clock=lambda: NOW)
    failure = Passing("it is busy", retry_after=retry_after)
    return retries.pause(failure, retried=retried, left=left)


@pytest.mark.parametrize(
    ("retried", "jitter", "seconds"),
    [(0, 0, 0.125), (0, 0.5, 0.25), (0, 1, 0.375), (1, 0, 0.25), (1, 0.5, 0.5), (1, 1, 0.75)],
)
def test_pauses(retried: int, jitter: float, seconds: float) -> None:
    """The second pause is twice the first, and each is half as much longer or shorter."""
    assert pause(retried=retried, jitter=jitter) == seconds


def test_randomness() -> None:
    """Left to themselves two projects do not ask again at the same moment."""
    failure = Passing("it is busy")
    assert len({Retries().pause(failure, retried=0, left=10) for _ in range(5)}) > 1


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
@pytest.mark.parametrize("retried", [0, 2])
def test_asks_for_too_long(retry_after: str, retried: int) -> None:
    """A pause that is longer than what is left is not made, and the reason says so."""
    with pytest.raises(Unusable) as refused:
        pause(retry_after, retried=retried)
    asked = "9999999999" if retry_after[0] == "9" else "11"
    assert str(refused.value) == (
        f"it is busy, and asks to wait for {asked} s, longer than there is time"
    )


@pytest.mark.parametrize(("retried", "left"), [(2, 10), (3, 10), (0, 0.2), (0, 0), (0, -1)])
def test_enough(retried: int, left: float) -> None:
    """After two retries, or when the time is up before the next, the failure itself is told."""
    with pytest.raises(Passing) as refused:
        pause(retried=retried, left=left)
    assert str(refused.value) == "it is busy"


@given(st.text(), st.integers(0, 3), st.floats(-1, 100), st.floats(0, 1))
def test_any_header(retry_after: str, retried: int, left: float, jitter: float) -> None:
    """Whatever the header says, the pause is within what is left, or there is none."""
    try:
        seconds = pause(retry_after, retried=retried, left=left, jitter=jitter)
    except Unusable:
        return
    assert 0 <= seconds <= left


def test_date() -> None:
    """A date of HTTP is an instant in UTC, and other text is none."""
    assert http_date("Tue, 29 Sep 2026 14:00:00 +0200") == NOW
    assert http_date("yesterday") is None


@given(st.text() | st.from_regex(r"\w{3}, \d{1,2} \w{3} \d{1,6} \d\d:\d\d:\d\d \S{0,6}"))
def test_any_date(written: str) -> None:
    """Whatever is written, it is an instant in UTC or none."""
    instant = http_date(written)
    assert instant is None or instant.tzinfo is UTC
