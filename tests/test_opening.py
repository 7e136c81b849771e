"""Opening: it is tried until it succeeds, tells each reason once, and gives up what lasts."""

import asyncio
from collections.abc import Sequence

import pytest

from graphql_api import opening
from graphql_api.errors import CountriesError, DatabaseUnavailable, RefreshInProgress
from graphql_api.opening import Event, Waiting, open_patiently, pause


async def opened(
    monkeypatch: pytest.MonkeyPatch, *failures: CountriesError
) -> tuple[list[Event], int]:
    """Open what fails so before it succeeds; return what was told, and how often it was tried."""
    monkeypatch.setattr(opening, "_FIRST_PAUSE", 0.0)
    left, told, tries = list(failures), list[Event](), 0

    async def attempt() -> None:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        if left:
            raise left.pop(0)

    await open_patiently(attempt, told.append)
    return told, tries


@pytest.mark.parametrize(
    ("failures", "reasons"),
    [
        ((), []),
        (("a", "a", "a"), ["a"]),
        (("a", "a", "b", "b", "a"), ["a", "b", "a"]),
    ],
)
async def test_told_once_per_change(
    monkeypatch: pytest.MonkeyPatch, failures: Sequence[str], reasons: list[str]
) -> None:
    """A reason is told when it begins to be the one, however often it is tried again."""
    told, tries = await opened(monkeypatch, *map(DatabaseUnavailable, failures))
    assert (told, tries) == ([Waiting(reason) for reason in reasons], len(failures) + 1)


async def test_another_process_is_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process does at the same time is waited for, too."""
    told, tries = await opened(monkeypatch, RefreshInProgress("busy"))
    assert (told, tries) == ([Waiting("busy")], 2)


async def test_what_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only a person can heal is raised at once, whatever it was before."""
    lasting = DatabaseUnavailable("password", lasting=True)
    with pytest.raises(DatabaseUnavailable) as caught:
        await opened(monkeypatch, DatabaseUnavailable("a"), lasting, DatabaseUnavailable("a"))
    assert caught.value is lasting


async def test_defects_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody raises on purpose is no reason to wait."""
    monkeypatch.setattr(opening, "_FIRST_PAUSE", 0.0)

    async def attempt() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    told: list[Event] = []
    with pytest.raises(ZeroDivisionError):
        await open_patiently(attempt, told.append)
    assert told == []


def test_pauses() -> None:
    """Pauses double from a tenth of a second to five, and chance takes at most half of one away."""
    longest = [pause(number, 1) for number in (0, 1, 2, 3, 4, 5, 6, 10_000)]
    assert longest == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    assert [pause(number, 0) for number in (0, 3, 99)] == [0.05, 0.4, 2.5]
