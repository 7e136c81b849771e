"""A refresh's hold on the database: one connection and the lease, until after its answer.

It is opened while the sources are fetched and closed when the caller has been answered, so that
all that anybody waits for is the upsert.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from time import monotonic

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country
from graphql_api.domain.report import Attempt
from graphql_api.errors import DatabaseUnavailable, RefreshInProgress
from graphql_api.sources.provider_cache import ProviderCache
from graphql_api.storage import change_marker, countries, lease, provider_cache, refreshes
from graphql_api.storage.database import Database, DatabaseConnection, DatabaseOperation

logger = logging.getLogger(__name__)


class LeaseHeldByOther(Exception):
    """Another process has the lease: a signal to wait for it, not an error."""

    def __init__(self, lease_info: lease.LeaseInfo) -> None:
        """Say who."""
        super().__init__(lease_info)
        self.lease_info = lease_info


class LeaseSession:
    """Opens at once, by itself; `opened` waits for it."""

    def __init__(  # noqa: PLR0913 - what it works on, and four facts of one refresh
        self,
        database: Database,
        catalog: Catalog,
        *,
        refresh_id: str,
        holder: str,
        lease_duration: float,
        lease_lock: asyncio.Lock,
    ) -> None:
        """Begin to open; `holder` names this process, `seconds` is how long the lease lasts.

        One session after the other has its `turn` to take the lease: one whose refresh failed at
        once must not take it from the next one.
        """
        self._refresh_id = refresh_id
        self._database = database
        self._catalog = catalog
        self._holder = holder
        self._lease_duration = lease_duration
        self._lease_lock = lease_lock
        self._revision = 0
        self._lease_expires_at = monotonic() + lease_duration
        self._stack = AsyncExitStack()
        self._connection: DatabaseConnection | None = None
        self._open_task = asyncio.create_task(self._open())
        # `opened` tells of a failure; a refresh that failed before has stopped listening.
        self._open_task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def wait_until_open(self) -> None:
        """Wait until the lease is taken and the catalog serves all that was written before it.

        Raises:
            HeldElsewhere: another process has the lease.
            DatabaseUnavailable: the database does not answer.
        """
        # A lease that is taken by a statement nobody waits for would hold up everybody.
        await asyncio.shield(self._open_task)

    @property
    def seems_held_by_other(self) -> bool:
        """Tell whether another process had the lease when the database was last looked at."""
        return self._catalog.lease_holder not in (None, self._holder)

    @property
    def revision(self) -> int:
        """Return the revision of the rows that this refresh writes; 0 before it is opened."""
        return self._revision

    async def store(self, rows: Sequence[Country]) -> int:
        """Write the rows, and return how many statements it took; `opened` comes first.

        Raises:
            RefreshInProgress: the lease has run out, and somebody else may have it, or has had it.
            DatabaseUnavailable: nothing was written, or, where the answer was lost, all.
        """
        if self._connection is None or monotonic() > self._lease_expires_at:
            raise RefreshInProgress(
                f"The refresh took longer than its lease of {self._lease_duration:g} s, and "
                "another "
                "process may have begun one; nothing was changed."
            )
        try:
            return await self._database.retrying(
                self._connection, lambda connection: countries.upsert(connection, rows)
            )
        except countries.StaleWriteError:
            # The clock here may have stood still, as it does in a machine that sleeps.
            raise RefreshInProgress(
                f"The refresh took longer than its lease of {self._lease_duration:g} s, and "
                "another "
                "process has written newer data meanwhile; nothing was changed."
            ) from None

    async def close(self, attempt: Attempt | None, cache_update: ProviderCache) -> None:
        """Write down the attempt and what was heard, give back the lease, and the connection.

        Failures are logged.
        """
        await asyncio.wait([self._open_task])
        async with self._stack:
            if attempt is not None:
                await self._record(attempt, cache_update)
            if self._revision:
                await self._release_lease()

    async def _record(self, attempt: Attempt, cache_update: ProviderCache) -> None:
        # In one transaction: who sees the one looks for the other.
        async def write(connection: DatabaseConnection) -> None:
            await refreshes.append(connection, attempt)
            await provider_cache.save(connection, cache_update.serialize())

        try:
            await self._run(self._database.in_transaction(write))
        except DatabaseUnavailable as error:
            logger.warning("The refresh %s may be missing from the history: %s", attempt.id, error)

    async def _release_lease(self) -> None:
        try:
            await self._run(
                lambda connection: lease.release(connection, refresh_id=self._refresh_id)
            )
        except DatabaseUnavailable as error:
            logger.warning("The lease runs out in at most %g s: %s", self._lease_duration, error)

    async def _run(self, operation: DatabaseOperation[None]) -> None:
        if self._connection is None:
            await self._database.run(operation)
        else:
            await self._database.retrying(self._connection, operation)

    async def _open(self) -> None:
        # The turn comes first: of two connections the later one may be opened sooner.
        async with self._lease_lock:
            connection = await self._stack.enter_async_context(self._database.connect())
            self._connection = connection
            acquired = await self._database.retrying(connection, self._acquire_lease)
        if isinstance(acquired, lease.LeaseInfo):
            raise LeaseHeldByOther(acquired)
        self._revision = acquired
        await self._database.retrying(connection, self._catalog.sync_on)
        # A connection that has replaced one that died is new to it.
        await self._database.retrying(connection, countries.prepare_statements)

    async def _acquire_lease(self, connection: DatabaseConnection) -> int | lease.LeaseInfo:
        return await lease.acquire(
            connection, holder=self._holder, refresh_id=self._refresh_id, ttl=self._lease_duration
        )


WARM_CONNECTIONS = 3
"""One for a refresh, one for the tail of the refresh before it, one for the poller."""


async def prepare_statements(connection: DatabaseConnection) -> None:
    """Do everything that a refresh does over a connection, to no effect, so that it is ready."""
    await lease.prepare_statements(connection)
    current = await change_marker.read(connection)
    await refreshes.load(connection, after=current.last_sequence)
    await provider_cache.load(connection)
    await countries.prepare_statements(connection)
