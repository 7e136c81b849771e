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
from graphql_api.storage import countries, lease, refreshes
from graphql_api.storage.engine import Connection, Database

logger = logging.getLogger(__name__)


class HeldElsewhere(Exception):
    """Another process has the lease: a signal to wait for it, not an error."""

    def __init__(self, held: lease.Held) -> None:
        """Say who."""
        super().__init__(held)
        self.held = held


class Session:
    """Opens at once, by itself; `opened` waits for it."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        *,
        refresh_id: str,
        holder: str,
        seconds: float,
    ) -> None:
        """Begin to open; `holder` names this process, `seconds` is how long the lease lasts."""
        self._refresh_id = refresh_id
        self._database = database
        self._catalog = catalog
        self._holder = holder
        self._seconds = seconds
        self._revision = 0
        self._expires = monotonic() + seconds
        self._stack = AsyncExitStack()
        self._connection: Connection | None = None
        self._opening = asyncio.create_task(self._open())
        # `opened` tells of a failure; a refresh that failed before has stopped listening.
        self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def opened(self) -> None:
        """Wait until the lease is taken and the catalog serves all that was written before it.

        Raises:
            HeldElsewhere: another process has the lease.
            DatabaseUnavailable: the database does not answer.
        """
        # A lease that is taken by a statement nobody waits for would hold up everybody.
        await asyncio.shield(self._opening)

    @property
    def revision(self) -> int:
        """Return the revision of the rows that this refresh writes; 0 before it is opened."""
        return self._revision

    async def store(self, rows: Sequence[Country]) -> int:
        """Write the rows, and return how many statements it took; `opened` comes first.

        Raises:
            RefreshInProgress: the lease has run out, and somebody else may have it.
            DatabaseUnavailable: nothing was written.
        """
        if self._connection is None or monotonic() > self._expires:
            raise RefreshInProgress(
                f"The refresh took longer than its lease of {self._seconds:g} s, and another "
                "process may have begun one; nothing was changed."
            )
        return await self._database.persist(
            self._connection, lambda connection: countries.upsert(connection, rows)
        )

    async def close(self, attempt: Attempt | None) -> None:
        """Write the attempt down, give the lease back, and the connection; failures are logged."""
        await asyncio.wait([self._opening])
        async with self._stack:
            if attempt is not None:
                await self._record(attempt)
            if self._connection is not None and self._revision:
                await self._release(self._connection)

    async def _record(self, attempt: Attempt) -> None:
        try:
            await self._database.run_transaction(
                lambda connection: refreshes.append(connection, attempt)
            )
        except DatabaseUnavailable as error:
            logger.warning("The refresh %s is not in the history: %s", attempt.id, error)

    async def _release(self, connection: Connection) -> None:
        try:
            await self._database.persist(
                connection,
                lambda connection: lease.release(connection, refresh_id=self._refresh_id),
            )
        except DatabaseUnavailable as error:
            logger.warning("The lease runs out in at most %g s: %s", self._seconds, error)

    async def _open(self) -> None:
        connection = await self._stack.enter_async_context(self._database.connect())
        self._connection = connection
        taken = await self._database.persist(connection, self._take)
        if isinstance(taken, lease.Held):
            raise HeldElsewhere(taken)
        self._revision = taken
        await self._database.persist(connection, self._catalog.sync_over)

    async def _take(self, connection: Connection) -> int | lease.Held:
        return await lease.take(
            connection, holder=self._holder, refresh_id=self._refresh_id, seconds=self._seconds
        )
