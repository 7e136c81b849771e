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
from graphql_api.domain.summary import Summary
from graphql_api.errors import CountryNotFound, DatabaseUnavailable
from graphql_api.sources.keeping import Memory
from graphql_api.storage import answers, countries, marker, refreshes
from graphql_api.storage.engine import Connection, Database

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
        self.snapshot = Snapshot.of((), reference)
        self.history: tuple[Attempt, ...] = ()
        """Newest first, at most `refreshes.KEPT`."""
        self.memory = Memory()
        """What the sources said last."""
        self.loaded = False
        """Whether there has been data to serve; before that nothing that is served is an answer."""
        self.unreachable_since: datetime | None = None
        """When the database was first found not to answer; None if it did the last time."""
        self.holder: str | None = None
        """Which process had the lease for refreshes then; None when nobody had."""
        self.writing = asyncio.Lock()
        """Held by whoever changes the data."""
        self.pictures = Pictures()
        self._database = database
        self._sequence = 0
        self._unwritten: set[str] = set()
        """Ids of attempts that this process remembers and has not seen in the database."""

    @property
    def database_answers(self) -> bool:
        """Return whether the database answered when it was last looked at."""
        return self.unreachable_since is None

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
        with self.looking():
            await self._database.run(self.sync_over)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Note whether the database answers in what is done meanwhile."""
        try:
            yield
        except DatabaseUnavailable:
            self.unreachable_since = self.unreachable_since or self._clock()
            raise
        self.unreachable_since = None

    async def sync_over(self, connection: Connection) -> None:
        """Do what `sync` does over a connection; afterwards all that was committed is served."""
        while True:
            before = self.snapshot
            found = await marker.read(connection)
            self.holder = found.holder
            if found.history != self._sequence:
                newer, sequence = await refreshes.load(connection, after=self._sequence)
                if any(attempt.id not in self._unwritten for attempt in newer):
                    self.memory = Memory.of_texts(await answers.load(connection))
                self._sequence = sequence
                self._follow(newer)
            if found.version == before.version:
                return
            rows = await countries.load(connection)
            # Whoever changes the data now publishes it too, and then this is read anew.
            async with self.writing:
                if self.snapshot is before:
                    self._serve(Snapshot.of(rows, self.reference))
                    return

    def publish(self, snapshot: Snapshot, report: RefreshReport, heard: Memory) -> None:
        """Serve what a refresh has written, and its report, from one moment on.

        What it `heard` of the sources is remembered.

        The caller holds `writing`, and has done so since before it wrote.
        """
        self._serve(snapshot)
        self.memory = self.memory.updated(heard)
        self.remember(report)

    async def delete(self, country: Country) -> None:
        """Remove a country from the database and from the snapshot.

        Raises:
            CountryNotFound: another process removed it first.
            DatabaseUnavailable: nothing was removed.
        """
        async with self.writing:
            removed = await self._database.run(
                lambda connection: countries.remove(connection, country.code)
            )
            # Not read back: what is committed must not fail any more. The poller finds the rest.
            others = (row for row in self.snapshot.rows if row.code != country.code)
            self.snapshot = Snapshot.of(others, self.reference)
        if not removed:
            raise CountryNotFound(f"{country.name} was deleted by somebody else just now.")

    def remember(self, attempt: Attempt) -> None:
        """Show an attempt in the history at once; writing it down is the caller's."""
        self._unwritten.add(attempt.id)
        self._show([attempt, *self.history])

    async def poll(self, interval: float) -> None:
        """Follow the database for ever, looking every `interval` seconds."""
        while True:
            await asyncio.sleep(interval)
            answered = self.database_answers
            try:
                await self.sync()
            except DatabaseUnavailable:
                pass  # told below, once
            except Exception:
                logger.exception("What the database holds cannot be read; trying again.")
            if answered and not self.database_answers:
                logger.error("The database does not answer; serving what was loaded before.")
            if self.database_answers and not answered:
                logger.info("The database answers again.")

    def _serve(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.loaded = self.loaded or bool(snapshot.rows)

    def _follow(self, newer: list[Attempt]) -> None:
        """Add what the database has newly got, below the attempts that it is still to get."""
        self._unwritten -= {attempt.id for attempt in newer}
        later = list(takewhile(lambda attempt: attempt.id in self._unwritten, self.history))
        known = {attempt.id for attempt in (*later, *newer)}
        older = (attempt for attempt in self.history if attempt.id not in known)
        self._show([*later, *newer, *older])

    def _show(self, history: list[Attempt]) -> None:
        self.history = tuple(history[: refreshes.KEPT])
        self._unwritten &= {attempt.id for attempt in self.history}


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
            drawing = asyncio.create_task(asyncio.to_thread(_draw, summary))
            drawing.add_done_callback(_look)
            self._drawn[summary] = drawing
            while len(self._drawn) > self._KEPT:
                self._drawn.pop(next(iter(self._drawn)))
        return await asyncio.shield(drawing)


def _draw(summary: Summary) -> bytes:
    from graphql_api.picture import draw  # noqa: PLC0415 - a start draws nothing

    return draw(summary)


def _look(drawing: asyncio.Task[bytes]) -> None:
    """Take notice of a failure, which asyncio would report when nobody waits for it any more."""
    if not drawing.cancelled():
        drawing.exception()
