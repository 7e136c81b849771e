"""Opening what is served, however long its database stays away, and telling how that goes."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count

from graphql_api.errors import CountriesError, DatabaseUnavailable

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
"""Seconds between two tries; a pause is half of it at least, and chance decides about the rest, so
that servers which lost the same database do not come back to it together."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """It cannot be opened yet, for a reason that time may heal."""

    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """There is data to serve."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot be opened, and waiting would not help."""

    error: Exception


Event = Waiting | Opened | Failed
Tell = Callable[[Event], None]


async def open_patiently(
    attempt: Callable[[], Awaitable[None]],
    tell: Tell,
    *,
    jitter: Callable[[], float] = random.random,
) -> None:
    """Attempt until it succeeds; tell each reason to wait once, as long as it is the same.

    `jitter` returns a number from 0 to 1.

    Raises:
        DatabaseUnavailable: only a person can do something about it.
    """
    reason = None
    for number in count():
        try:
            await attempt()
        except CountriesError as error:
            if isinstance(error, DatabaseUnavailable) and error.lasting:
                raise
            if str(error) != reason:
                reason = str(error)
                tell(Waiting(reason))
        else:
            return
        await asyncio.sleep(pause(number, jitter()))


def pause(number: int, jitter: float) -> float:
    """Return for how many seconds to wait after try `number`, counted from 0."""
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * (1 << min(number, 10)))
    return longest * (1 + jitter) / 2
