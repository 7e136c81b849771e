"""Telling of refreshes that other processes run, coarsely: what the database knows of them."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from graphql_api.catalog import Catalog
from graphql_api.domain.report import Attempt, RefreshReport
from graphql_api.errors import DatabaseUnavailable
from graphql_api.refresh.progress import Phase, ProgressBroadcaster, ProgressReporter
from graphql_api.storage import lease
from graphql_api.storage.database import Database

logger = logging.getLogger(__name__)

_MAX_POLL_INTERVAL = 0.5
"""Seconds between two looks at most."""
_PROCESS_DIED_MESSAGE = (
    "The process that ran it has ended without a word; what is stored is served."
)


@dataclass(frozen=True, slots=True)
class _RemoteRefresh:
    """A refresh of another process that is told of."""

    reporter: ProgressReporter
    holder: str
    revision: int
    """Of the rows that it will have written."""


class RemoteRefreshWatcher:
    """Looks for other processes' refreshes as long as anybody follows the hub.

    Before it has found one it looks at what the catalog has found anyway, and asks nothing.
    """

    def __init__(
        self,
        broadcaster: ProgressBroadcaster,
        *,
        database: Database,
        catalog: Catalog,
        holder: str,
        clock: Callable[[], datetime],
    ) -> None:
        """Take `holder` for this process, whose refreshes tell the hub themselves."""
        self._broadcaster = broadcaster
        self._database = database
        self._catalog = catalog
        self._holder = holder
        self._clock = clock
        self._current: _RemoteRefresh | None = None
        self._seen_ids: set[str] = set()
        """Ids of the attempts in the history that are no news."""

    async def run(self, snapshot_poll: float) -> None:
        """Look for ever, every `interval` seconds or sooner."""
        while True:
            await self._broadcaster.has_subscribers.wait()
            try:
                await self._watch_while_subscribed(min(snapshot_poll, _MAX_POLL_INTERVAL))
            except Exception:
                logger.exception("Other processes' refreshes cannot be watched; trying again.")
                await asyncio.sleep(snapshot_poll)

    async def _watch_while_subscribed(self, interval: float) -> None:
        with suppress(DatabaseUnavailable):
            await self._catalog.sync()
        self._new_attempts()
        while self._broadcaster.has_subscribers.is_set():
            with suppress(DatabaseUnavailable):  # who polls tells of it
                await self._poll()
            await asyncio.sleep(interval)
        if self._current is not None:
            self._broadcaster.discard(self._current.reporter.refresh_id)
            self._current = None

    async def _poll(self) -> None:
        if self._current is not None:
            await self._catalog.sync()
        for attempt in self._new_attempts():
            self._report_end(attempt)
        if self._current is None:
            await self._report_start()
        elif self._catalog.lease_holder != self._current.holder:
            self._current.reporter.emit_failed("INTERNAL_SERVER_ERROR", _PROCESS_DIED_MESSAGE)
            self._current = None
        elif self._has_written(self._current.revision):
            self._current.reporter.emit(
                Phase.DRAWING, 0.9, "Another server has written the countries"
            )

    async def _report_start(self) -> None:
        """Tell of the refresh that has the lease, if another process does and has not written."""
        holder = self._catalog.lease_holder
        if holder is None or holder == self._holder:
            return
        lease_info = await self._database.run(lease.read)
        if (
            lease_info is None
            or self._broadcaster.has_seen(lease_info.refresh_id)
            or self._has_written(lease_info.revision)
        ):
            return
        elapsed_ms = max((self._clock() - lease_info.taken_at).total_seconds() * 1000, 0)
        reporter = self._broadcaster.create_reporter(lease_info.refresh_id, elapsed_ms=elapsed_ms)
        self._current = _RemoteRefresh(reporter, holder, lease_info.revision)
        reporter.emit(Phase.FETCHING, 0.05, "Another server fetches countries and exchange rates")

    def _new_attempts(self) -> list[Attempt]:
        """Return what the history has newly got, the oldest first."""
        history, seen_ids = self._catalog.history, self._seen_ids
        self._seen_ids = {attempt.id for attempt in history}
        return [attempt for attempt in reversed(history) if attempt.id not in seen_ids]

    def _report_end(self, attempt: Attempt) -> None:
        if self._current is not None and self._current.reporter.refresh_id == attempt.id:
            reporter = self._current.reporter
            self._current = None
        elif self._broadcaster.has_seen(attempt.id):
            return
        else:
            elapsed_ms = attempt.timings.total_ms if isinstance(attempt, RefreshReport) else 0
            reporter = self._broadcaster.create_reporter(attempt.id, elapsed_ms=elapsed_ms)
        if isinstance(attempt, RefreshReport):
            reporter.emit_done(attempt, "Done by another server")
        else:
            reporter.emit_failed(attempt.code, attempt.message)

    def _has_written(self, revision: int) -> bool:
        return self._catalog.snapshot.version.revision >= revision
