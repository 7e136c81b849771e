"""Exponential backoff with jitter."""

import math

_MAX_DOUBLINGS = 30
"""Keeps the power of two small however many attempts there were."""


def backoff_delay(attempt: int, *, initial: float, maximum: float = math.inf, jitter: float) -> float:
    """Return the seconds to wait after failed attempt number `attempt`, counted from 0.

    The upper bound starts at `initial` seconds, doubles with each attempt and never exceeds
    `maximum` seconds. `jitter`, a random number from 0 to 1, picks a delay between half of the
    bound and all of it, so that clients that failed together do not retry together.
    """
    bound = min(maximum, initial * (1 << min(attempt, _MAX_DOUBLINGS)))
    return bound * (1 + jitter) / 2
