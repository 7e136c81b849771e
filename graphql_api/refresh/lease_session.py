"""The database side of a refresh: one connection and the lease, until after the response.

A session opens while the sources are fetched and finishes after the caller has its report, so that
the caller waits for one statement: the upsert.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeVar

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country
from graphql_api.domain.report import Attempt
from graphql_api.errors import DatabaseUnavailable, RefreshInProgress
from graphql_api.sources.provider_cache import ProviderCache
from graphql_api.storage import change_marker, countries, lease, provider_cache, refreshes
from graphql_api.storage.database import Database, DatabaseConnection, DatabaseOperation
from graphql_api.utils.tasks import retrieve_exception

logger = logging.getLogger(__name__)

T = TypeVar("T")

LEASE_DURATION = 20.0
"""Seconds that a process which died holds up the others. A slow refresh renews its lease."""
_RENEWALS_PER_LEASE = 4
"""A renewal that fails after DATABASE_TIMEOUT, 10 s by default, is tried again in time."""

_NO_CACHE_UPDATE = ProviderCache()


@dataclass(frozen=True, slots=True)
class LeaseHeldByOther:
    """Result of acquiring a lease that another process holds."""

    lease_info: lease.LeaseInfo


class LeaseSession:
    """Connection and lease of one refresh. Creating it starts to open both, in the background."""

    def __init__(self, sessions: "LeaseSessions", *, refresh_id: str) -> None:
        """Start to open."""
        self.refresh_id = refresh_id
        self.is_writing = False
        """True once rows may have reached the database.

        A refresh must not be cancelled from then on: what is committed must be published.
        """
        self._sessions = sessions
        self._database = sessions.database
        self._lease_expires_at = 0.0
        """By the monotonic clock, which stands still while a machine sleeps: a lease may expire unnoticed."""
        self._renew_task: asyncio.Task[None] | None = None
        """Runs while this session has the lease."""
        self._to_record: tuple[Attempt, ProviderCache] | None = None
        self._stack = AsyncExitStack()
        self._connection: DatabaseConnection | None = None
        self._connection_lock = asyncio.Lock()
        """Held while a statement runs on the connection."""
        self._open_task = asyncio.create_task(self._open())
        self._open_task.add_done_callback(retrieve_exception)

    @property
    def seems_held_by_other(self) -> bool:
        """Return whether another process held the lease when this process last read the database."""
        return self._sessions.catalog.lease_holder not in (None, self._sessions.holder)

    async def acquire(self) -> int | LeaseHeldByOther:
        """Wait until the lease is acquired and the catalog has all that was written before.

        Returns the revision for the rows of this refresh. May be called repeatedly.

        Raises:
            DatabaseUnavailable: the database does not respond.
        """
        # A cancelled statement could leave a lease that nothing releases before it expires.
        return await asyncio.shield(self._open_task)

    async def store(self, rows: Sequence[Country]) -> int:
        """Write the rows and return the number of statements. `acquire` must have succeeded.

        Raises:
            StaleWriteError: a higher revision is stored. Nothing was written; `next_revision` and merge again.
            RefreshInProgress: the lease has expired; another process may hold it.
            DatabaseUnavailable: nothing was written or, if the response was lost, all rows.
        """
        if monotonic() > self._lease_expires_at and not await self._run(self._renew_lease):
            raise self._lease_lost_error("has begun one")
        self.is_writing = True
        return await self._run(lambda connection: countries.upsert(connection, rows))

    async def next_revision(self) -> int:
        """Return the next revision for the rows of this refresh, once the catalog has what was written meanwhile.

        Raises:
            RefreshInProgress: the lease has expired, and another process has held it.
            DatabaseUnavailable: the database does not respond.
        """
        lease_info = await self._run(lease.read)
        if lease_info is None or lease_info.refresh_id != self.refresh_id:
            raise self._lease_lost_error("has written newer data meanwhile")
        await self._run(self._sessions.catalog.sync_on)
        return lease_info.revision

    def record_at_end(self, attempt: Attempt, cache_update: ProviderCache = _NO_CACHE_UPDATE) -> None:
        """Set what `finish` writes to the history and to the stored provider cache."""
        self._to_record = attempt, cache_update

    async def finish(self) -> None:
        """Record the attempt, release the lease and return the connection; log what fails."""
        await asyncio.wait([self._open_task])
        async with self._stack:
            if self._to_record is not None:
                await self._record(*self._to_record)
            if self._renew_task is not None:
                async with self._connection_lock:  # no statement is cancelled
                    self._renew_task.cancel()
                self._renew_task = None  # its traceback refers to this session, and so to the data of its providers
                await self._release_lease()

    async def _open(self) -> int | LeaseHeldByOther:
        # The lock comes first: of two connections the later one may be opened sooner.
        async with self._sessions.lease_lock:
            connection = await self._stack.enter_async_context(self._database.connect())
            self._connection = connection
            acquired = await self._run(self._acquire_lease)
        if isinstance(acquired, lease.LeaseInfo):
            return LeaseHeldByOther(acquired)
        self._renew_task = asyncio.create_task(self._keep_lease())
        await self._run(self._sessions.catalog.sync_on)
        # A connection that replaced a dead one has not prepared them.
        await self._run(countries.prepare_statements)
        return acquired

    async def _acquire_lease(self, connection: DatabaseConnection) -> int | lease.LeaseInfo:
        ttl = self._sessions.lease_duration
        self._lease_expires_at = monotonic() + ttl
        return await lease.acquire(connection, holder=self._sessions.holder, refresh_id=self.refresh_id, ttl=ttl)

    async def _keep_lease(self) -> None:
        """Renew the lease until cancelled, or until another refresh has it."""
        has_lease = True
        while has_lease:
            await asyncio.sleep(self._sessions.lease_duration / _RENEWALS_PER_LEASE)
            try:
                has_lease = await self._run(self._renew_lease)
            except DatabaseUnavailable as error:
                logger.warning("The lease of refresh %s was not renewed: %s", self.refresh_id, error)

    async def _renew_lease(self, connection: DatabaseConnection) -> bool:
        ttl = self._sessions.lease_duration
        expires_at = monotonic() + ttl
        has_lease = await lease.renew(connection, refresh_id=self.refresh_id, ttl=ttl)
        if has_lease:
            self._lease_expires_at = expires_at
        return has_lease

    def _lease_lost_error(self, reason: str) -> RefreshInProgress:
        return RefreshInProgress(
            f"The refresh did not renew its lease of {self._sessions.lease_duration:g} s in time, and another "
            f"process {reason}; nothing was changed."
        )

    async def _record(self, attempt: Attempt, cache_update: ProviderCache) -> None:
        # In one transaction: a replica that sees the attempt loads the provider cache.
        async def write(connection: DatabaseConnection) -> None:
            await refreshes.append(connection, attempt)
            await provider_cache.save(connection, cache_update.serialize())

        try:
            await self._run(self._database.in_transaction(write))
        except DatabaseUnavailable as error:
            self._sessions.catalog.mark_lost(attempt)
            logger.warning("The refresh %s may be missing from the history: %s", attempt.id, error)

    async def _release_lease(self) -> None:
        try:
            await self._run(lambda connection: lease.release(connection, refresh_id=self.refresh_id))
        except DatabaseUnavailable as error:
            logger.warning(
                "The lease was not released and expires in at most %g s: %s", self._sessions.lease_duration, error
            )

    async def _run(self, operation: DatabaseOperation[T]) -> T:
        if self._connection is None:
            return await self._database.run(operation)
        async with self._connection_lock:
            return await self._database.retrying(self._connection, operation)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSessions:
    """Sessions of one process. They acquire the lease in turn, and finish in order."""

    database: Database
    catalog: Catalog
    holder: str
    """Names this process among those that share the database."""
    lease_duration: float = LEASE_DURATION
    """In seconds."""
    lease_lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    """Held while a session acquires the lease: one whose refresh failed at once must not take the
    lease from the session after it."""
    finish_lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    """Held while a session finishes: the database numbers attempts in the order of writing."""
    finish_tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    @asynccontextmanager
    async def open(self, refresh_id: str) -> AsyncIterator[LeaseSession]:
        """Open a session, and finish it in the background when the context ends.

        Neither waits for the database.
        """
        session = LeaseSession(self, refresh_id=refresh_id)
        try:
            yield session
        finally:
            task = asyncio.create_task(self._finish(session))
            self.finish_tasks.add(task)
            task.add_done_callback(self.finish_tasks.discard)

    async def wait_until_finished(self) -> None:
        """Wait until every session whose context has ended is finished."""
        if self.finish_tasks:
            await asyncio.wait(self.finish_tasks)

    async def _finish(self, session: LeaseSession) -> None:
        async with self.finish_lock:
            await session.finish()


WARM_CONNECTIONS = 3
"""One for a refresh, one for a session that finishes, one for the poller."""


async def prepare_statements(connection: DatabaseConnection) -> None:
    """Run each statement of a refresh without effect, so that the connection has prepared it."""
    await lease.prepare_statements(connection)
    current = await change_marker.read(connection, known_sequence=0)
    await refreshes.load(connection, after=current.last_sequence)
    await provider_cache.load(connection)
    await countries.prepare_statements(connection)
