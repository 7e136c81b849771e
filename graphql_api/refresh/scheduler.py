"""Automatic refreshes, on one replica at a time."""

import asyncio
import logging
import math
import random
from collections.abc import Callable
from datetime import datetime

from graphql_api.catalog import Catalog
from graphql_api.domain.report import RefreshReport, Trigger
from graphql_api.errors import CountriesError, RefreshInProgress, RefreshTooSoon
from graphql_api.refresh.pipeline import RefreshOptions
from graphql_api.refresh.service import RefreshService
from graphql_api.utils.backoff import backoff_delay

logger = logging.getLogger(__name__)

_MAX_JITTER_SHARE = 0.1
"""Share of the interval added to a delay at most, so that replicas do not race."""
_MIN_DELAY_SHARE = 0.1
"""Share of the interval that a delay lasts at least, as while another replica refreshes."""
_DUE_SHARE = 0.9
"""Share of the interval after which data is old enough to be refreshed."""
_MAX_BACKOFF = 3600
"""Seconds up to which failures extend a delay."""


async def refresh_periodically(
    service: RefreshService,
    catalog: Catalog,
    *,
    refresh_interval: float,
    clock: Callable[[], datetime],
    jitter: Callable[[], float] = random.random,
) -> None:
    """Refresh about `refresh_interval` seconds after the last refresh of any replica.

    Runs until cancelled, and logs failures. `jitter` returns a number from 0 to 1.
    """
    failures = 0
    while True:
        age = _data_age(catalog, clock(), refresh_interval)
        await asyncio.sleep(compute_delay(refresh_interval, age=age, failures=failures, jitter=jitter()))
        if _data_age(catalog, clock(), refresh_interval) < refresh_interval * _DUE_SHARE:
            failures = 0
            continue  # another replica has refreshed meanwhile
        try:
            await service.refresh(RefreshOptions(trigger=Trigger.SCHEDULE, wait=False))
        except (RefreshInProgress, RefreshTooSoon):
            pass  # another replica refreshes, or has just done so
        except CountriesError:
            failures += 1  # the service has logged it
        except Exception:
            logger.exception("An automatic refresh was aborted by an internal error.")
            failures += 1
        else:
            failures = 0


def compute_delay(refresh_interval: float, *, age: float, failures: int, jitter: float) -> float:
    """Return the seconds until the next refresh.

    `age` is the number of seconds since the last one, infinite if there was none. Each consecutive
    failure doubles the delay, up to an hour or the interval, whichever is longer.
    """
    if failures:
        maximum = max(refresh_interval, _MAX_BACKOFF)
        # The whole bound, since jitter is added below.
        delay = backoff_delay(failures, initial=refresh_interval, maximum=maximum, jitter=1)
    else:
        delay = max(refresh_interval - age, refresh_interval * _MIN_DELAY_SHARE)
    return delay + refresh_interval * _MAX_JITTER_SHARE * jitter


def _data_age(catalog: Catalog, now: datetime, refresh_interval: float) -> float:
    """Return the seconds since the last refresh; 0 if it is dated ahead of this clock.

    One that is dated further ahead than `refresh_interval` does not count: a wrong clock must not stop all replicas.
    """
    reports = (attempt for attempt in catalog.history if isinstance(attempt, RefreshReport))
    ages = ((now - report.finished_at).total_seconds() for report in reports)
    return max(min((age for age in ages if age > -refresh_interval), default=math.inf), 0)
