"""Opening what is served, however long its database stays away, and telling how that goes."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

from starlette.types import ASGIApp

from graphql_api.components import Components, utc_now
from graphql_api.domain.report import Trigger
from graphql_api.errors import CountriesError, DatabaseUnavailable
from graphql_api.refresh import lease_session
from graphql_api.refresh.pipeline import RefreshOptions
from graphql_api.refresh.remote import RemoteRefreshWatcher
from graphql_api.refresh.scheduler import refresh_periodically
from graphql_api.settings import Settings
from graphql_api.utils.lazy import Lazy
from graphql_api.utils.tasks import cancel_all

_INITIAL_DELAY = 0.1
_MAX_DELAY = 5.0
"""Seconds between two tries; a pause is half of it at least, and chance decides about the rest, so
that servers which lost the same database do not come back to it together."""


logger = logging.getLogger(__name__)

_STARTUP_POLL_INTERVAL = 0.05
"""Seconds after which an application that starts looks whether it is to stop."""
_SHUTDOWN_TIMEOUT = 4.0
"""Seconds for the tail of a refresh, and for closing connections, when the server stops."""


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


@asynccontextmanager
async def run_app(
    components: Components,
    settings: Settings,
    on_event: StartupListener,
    site: Lazy[ASGIApp],
    *,
    should_wait: Callable[[], bool],
) -> AsyncIterator[None]:
    """Open the parts, and have them do what they do by themselves; wait for it while it `waits`."""
    background_tasks: set[asyncio.Task[None]] = set()
    background_tasks.add(asyncio.create_task(components.sampler.run_forever()))
    startup_task = asyncio.create_task(
        _start_background_tasks(components, settings, on_event, site, background_tasks)
    )
    background_tasks.add(startup_task)
    while should_wait() and not startup_task.done():
        await asyncio.wait([startup_task], timeout=_STARTUP_POLL_INTERVAL)
    try:
        yield
    finally:
        await cancel_all(background_tasks)
        await _close(components)


async def _start_background_tasks(
    components: Components,
    settings: Settings,
    on_event: StartupListener,
    site: Lazy[ASGIApp],
    background_tasks: set[asyncio.Task[None]],
) -> None:
    """Open the database, however long it takes, and begin what runs as long as the server does."""
    try:
        await open_with_retry(components.open_and_seed, on_event)
    except Exception as error:  # noqa: BLE001 - whoever is told raises it where it is seen
        on_event(StartupFailed(error))
        return
    on_event(Ready())
    watcher = RemoteRefreshWatcher(
        components.refresh_service.progress,
        database=components.database,
        catalog=components.catalog,
        holder=components.refresh_service.holder,
        clock=utc_now,
    )
    coroutines = [
        components.catalog.poll(settings.snapshot_poll),
        watcher.run(settings.snapshot_poll),
        _warm_up_and_refresh(components, settings, site),
    ]
    if settings.refresh_interval:
        coroutines.append(
            refresh_periodically(
                components.refresh_service,
                components.catalog,
                refresh_interval=settings.refresh_interval,
                clock=utc_now,
            )
        )
    background_tasks.update(map(asyncio.create_task, coroutines))


async def _close(components: Components) -> None:
    """Close the parts, as long as the database does not keep them from it."""
    close_task = asyncio.create_task(components.close())
    await asyncio.wait([close_task], timeout=_SHUTDOWN_TIMEOUT)
    if not close_task.done():
        logger.warning("The database does not answer; leaving without taking leave of it.")
    await cancel_all([close_task])


async def _warm_up_and_refresh(
    components: Components, settings: Settings, site: Lazy[ASGIApp]
) -> None:
    """Make what was left for later, then try a refresh if what is served is stale or bundled."""
    with suppress(DatabaseUnavailable):  # who polls tells of it
        await components.database.warm_pool(
            lease_session.WARM_CONNECTIONS, lease_session.prepare_statements
        )
    await site.get()
    await components.http_client.get()
    stale_after = timedelta(seconds=settings.stale_after)
    if components.catalog.snapshot.is_stale(now=utc_now(), stale_after=stale_after):
        with suppress(CountriesError):  # the service logs it, and what is served stays
            await components.refresh_service.refresh(RefreshOptions(trigger=Trigger.START))
