"""Start-up and shutdown of a server: open the database with retries, run the background tasks."""

import asyncio
import gc
import logging
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from starlette.types import ASGIApp

from graphql_api.components import Components, utc_now
from graphql_api.domain.report import Trigger
from graphql_api.errors import CountriesError, DatabaseUnavailable
from graphql_api.refresh import lease_session
from graphql_api.refresh.pipeline import RefreshOptions
from graphql_api.refresh.remote import RemoteRefreshWatcher
from graphql_api.refresh.scheduler import refresh_periodically
from graphql_api.sources.provider import ProviderError
from graphql_api.utils.backoff import backoff_delay
from graphql_api.utils.lazy import Lazy
from graphql_api.utils.tasks import cancel_all

logger = logging.getLogger(__name__)

_INITIAL_DELAY = 0.1
_MAX_DELAY = 5.0
"""Bounds in seconds of the delay between two attempts to open the database."""
_STARTUP_POLL_INTERVAL = 0.05
"""How often, in seconds, start-up checks for a shutdown request."""
_SETTLE_TIMEOUT = 2.0
"""Seconds to wait for the refresh of a starting server before start-up counts as done."""
_SHUTDOWN_TIMEOUT = 4.0
"""Seconds for the follow-up of a refresh and for closing connections when the server stops."""

_SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that merges or draws lets the event loop continue. Python's 0.005 is what a request then
waits, several times."""
_GC_THRESHOLDS = (700, 10, 100)
"""Python's, but for a tenth of the full collections: each visits the cached documents for 30 ms, and finds next to no
garbage, because documents and responses are not in cycles."""


@dataclass(frozen=True, slots=True)
class WaitingForDatabase:
    """The database cannot be opened yet; start-up retries."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The process has data to serve."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The process is ready, and its first refresh has ended, is not due, or takes long."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """A signal stops the process."""

    signum: int


@dataclass(frozen=True, slots=True)
class StartupFailed:
    """The database cannot be opened, and a retry would not help."""

    error: Exception


StartupEvent = WaitingForDatabase | Ready | Settled | Stopping | StartupFailed
StartupListener = Callable[[StartupEvent], None]


async def open_with_retry(open_database: Callable[[], Awaitable[None]], on_event: StartupListener) -> None:
    """Call `open_database` until it succeeds; emit an event for each new reason to wait.

    Raises:
        DatabaseUnavailable: permanent, so that a retry would not help.
    """
    reason = None
    for attempt in count():
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
        jitter = random.random()  # noqa: S311 - spreads retries; protects nothing
        await asyncio.sleep(backoff_delay(attempt, initial=_INITIAL_DELAY, maximum=_MAX_DELAY, jitter=jitter))


@asynccontextmanager
async def run_app(
    components: Components,
    on_event: StartupListener,
    site: Lazy[ASGIApp],
    *,
    should_wait: Callable[[], bool],
    should_refresh: bool,
) -> AsyncIterator[None]:
    """Open the database in the background, then run the background tasks until the context ends.

    Yields at once; while `should_wait()` is true, only when start-up has succeeded or failed. With `should_refresh`,
    data that is stale or bundled is refreshed.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)
    tasks: set[asyncio.Task[None]] = set()

    async def start() -> None:
        try:
            await open_with_retry(components.open_and_seed, on_event)
        except Exception as error:  # noqa: BLE001 - the listener reports it
            on_event(StartupFailed(error))
        else:
            on_event(Ready())
            tasks.update(map(asyncio.create_task, _background_coroutines(components)))
            tasks.add(asyncio.create_task(warm_up()))

    async def warm_up() -> None:
        await _warm_up(components, site)
        if should_refresh:
            refresh_task = asyncio.create_task(_refresh_if_stale(components))
            tasks.add(refresh_task)
            await asyncio.wait([refresh_task], timeout=_SETTLE_TIMEOUT)
        on_event(Settled())

    startup_task = asyncio.create_task(start())
    tasks.update((startup_task, asyncio.create_task(components.sampler.run_forever())))
    try:
        while should_wait() and not startup_task.done():
            await asyncio.wait([startup_task], timeout=_STARTUP_POLL_INTERVAL)
        yield
    finally:
        await cancel_all(tasks)
        await _close(components)


def _background_coroutines(components: Components) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield what runs beside the requests once there is data to serve."""
    service, catalog = components.refresh_service, components.catalog
    snapshot_poll = components.settings.snapshot_poll
    refresh_interval = components.settings.effective_refresh_interval
    watcher = RemoteRefreshWatcher(
        service.progress, database=components.database, catalog=catalog, holder=service.holder, clock=utc_now
    )
    yield catalog.poll(snapshot_poll, components.open)
    yield watcher.run(snapshot_poll)
    if refresh_interval:
        yield refresh_periodically(service, catalog, refresh_interval=refresh_interval, clock=utc_now)


async def _warm_up(components: Components, site: Lazy[ASGIApp]) -> None:
    """Warm the pool, and build what is lazy."""
    with suppress(DatabaseUnavailable):  # the poll logs it
        connections, prepare = lease_session.WARM_CONNECTIONS, lease_session.prepare_statements
        await components.database.warm_pool(connections, prepare)
    await site.get()
    with suppress(ProviderError):  # a refresh reports it
        await components.http_client.get()
    if gc.get_freeze_count():
        # What was imported and built since `serve` froze the heap stays too. Every full collection visited it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)


async def _refresh_if_stale(components: Components) -> None:
    snapshot = components.catalog.snapshot
    # Rows of a version without statistics get them now, whatever their age.
    if not snapshot.has_statistics or snapshot.is_stale(now=utc_now(), stale_after=components.stale_after):
        with suppress(CountriesError):  # the service logs it; the former data stays
            await components.refresh_service.refresh(RefreshOptions(trigger=Trigger.START))


async def _close(components: Components) -> None:
    close_task = asyncio.create_task(components.close())
    await asyncio.wait([close_task], timeout=_SHUTDOWN_TIMEOUT)
    if not close_task.done():
        logger.warning(
            "The database did not respond within %g s; exiting without closing its connections.", _SHUTDOWN_TIMEOUT
        )
    await cancel_all([close_task])
