"""Refreshing by itself, every so often, on one replica at a time."""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import datetime

from graphql_api.catalog import Catalog
from graphql_api.domain.report import Trigger
from graphql_api.errors import CountriesError, RefreshInProgress, RefreshTooSoon
from graphql_api.refresh.pipeline import RefreshOptions
from graphql_api.refresh.service import RefreshService

logger = logging.getLogger(__name__)

_MAX_JITTER_SHARE = 0.1
"""Share of the interval by which a pause is longer at most, so that replicas do not race."""
_MIN_DELAY_SHARE = 0.1
"""Share of the interval that a pause takes at least, as when another replica is at it."""
_DUE_SHARE = 0.9
"""Share of the interval after which data is old enough to be refreshed."""
_MAX_BACKOFF = 3600
"""Seconds beyond which failures do not lengthen a pause."""


async def refresh_periodically(
    service: RefreshService,
    catalog: Catalog,
    *,
    refresh_interval: float,
    clock: Callable[[], datetime],
    jitter: Callable[[], float] = random.random,
) -> None:
    """Refresh for ever, about `interval` seconds after whoever did it last; log what fails.

    `jitter` returns a number from 0 to 1.
    """
    failures = 0
    while True:
        await asyncio.sleep(
            compute_delay(
                refresh_interval, age=_age(catalog, clock()), failures=failures, jitter=jitter()
            )
        )
        age = _age(catalog, clock())
        if age is not None and age < refresh_interval * _DUE_SHARE:
            failures = 0
            continue  # another replica has just done it
        try:
            await service.refresh(RefreshOptions(trigger=Trigger.SCHEDULE, wait=False))
        except (RefreshInProgress, RefreshTooSoon):
            pass  # somebody else does it, or has done it
        except CountriesError:
            failures += 1  # the service has logged it
        except Exception:
            logger.exception("An automatic refresh broke off.")
            failures += 1
        else:
            failures = 0


def compute_delay(
    refresh_interval: float, *, age: float | None, failures: int, jitter: float
) -> float:
    """Return for how many seconds to sleep.

    `age` is how many seconds ago data was refreshed last, None if it never was. After failures in
    a row the pause doubles with each, up to an hour; an interval that is longer stays as it is.
    """
    extra_delay = refresh_interval * _MAX_JITTER_SHARE * jitter
    if failures:
        return (
            min(refresh_interval * (1 << min(failures, 20)), max(refresh_interval, _MAX_BACKOFF))
            + extra_delay
        )
    return (
        max(
            refresh_interval - (refresh_interval if age is None else age),
            refresh_interval * _MIN_DELAY_SHARE,
        )
        + extra_delay
    )


def _age(catalog: Catalog, now: datetime) -> float | None:
    """Return the seconds since the last refresh; a clock that was set back makes them 0."""
    last_refresh = catalog.last_refresh
    return (
        None if last_refresh is None else max((now - last_refresh.finished_at).total_seconds(), 0)
    )
