"""The current data of this process: who reads it, who may change it, how it follows the database.

Queries read `snapshot` and `history` and never wait. Whoever changes rows holds `writing`, so that
what is published is always what the database holds.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import takewhile

from graphql_api.domain.country import Country, Reference
from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport
from graphql_api.domain.snapshot import Snapshot
from graphql_api.errors import CountryNotFound, DatabaseUnavailable
from graphql_api.sources.provider_cache import ProviderCache
from graphql_api.storage import change_marker, countries, provider_cache, refreshes
from graphql_api.storage.database import Database, DatabaseConnection

logger = logging.getLogger(__name__)


class Catalog:
    """Holds the snapshot and the history of refreshes, and keeps both as the database has them."""

    def __init__(
        self,
        database: Database,
        reference: Reference,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Begin empty; `sync` loads. The clock tells the present instant, in UTC."""
        self.reference = reference
        self._clock = clock
        self.snapshot = Snapshot.from_rows((), reference)
        self.history: tuple[Attempt, ...] = ()
        """Newest first, at most `refreshes.KEPT`."""
        self.provider_cache = ProviderCache()
        """What the sources said last."""
        self.is_loaded = False
        """Whether there has been data to serve; before that nothing that is served is an answer."""
        self.unreachable_since: datetime | None = None
        """When the database was first found not to answer; None if it did the last time."""
        self.lease_holder: str | None = None
        """Which process had the lease for refreshes then; None when nobody had."""
        self.write_lock = asyncio.Lock()
        """Held by whoever changes the data."""
        self._database = database
        self._sequence = 0
        self._unwritten_ids: set[str] = set()
        """Ids of attempts that this process remembers and has not seen in the database."""

    @property
    def is_database_available(self) -> bool:
        """Return whether the database answered when it was last looked at."""
        return self.unreachable_since is None

    @property
    def last_refresh(self) -> RefreshReport | None:
        """Return the newest refresh that succeeded, if it is remembered."""
        return next(
            (attempt for attempt in self.history if isinstance(attempt, RefreshReport)), None
        )

    @property
    def last_failure(self) -> RefreshFailure | None:
        """Return the newest refresh that failed, if it is remembered."""
        return next(
            (attempt for attempt in self.history if isinstance(attempt, RefreshFailure)), None
        )

    async def sync(self) -> None:
        """Load what changed in the database since it was last looked at.

        Raises:
            DatabaseUnavailable: it did not answer; what was loaded before stays.
        """
        with self.tracking_availability():
            await self._database.run(self.sync_on)

    @contextmanager
    def tracking_availability(self) -> Iterator[None]:
        """Note whether the database answers in what is done meanwhile."""
        try:
            yield
        except DatabaseUnavailable:
            self.unreachable_since = self.unreachable_since or self._clock()
            raise
        self.unreachable_since = None

    async def sync_on(self, connection: DatabaseConnection) -> None:
        """Do what `sync` does over a connection; afterwards all that was committed is served."""
        while True:
            previous = self.snapshot
            current = await change_marker.read(connection)
            self.lease_holder = current.holder
            if current.last_sequence != self._sequence:
                new_attempts, sequence = await refreshes.load(connection, after=self._sequence)
                if any(attempt.id not in self._unwritten_ids for attempt in new_attempts):
                    self.provider_cache = ProviderCache.deserialize(
                        await provider_cache.load(connection)
                    )
                self._sequence = sequence
                self._merge_history(new_attempts)
            if current.version == previous.version:
                return
            rows = await countries.load(connection)
            # Whoever changes the data now publishes it too, and then this is read anew.
            async with self.write_lock:
                if self.snapshot is previous:
                    self._set_snapshot(Snapshot.from_rows(rows, self.reference))
                    return

    def publish(
        self, snapshot: Snapshot, report: RefreshReport, cache_update: ProviderCache
    ) -> None:
        """Serve what a refresh has written, and its report, from one moment on.

        What it `heard` of the sources is remembered.

        The caller holds `writing`, and has done so since before it wrote.
        """
        self._set_snapshot(snapshot)
        self.provider_cache = self.provider_cache.updated(cache_update)
        self.add_attempt(report)

    async def delete(self, country: Country) -> None:
        """Remove a country from the database and from the snapshot.

        Raises:
            CountryNotFound: another process removed it first.
            DatabaseUnavailable: nothing was removed.
        """
        async with self.write_lock:
            removed = await self._database.run(
                lambda connection: countries.remove(connection, country.code)
            )
            # Not read back: what is committed must not fail any more. The poller finds the rest.
            remaining_rows = (row for row in self.snapshot.rows if row.code != country.code)
            self.snapshot = Snapshot.from_rows(remaining_rows, self.reference)
        if not removed:
            raise CountryNotFound(f"{country.name} was deleted by somebody else just now.")

    def add_attempt(self, attempt: Attempt) -> None:
        """Show an attempt in the history at once; writing it down is the caller's."""
        self._unwritten_ids.add(attempt.id)
        self._set_history([attempt, *self.history])

    async def poll(self, snapshot_poll: float) -> None:
        """Follow the database for ever, looking every `interval` seconds."""
        while True:
            await asyncio.sleep(snapshot_poll)
            was_available = self.is_database_available
            try:
                await self.sync()
            except DatabaseUnavailable:
                pass  # told below, once
            except Exception:
                logger.exception("What the database holds cannot be read; trying again.")
            if was_available and not self.is_database_available:
                logger.error("The database does not answer; serving what was loaded before.")
            if self.is_database_available and not was_available:
                logger.info("The database answers again.")

    def _set_snapshot(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.is_loaded = self.is_loaded or bool(snapshot.rows)

    def _merge_history(self, new_attempts: list[Attempt]) -> None:
        """Add what the database has newly got, below the attempts that it is still to get."""
        self._unwritten_ids -= {attempt.id for attempt in new_attempts}
        unwritten = list(takewhile(lambda attempt: attempt.id in self._unwritten_ids, self.history))
        known_ids = {attempt.id for attempt in (*unwritten, *new_attempts)}
        older = (attempt for attempt in self.history if attempt.id not in known_ids)
        self._set_history([*unwritten, *new_attempts, *older])

    def _set_history(self, history: list[Attempt]) -> None:
        self.history = tuple(history[: refreshes.MAX_STORED_REFRESHES])
        self._unwritten_ids &= {attempt.id for attempt in self.history}
