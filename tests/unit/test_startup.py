"""Start-up retries until the database opens, emits each reason once, and gives up if permanent."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from graphql_api import startup
from graphql_api.errors import CountriesError, DatabaseUnavailable, RefreshInProgress
from graphql_api.startup import StartupEvent, WaitingForDatabase, open_with_retry


async def run_startup(monkeypatch: pytest.MonkeyPatch, *failures: CountriesError) -> tuple[list[StartupEvent], int]:
    """Open what raises `failures` before it succeeds; return the events and the attempts."""
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
    ("failures", "reasons"), [((), []), (("a", "a", "a"), ["a"]), (("a", "a", "b", "b", "a"), ["a", "b", "a"])]
)
async def test_reasons_are_emitted_once(
    monkeypatch: pytest.MonkeyPatch, failures: Sequence[str], reasons: list[str]
) -> None:
    """Start-up emits a reason to wait when it changes, however many attempts fail for it."""
    events, attempts = await run_startup(monkeypatch, *map(DatabaseUnavailable, failures))
    assert (events, attempts) == ([WaitingForDatabase(reason) for reason in reasons], len(failures) + 1)


async def test_other_process_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start-up waits for another process that fills the database."""
    events, attempts = await run_startup(monkeypatch, RefreshInProgress("busy"))
    assert (events, attempts) == ([WaitingForDatabase("busy")], 2)


async def test_permanent_failure_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A permanent failure is raised at once, also after transient ones."""
    permanent_error = DatabaseUnavailable("password", permanent=True)
    with pytest.raises(DatabaseUnavailable) as exc_info:
        await run_startup(monkeypatch, DatabaseUnavailable("a"), permanent_error, DatabaseUnavailable("a"))
    assert exc_info.value is permanent_error


async def test_defect_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that is not the project's own is raised, not retried."""
    monkeypatch.setattr(startup, "_INITIAL_DELAY", 0.0)

    async def open_database() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    events: list[StartupEvent] = []
    with pytest.raises(ZeroDivisionError):
        await open_with_retry(open_database, events.append)
    assert events == []


@pytest.mark.parametrize(
    ("jitter", "delays"), [(1, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]), (0, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.5, 2.5])]
)
async def test_delays(monkeypatch: pytest.MonkeyPatch, jitter: float, delays: list[float]) -> None:
    """Delays double from 0.1 s to 5 s, and jitter takes away at most half."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def open_database() -> None:
        if len(slept) < len(delays):
            raise DatabaseUnavailable("away")

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(random, "random", lambda: jitter)
    await open_with_retry(open_database, lambda _: None)
    assert slept == delays
