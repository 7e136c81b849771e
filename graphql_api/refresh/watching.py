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
from graphql_api.refresh.progress import Phase, ProgressHub, Telling
from graphql_api.storage import lease
from graphql_api.storage.engine import Database

logger = logging.getLogger(__name__)

_PAUSE = 0.5
"""Seconds between two looks at most."""
_SILENT = "The process that ran it has ended without a word; what is stored is served."


@dataclass(frozen=True, slots=True)
class _Shown:
    """A refresh of another process that is told of."""

    telling: Telling
    holder: str
    revision: int
    """Of the rows that it will have written."""


class Watch:
    """Looks for other processes' refreshes as long as anybody follows the hub.

    Before it has found one it looks at what the catalog has found anyway, and asks nothing.
    """

    def __init__(
        self,
        hub: ProgressHub,
        *,
        database: Database,
        catalog: Catalog,
        holder: str,
        clock: Callable[[], datetime],
    ) -> None:
        """Take `holder` for this process, whose refreshes tell the hub themselves."""
        self._hub = hub
        self._database = database
        self._catalog = catalog
        self._holder = holder
        self._clock = clock
        self._shown: _Shown | None = None
        self._seen: set[str] = set()
        """Ids of the attempts in the history that are no news."""

    async def run(self, interval: float) -> None:
        """Look for ever, every `interval` seconds or sooner."""
        while True:
            await self._hub.followed.wait()
            try:
                await self._while_followed(min(interval, _PAUSE))
            except Exception:
                logger.exception("Other processes' refreshes cannot be watched; trying again.")
                await asyncio.sleep(interval)

    async def _while_followed(self, pause: float) -> None:
        with suppress(DatabaseUnavailable):
            await self._catalog.sync()
        self._news()
        while self._hub.followed.is_set():
            with suppress(DatabaseUnavailable):  # who polls tells of it
                await self._look()
            await asyncio.sleep(pause)
        if self._shown is not None:
            self._hub.forget(self._shown.telling.refresh_id)
            self._shown = None

    async def _look(self) -> None:
        if self._shown is not None:
            await self._catalog.sync()
        for attempt in self._news():
            self._tell_end(attempt)
        if self._shown is None:
            await self._begin()
        elif self._catalog.holder != self._shown.holder:
            self._shown.telling.failed("INTERNAL_SERVER_ERROR", _SILENT)
            self._shown = None
        elif self._has_written(self._shown.revision):
            self._shown.telling.tell(Phase.DRAWING, 0.9, "Another server has written the countries")

    async def _begin(self) -> None:
        """Tell of the refresh that has the lease, if another process does and has not written."""
        holder = self._catalog.holder
        if holder is None or holder == self._holder:
            return
        held = await self._database.run(lease.look)
        if held is None or self._hub.knows(held.refresh_id) or self._has_written(held.revision):
            return
        elapsed_ms = max((self._clock() - held.taken_at).total_seconds() * 1000, 0)
        telling = self._hub.begin(held.refresh_id, elapsed_ms=elapsed_ms)
        self._shown = _Shown(telling, holder, held.revision)
        telling.tell(Phase.FETCHING, 0.05, "Another server fetches countries and exchange rates")

    def _news(self) -> list[Attempt]:
        """Return what the history has newly got, the oldest first."""
        history, seen = self._catalog.history, self._seen
        self._seen = {attempt.id for attempt in history}
        return [attempt for attempt in reversed(history) if attempt.id not in seen]

    def _tell_end(self, attempt: Attempt) -> None:
        if self._shown is not None and self._shown.telling.refresh_id == attempt.id:
            telling = self._shown.telling
            self._shown = None
        elif self._hub.knows(attempt.id):
            return
        else:
            took = attempt.timings.total_ms if isinstance(attempt, RefreshReport) else 0
            telling = self._hub.begin(attempt.id, elapsed_ms=took)
        if isinstance(attempt, RefreshReport):
            telling.done(attempt, "Done by another server")
        else:
            telling.failed(attempt.code, attempt.message)

    def _has_written(self, revision: int) -> bool:
        return self._catalog.snapshot.version.revision >= revision
