"""The current data of this process: who reads it, who may change it, how it follows the database.

Queries read `snapshot` and `history` and never wait. Changes hold `writing`, so that what is
published is always what the database holds.
"""

import asyncio
import logging
from contextlib import suppress

from graphql_api.domain.country import Country, Reference
from graphql_api.domain.merging import Merge
from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.summary import Summary
from graphql_api.errors import CountryNotFound, DatabaseUnavailable
from graphql_api.picture import draw
from graphql_api.storage import countries, marker, refreshes
from graphql_api.storage.engine import Database

logger = logging.getLogger(__name__)


class Catalog:
    """Holds the snapshot and the history of refreshes, and keeps both as the database has them."""

    def __init__(self, database: Database, reference: Reference) -> None:
        """Begin empty; `sync` loads."""
        self.reference = reference
        self.snapshot = Snapshot.of((), reference)
        self.history: tuple[Attempt, ...] = ()
        """Newest first, at most `refreshes.KEPT`."""
        self.database_answers = True
        """Whether the database answered when it was last looked at."""
        self.writing = asyncio.Lock()
        """Held by whoever changes or reloads the data."""
        self.pictures = Pictures()
        self._database = database
        self._sequence = 0

    @property
    def last_refresh(self) -> RefreshReport | None:
        """Return the newest refresh that succeeded, if it is remembered."""
        return next((one for one in self.history if isinstance(one, RefreshReport)), None)

    @property
    def last_failure(self) -> RefreshFailure | None:
        """Return the newest refresh that failed, if it is remembered."""
        return next((one for one in self.history if isinstance(one, RefreshFailure)), None)

    async def sync(self) -> None:
        """Load what changed in the database since it was last looked at.

        Raises:
            DatabaseUnavailable: it did not answer; what was loaded before stays.
        """
        async with self.writing:
            await self.reload()

    async def reload(self) -> None:
        """Do what `sync` does, for a caller that holds `writing`."""
        try:
            async with self._database.connect() as connection:
                found = await marker.read(connection)
                if found.version != self.snapshot.version:
                    self.snapshot = Snapshot.of(await countries.load(connection), self.reference)
                if found.history != self._sequence:
                    newer, self._sequence = await refreshes.load(connection, after=self._sequence)
                    self._remember(newer)
        except DatabaseUnavailable:
            self.database_answers = False
            raise
        self.database_answers = True

    async def store(self, merge: Merge, *, based_on: Snapshot) -> int | None:
        """Write a refresh's rows, publish its snapshot, and return how many statements it took.

        Return None, with nothing written, when the database is no longer at the version of
        `based_on`. The caller holds `writing`.

        Raises:
            DatabaseUnavailable: nothing was written.
        """
        async with self._database.transaction() as connection:
            if (await marker.read(connection)).version != based_on.version:
                return None
            statements = await countries.upsert(connection, merge.rows)
        self.snapshot = merge.snapshot
        return statements

    async def delete(self, country: Country) -> None:
        """Remove a country from the database and from the snapshot.

        Raises:
            CountryNotFound: another process removed it first.
            DatabaseUnavailable: nothing was removed.
        """
        async with self.writing:
            async with self._database.transaction() as connection:
                removed = await countries.remove(connection, country.code)
            await self.reload()
        if not removed:
            raise CountryNotFound(f"{country.name} was deleted by somebody else just now.")

    def remember(self, attempt: Attempt) -> None:
        """Show an attempt in the history at once; `record` writes it down."""
        self._remember([attempt])

    async def record(self, attempt: Attempt) -> None:
        """Write an attempt into the database's history; a failure to do so is logged."""
        try:
            async with self._database.transaction() as connection:
                await refreshes.append(connection, attempt)
        except DatabaseUnavailable as error:
            logger.warning("The refresh %s is not in the history: %s", attempt.id, error)

    async def poll(self, interval: float) -> None:
        """Follow the database for ever, looking every `interval` seconds."""
        while True:
            await asyncio.sleep(interval)
            answered = self.database_answers
            with suppress(DatabaseUnavailable):
                await self.sync()
            if answered and not self.database_answers:
                logger.error("The database does not answer; serving what was loaded before.")
            if self.database_answers and not answered:
                logger.info("The database answers again.")

    def _remember(self, newer: list[Attempt]) -> None:
        known = {attempt.id for attempt in newer}
        older = (attempt for attempt in self.history if attempt.id not in known)
        self.history = (*newer, *older)[: refreshes.KEPT]


class Pictures:
    """Drawn pictures, kept by what they show, so that each is drawn once whoever asks first."""

    _KEPT = 4

    def __init__(self) -> None:
        """Begin without any."""
        self._drawn: dict[Summary, asyncio.Task[bytes]] = {}

    async def of(self, snapshot: Snapshot) -> bytes:
        """Return the picture of a snapshot as PNG, drawing it in a thread if need be."""
        summary = snapshot.summary()
        drawing = self._drawn.get(summary)
        if drawing is None or (drawing.done() and (drawing.cancelled() or drawing.exception())):
            drawing = asyncio.create_task(asyncio.to_thread(draw, summary))
            drawing.add_done_callback(_look)
            self._drawn[summary] = drawing
            while len(self._drawn) > self._KEPT:
                self._drawn.pop(next(iter(self._drawn)))
        return await asyncio.shield(drawing)


def _look(drawing: asyncio.Task[bytes]) -> None:
    """Take notice of a failure, which asyncio would report when nobody waits for it any more."""
    if not drawing.cancelled():
        drawing.exception()
