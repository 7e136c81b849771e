"""Opening what is served, however long its database stays away, and telling how that goes."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count

from graphql_api.errors import CountriesError, DatabaseUnavailable

_INITIAL_DELAY = 0.1
_MAX_DELAY = 5.0
"""Seconds between two tries; a pause is half of it at least, and chance decides about the rest, so
that servers which lost the same database do not come back to it together."""


@dataclass(frozen=True, slots=True)
class WaitingForDatabase:
    """It cannot be opened yet, for a reason that time may heal."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """There is data to serve."""


@dataclass(frozen=True, slots=True)
class StartupFailed:
    """It cannot be opened, and waiting would not help."""

    error: Exception


StartupEvent = WaitingForDatabase | Ready | StartupFailed
StartupListener = Callable[[StartupEvent], None]


async def open_with_retry(
    open_database: Callable[[], Awaitable[None]],
    on_event: StartupListener,
    *,
    jitter: Callable[[], float] = random.random,
) -> None:
    """Attempt until it succeeds; tell each reason to wait once, as long as it is the same.

    `jitter` returns a number from 0 to 1.

    Raises:
        DatabaseUnavailable: only a person can do something about it.
    """
    reason = None
    for attempt_number in count():
        try:
            await open_database()
        except CountriesError as error:
            if isinstance(error, DatabaseUnavailable) and error.permanent:
                raise
            if str(error) != reason:
                reason = str(error)
                on_event(WaitingForDatabase(reason))
        else:
            return
        await asyncio.sleep(compute_backoff(attempt_number, jitter()))


def compute_backoff(attempt_number: int, jitter: float) -> float:
    """Return for how many seconds to wait after try `number`, counted from 0."""
    max_delay = min(_MAX_DELAY, _INITIAL_DELAY * (1 << min(attempt_number, 10)))
    return max_delay * (1 + jitter) / 2
