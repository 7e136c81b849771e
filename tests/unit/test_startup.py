"""Opening: it is tried until it succeeds, tells each reason once, and gives up what lasts."""

import asyncio
from collections.abc import Sequence

import pytest

from graphql_api import startup
from graphql_api.errors import CountriesError, DatabaseUnavailable, RefreshInProgress
from graphql_api.startup import StartupEvent, WaitingForDatabase, open_with_retry


async def run_startup(
    monkeypatch: pytest.MonkeyPatch, *failures: CountriesError
) -> tuple[list[StartupEvent], int]:
    """Open what fails so before it succeeds; return what was told, and how often it was tried."""
    monkeypatch.setattr(startup, "_INITIAL_DELAY", 0.0)
    pending, events, attempts = list(failures), list[StartupEvent](), 0

    async def open_database() -> None:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0)
        if pending:
            raise pending.pop(0)

    await open_with_retry(open_database, events.append)
    return events, attempts


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
    events, attempts = await run_startup(monkeypatch, *map(DatabaseUnavailable, failures))
    assert (events, attempts) == (
        [WaitingForDatabase(reason) for reason in reasons],
        len(failures) + 1,
    )


async def test_another_process_is_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process does at the same time is waited for, too."""
    events, attempts = await run_startup(monkeypatch, RefreshInProgress("busy"))
    assert (events, attempts) == ([WaitingForDatabase("busy")], 2)


async def test_what_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only a person can heal is raised at once, whatever it was before."""
    permanent_error = DatabaseUnavailable("password", permanent=True)
    with pytest.raises(DatabaseUnavailable) as exc_info:
        await run_startup(
            monkeypatch, DatabaseUnavailable("a"), permanent_error, DatabaseUnavailable("a")
        )
    assert exc_info.value is permanent_error


async def test_defects_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody raises on purpose is no reason to wait."""
    monkeypatch.setattr(startup, "_INITIAL_DELAY", 0.0)

    async def open_database() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    events: list[StartupEvent] = []
    with pytest.raises(ZeroDivisionError):
        await open_with_retry(open_database, events.append)
    assert events == []
