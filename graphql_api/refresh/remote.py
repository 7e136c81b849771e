"""Refreshes of other processes, as far as the database shows them: wait for one, report on them."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from graphql_api.catalog import Catalog
from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport
from graphql_api.errors import INTERNAL_ERROR_CODE, DatabaseUnavailable, error_from_code
from graphql_api.refresh.progress import Phase, ProgressBroadcaster, ProgressReporter
from graphql_api.storage import lease
from graphql_api.storage.database import Database

logger = logging.getLogger(__name__)

_WAIT_POLL_INTERVAL = 0.2
"""Seconds between two polls of a lease that callers wait for."""
_MAX_WATCH_POLL_INTERVAL = 0.5
"""Seconds between two polls for subscribers, at most: progress may be late, a result less so."""
_RELEASE_TIMEOUT = 5.0
"""Seconds, without those of polling, that a process may take from its rows to its release."""


async def wait_for_remote_refresh(
    lease_info: lease.LeaseInfo, *, database: Database, catalog: Catalog
) -> RefreshReport | None:
    """Wait until a lease is released and return the report of its refresh.

    Return None if the caller may refresh now: the other process died, or its refresh had written
    before this call and only had to release the lease. The lease of a process that has written its
    rows and does not release it within 5 s is released here.

    Raises:
        CountriesError: the failure of that refresh.
        DatabaseUnavailable: the database does not respond.
    """
    await catalog.sync()
    held = await _read_lease_of(lease_info.refresh_id, database)
    # A refresh that has written its rows has returned to its caller, or is about to.
    had_written = _has_written(catalog, (held or lease_info).revision)
    remaining_time = _RELEASE_TIMEOUT
    while held is not None:
        if _has_written(catalog, held.revision):
            remaining_time -= _WAIT_POLL_INTERVAL
        if remaining_time < 0:
            logger.warning(
                "The process of refresh %s wrote its rows and died; its lease is released.", lease_info.refresh_id
            )
            await database.run(lambda connection: lease.release(connection, refresh_id=lease_info.refresh_id))
            break
        await asyncio.sleep(_WAIT_POLL_INTERVAL)
        await catalog.sync()
        held = await _read_lease_of(lease_info.refresh_id, database)
    await catalog.sync()
    if had_written:
        return None
    by_id = {attempt.id: attempt for attempt in catalog.history}
    attempt = by_id.get(lease_info.refresh_id)
    if isinstance(attempt, RefreshFailure):
        raise error_from_code(attempt.code, attempt.message)
    return attempt


async def _read_lease_of(refresh_id: str, database: Database) -> lease.LeaseInfo | None:
    """Return the lease of a refresh, whose revision a deletion may have raised; None if it is released."""
    lease_info = await database.run(lease.read)
    return lease_info if lease_info is not None and lease_info.refresh_id == refresh_id else None


@dataclass(frozen=True, slots=True)
class _RemoteRefresh:
    """A running refresh of another process whose progress is reported."""

    reporter: ProgressReporter
    holder: str
    revision: int
    """Revision of the rows that it will write, unless a deletion takes it."""


@dataclass(slots=True)
class RemoteRefreshWatcher:
    """Reports on refreshes of other processes while the broadcaster has subscribers.

    Until a refresh is found, this only uses what the catalog reads from the database anyway.
    """

    broadcaster: ProgressBroadcaster
    database: Database
    catalog: Catalog
    holder: str
    """Names this process, which reports its own refreshes."""
    clock: Callable[[], datetime]
    _current: _RemoteRefresh | None = field(default=None, init=False)
    _seen_ids: set[str] = field(default_factory=set, init=False)
    """Ids of the attempts in the history that are not new."""

    async def run(self, snapshot_poll: float) -> None:
        """Run until cancelled. Poll every `snapshot_poll` seconds, or every 0.5 if that is more."""
        while True:
            await self.broadcaster.has_subscribers.wait()
            try:
                await self._watch_while_subscribed(min(snapshot_poll, _MAX_WATCH_POLL_INTERVAL))
            except Exception:
                logger.exception("Watching refreshes of other processes failed; trying again.")
                await asyncio.sleep(snapshot_poll)

    async def _watch_while_subscribed(self, interval: float) -> None:
        with suppress(DatabaseUnavailable):
            await self.catalog.sync()
        self._new_attempts()
        is_subscribed = True
        while is_subscribed:
            with suppress(DatabaseUnavailable):  # the catalog's poller logs it
                await self._poll()
            # Also after the last subscriber has left: one that comes and goes costs no more than one that stays.
            await asyncio.sleep(interval)
            is_subscribed = self.broadcaster.has_subscribers.is_set()
        if self._current is not None:
            self.broadcaster.discard(self._current.reporter.refresh_id)
            self._current = None

    async def _poll(self) -> None:
        if self._current is not None:
            await self.catalog.sync()
        for attempt in self._new_attempts():
            self._report_end(attempt)
        if self._current is None:
            await self._report_start()
        elif self.catalog.lease_holder != self._current.holder:
            self._current.reporter.emit_failed(
                INTERNAL_ERROR_CODE, "The process of this refresh ended without a result; the stored data is served."
            )
            self._current = None
        elif _has_written(self.catalog, self._current.revision):
            # If a deletion took that revision, the refresh now has a higher one.
            lease_info = await self.database.run(lease.read)
            if lease_info is not None and _has_written(self.catalog, lease_info.revision):
                self._current.reporter.emit(Phase.DRAWING, 0.9, "Another server has written the countries")

    async def _report_start(self) -> None:
        """Report on the refresh of another process that holds the lease and has not written yet."""
        holder = self.catalog.lease_holder
        if holder is None or holder == self.holder:
            return
        lease_info = await self.database.run(lease.read)
        if (
            lease_info is None
            or self.broadcaster.has_seen(lease_info.refresh_id)
            or _has_written(self.catalog, lease_info.revision)
        ):
            return
        elapsed_ms = max((self.clock() - lease_info.taken_at).total_seconds() * 1000, 0)
        reporter = self.broadcaster.create_reporter(lease_info.refresh_id, elapsed_ms=elapsed_ms)
        self._current = _RemoteRefresh(reporter, holder, lease_info.revision)
        reporter.emit(Phase.FETCHING, 0.05, "Another server fetches countries and exchange rates")

    def _new_attempts(self) -> list[Attempt]:
        """Return the attempts added to the history since the last call, oldest first."""
        history, seen_ids = self.catalog.history, self._seen_ids
        self._seen_ids = {attempt.id for attempt in history}
        return [attempt for attempt in reversed(history) if attempt.id not in seen_ids]

    def _report_end(self, attempt: Attempt) -> None:
        if self._current is not None and self._current.reporter.refresh_id == attempt.id:
            reporter = self._current.reporter
            self._current = None
        elif self.broadcaster.has_seen(attempt.id):
            return
        else:
            elapsed_ms = attempt.timings.total_ms if isinstance(attempt, RefreshReport) else 0
            reporter = self.broadcaster.create_reporter(attempt.id, elapsed_ms=elapsed_ms)
        if isinstance(attempt, RefreshReport):
            reporter.emit_done(attempt, "Done by another server")
        else:
            reporter.emit_failed(attempt.code, attempt.message)


def _has_written(catalog: Catalog, revision: int) -> bool:
    return catalog.snapshot.version.revision >= revision
