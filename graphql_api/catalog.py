"""The current data of this process, and how it follows the database.

Queries read `snapshot` and `history`, and never wait. A writer holds `write_lock` from before it
changes rows until it has published them, so that the snapshot is what the database holds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from graphql_api.domain.country import Country, Reference
from graphql_api.domain.history import History
from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport
from graphql_api.domain.snapshot import Snapshot
from graphql_api.errors import ConnectionPoolExhausted, CountryNotFound, DatabaseUnavailable
from graphql_api.sources.provider_cache import ProviderCache
from graphql_api.storage import change_marker, countries, lease, provider_cache, refreshes
from graphql_api.storage.change_marker import ChangeMarker
from graphql_api.storage.database import Database, DatabaseConnection
from graphql_api.utils.slices import run_in_slices

logger = logging.getLogger(__name__)


class Catalog:
    """Holds the snapshot and the history of refreshes, and follows the database."""

    def __init__(
        self, database: Database, reference: Reference, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Start empty; `sync` loads. `clock` returns the current time, in UTC."""
        self.reference = reference
        self._clock = clock
        self.snapshot = Snapshot.from_rows((), reference)
        self.prepare: Callable[[Snapshot], object] = lambda _: None
        """Called with each snapshot before it is served, to derive what every query needs of it."""
        self.history: tuple[Attempt, ...] = ()
        """The latest first, at most `MAX_STORED_REFRESHES`."""
        self.provider_cache = ProviderCache()
        """Latest data of each provider."""
        self.is_loaded = False
        """True once there has been data to serve."""
        self.unreachable_since: datetime | None = None
        """When the database stopped responding; None if it responded the last time."""
        self.lease_holder: str | None = None
        """Process that held the lease at the last sync; None if the lease was free."""
        self.write_lock = asyncio.Lock()
        """Held while rows are written and published. Taken on a connection, never before one: a caller that waits for
        the last connection must not hold up the one that uses it."""
        self._delete_lock = asyncio.Lock()
        """Held by the one deletion that may hold a connection, so that deletions never use them all."""
        self._database = database
        self._history = History()

    @property
    def is_database_available(self) -> bool:
        """Return whether the database responded the last time."""
        return self.unreachable_since is None

    @property
    def last_refresh(self) -> RefreshReport | None:
        """The newest successful refresh in the history."""
        return next((attempt for attempt in self.history if isinstance(attempt, RefreshReport)), None)

    @property
    def last_failure(self) -> RefreshFailure | None:
        """The newest failed refresh in the history."""
        return next((attempt for attempt in self.history if isinstance(attempt, RefreshFailure)), None)

    async def sync(self) -> None:
        """Load what changed in the database since the last sync.

        Raises:
            DatabaseUnavailable: the database did not respond; the loaded data stays.
        """
        with self.tracking_availability():
            await self._database.run(self.sync_on)

    @contextmanager
    def tracking_availability(self) -> Iterator[None]:
        """Record whether the database responds to what the context does."""
        try:
            yield
        except ConnectionPoolExhausted:
            raise  # the database was not asked
        except DatabaseUnavailable:
            self.unreachable_since = self.unreachable_since or self._clock()
            raise
        self.unreachable_since = None

    async def sync_on(self, connection: DatabaseConnection) -> None:
        """Sync over a connection. Afterwards everything committed before the call is served."""
        while True:
            previous, known = self.snapshot, self._history
            current = await change_marker.read(connection, known_sequence=known.last_sequence)
            self.lease_holder = current.holder
            if current.is_new and previous.rows:
                await self._restore_on(connection)
                continue
            if not await self._sync_history(connection, known, current):
                continue
            if current.checksum == previous.checksum:
                return
            loaded = await self._load_snapshot(connection)
            # If a writer of this process publishes meanwhile, these rows are outdated: read again.
            async with self.write_lock:
                if self.snapshot is previous:
                    self._set_snapshot(loaded)
                    return

    def publish(self, snapshot: Snapshot, report: RefreshReport, cache_update: ProviderCache) -> None:
        """Serve the snapshot, the report and the provider data of a refresh, all at once.

        The caller must have held `write_lock` since before it wrote the rows.
        """
        self._set_snapshot(snapshot)
        self.provider_cache = self.provider_cache.updated(cache_update)
        self.add_attempt(report)

    async def delete(self, country: Country) -> None:
        """Remove a country from the database and from the snapshot.

        Raises:
            CountryNotFound: another client deleted it first.
            DatabaseUnavailable: nothing was deleted.
        """
        async with self._delete_lock:
            removed = await self._database.run(lambda connection: self._delete_on(connection, country))
        if not removed:
            raise CountryNotFound(f"{country.name} has just been deleted by another client.")

    async def _delete_on(self, connection: DatabaseConnection, country: Country) -> bool:
        async def remove(connection: DatabaseConnection) -> tuple[bool, Snapshot]:
            removed = await countries.remove(connection, country.code)
            # Read back before the commit: other processes may have changed rows that this one has not read yet.
            return removed, await self._load_snapshot(connection)

        async with self.write_lock:
            removed, remaining = await self._database.in_transaction(remove)(connection)
            self._set_snapshot(remaining)
            return removed

    async def _load_snapshot(self, connection: DatabaseConnection) -> Snapshot:
        rows, former = await countries.load(connection), self.snapshot

        def build() -> Snapshot:
            snapshot = Snapshot.from_rows(rows, self.reference, former)
            self.prepare(snapshot)
            return snapshot

        return await run_in_slices(build)

    def add_attempt(self, attempt: Attempt) -> None:
        """Add an attempt to the history in memory; the caller writes it to the database."""
        self._set_history(self._history.add(attempt))

    def mark_lost(self, attempt: Attempt) -> None:
        """Mark an attempt that could not be written to the database.

        It is dropped once the database responds again: no other replica has it.
        """
        self._set_history(self._history.mark_lost(attempt.id))

    async def restore(self) -> None:
        """Write the served rows to a database that lost its table of countries."""
        if self.snapshot.rows:
            await self._database.run(self._restore_on)

    async def _restore_on(self, connection: DatabaseConnection) -> None:
        async with self.write_lock:
            stored = await change_marker.read(connection, known_sequence=0)
            if stored.checksum.version.count:
                return
            with suppress(countries.StaleWriteError):  # another process has just written newer rows
                await countries.upsert(connection, self.snapshot.rows)
                # From now on, a table without rows is one that was emptied.
                await lease.continue_from_rows(connection)
                logger.warning("The database was empty; wrote the %d countries served here.", len(self.snapshot.rows))

    async def poll(self, snapshot_poll: float, reopen: Callable[[], Awaitable[None]]) -> None:
        """Sync every `snapshot_poll` seconds, until cancelled.

        Calls `reopen` after a sync that failed, in case the database has lost its tables.
        """
        last_error: DatabaseUnavailable | None = None
        while True:
            await asyncio.sleep(snapshot_poll)
            error = None
            try:
                await self._sync_or_reopen(reopen)
            except DatabaseUnavailable as unavailable:
                error = unavailable
            except Exception:
                logger.exception("The data in the database cannot be read; trying again.")
            if type(error) is not type(last_error):
                _log_change(error, last_error)
            last_error = error

    async def _sync_or_reopen(self, reopen: Callable[[], Awaitable[None]]) -> None:
        try:
            await self.sync()
        except ConnectionPoolExhausted:
            raise
        except DatabaseUnavailable:
            await reopen()

    def _set_snapshot(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.is_loaded = self.is_loaded or bool(snapshot.rows)

    async def _sync_history(self, connection: DatabaseConnection, known: History, current: ChangeMarker) -> bool:
        """Read what `known` lacks, or everything if the database was restored. Return False if `known` is outdated."""
        if known.lost_ids:
            self._set_history(self._history.drop(known.lost_ids))
        is_continued = current.known_id == known.last_id
        if is_continued and current.last_sequence == known.last_sequence:
            return True
        new_rows = await refreshes.load(connection, after=known.last_sequence if is_continued else 0)
        has_own_alone = is_continued and all(known.is_unrecorded(row.id) for row in new_rows)
        cached = None if has_own_alone else ProviderCache.deserialize(await provider_cache.load(connection))
        if self._history.stored is not known.stored:
            return False
        self._set_history((self._history if is_continued else History()).extend(new_rows))
        self.provider_cache = cached or self.provider_cache
        return True

    def _set_history(self, history: History) -> None:
        self._history = history
        self.history = history.list_attempts()


def _log_change(error: DatabaseUnavailable | None, last_error: DatabaseUnavailable | None) -> None:
    if isinstance(error, ConnectionPoolExhausted):
        logger.warning("Changes of other processes are served later: %s", error)
    elif error is not None:
        logger.error("%s Serving the data loaded before.", error)
    elif not isinstance(last_error, ConnectionPoolExhausted):
        logger.info("The database responds again.")
