"""Who may refresh, and when: one refresh at a time in this process, whoever asks."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from graphql_api.catalog import Catalog
from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport
from graphql_api.errors import CountriesError
from graphql_api.refresh import waiting
from graphql_api.refresh.progress import Observer, Phase, Progress
from graphql_api.refresh.run import Run, Sources
from graphql_api.refresh.session import HeldElsewhere, Session
from graphql_api.sources import countries, rates
from graphql_api.storage.engine import Database

logger = logging.getLogger(__name__)

_SPARE = 60
"""Seconds that a refresh has for all but fetching before its lease runs out."""


@dataclass(slots=True, kw_only=True)
class RefreshService:
    """Runs refreshes over one catalog and one HTTP client."""

    database: Database
    catalog: Catalog
    client: httpx.AsyncClient
    sources: Sources
    holder: str
    """Names this process among those that refresh the same database."""
    clock: Callable[[], datetime]
    """Returns the present instant, in UTC."""
    new_id: Callable[[], str]
    _running: asyncio.Task[RefreshReport] | None = field(default=None, init=False)
    _run: Run | None = field(default=None, init=False)
    _tails: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _closing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @property
    def running(self) -> bool:
        """Tell whether a refresh runs in this process."""
        return self._running is not None and not self._running.done()

    async def refresh(
        self, observe: Observer = lambda _: None, *, force: bool = False
    ) -> RefreshReport:
        """Run a refresh, or join the one that runs; a caller that goes away does not stop it.

        A refresh that another process runs is waited for, and its report or error is the answer.
        With `force` providers are asked that are known to have nothing new, and what is joined or
        waited for is the answer only if it has asked them too. `observe` is told of a refresh that
        this call starts.

        Raises:
            SourceUnavailable, SourceInvalid, RefreshInProgress, DatabaseUnavailable: nothing was
                changed, and the history has the failure.
        """
        while True:
            if self._running is None or self._running.done():
                self._running = asyncio.create_task(self._refresh(self.sources, observe, force))
                # A failure is logged where it happens; every caller may have gone away by then.
                self._running.add_done_callback(lambda task: task.cancelled() or task.exception())
            report = await asyncio.shield(self._running)
            if report.has_asked or not force:
                return report

    async def load_bundled(self) -> RefreshReport:
        """Fill the catalog from the bundled data, without asking anybody."""
        bundled = Sources(
            countries=[provider for provider in countries.PROVIDERS.values() if not provider.live],
            rates=[provider for provider in rates.PROVIDERS.values() if not provider.live],
            seconds_each=self.sources.seconds_each,
            seconds_together=self.sources.seconds_together,
        )
        return await self._refresh(bundled, lambda _: None, force=False)

    async def close(self) -> None:
        """Stop a refresh that still fetches, and wait for one that writes and for what follows."""
        if self._running is not None and not self._running.done():
            # What is committed must be published, and told in the history.
            if self._run is None or not self._run.writing:
                self._running.cancel()
            await asyncio.wait([self._running])
        if self._tails:
            await asyncio.wait(self._tails)

    async def _refresh(self, sources: Sources, observe: Observer, force: bool) -> RefreshReport:
        """Refresh, or return the report of another process that refreshes already."""
        observe(Progress(Phase.STARTED, 0, "Started"))
        while True:
            try:
                return await self._refresh_here(sources, observe, force)
            except HeldElsewhere as error:
                observe(Progress(Phase.FETCHING, 0.05, "Waiting for another process's refresh"))
                report = await waiting.outcome(
                    error.held, database=self.database, catalog=self.catalog
                )
                if report is not None and (report.has_asked or not force):
                    observe(Progress(Phase.DONE, 1, "Done by another process"))
                    return report

    async def _refresh_here(
        self, sources: Sources, observe: Observer, force: bool
    ) -> RefreshReport:
        run = self._run = self._prepare(sources, observe, force)
        attempt: Attempt | None = None
        try:
            attempt = report = await run.perform()
        except HeldElsewhere:
            raise
        except CountriesError as error:
            observe(Progress(Phase.FAILED, 1, error.public))
            logger.warning("Refresh %s failed: %s: %s", run.id, error.code, error)
            attempt = RefreshFailure(
                id=run.id, at=self.clock(), code=error.code, message=error.public
            )
            self.catalog.remember(attempt)
            raise
        except Exception:
            observe(Progress(Phase.FAILED, 1, "An internal error"))
            logger.exception("Refresh %s broke off.", run.id)
            raise
        finally:
            self._run = None
            self._follow_up(run, attempt)
        observe(Progress(Phase.DONE, 1, "Done"))
        _log(report)
        return report

    def _prepare(self, sources: Sources, observe: Observer, force: bool) -> Run:
        refresh_id = self.new_id()
        session = Session(
            self.database,
            self.catalog,
            refresh_id=refresh_id,
            holder=self.holder,
            seconds=sources.seconds_together + _SPARE,
            turn=self._opening,
        )
        return Run(
            id=refresh_id,
            sources=sources,
            force=force,
            catalog=self.catalog,
            client=self.client,
            session=session,
            observe=observe,
            clock=self.clock,
        )

    def _follow_up(self, run: Run, attempt: Attempt | None) -> None:
        """Do what nobody needs to wait for: write the attempt down, let the database go."""
        tail = asyncio.create_task(self._close(run, attempt))
        self._tails.add(tail)
        tail.add_done_callback(self._tails.discard)

    async def _close(self, run: Run, attempt: Attempt | None) -> None:
        # One after another: the database tells the order of attempts by the order of writing.
        async with self._closing:
            await run.session.close(attempt, run.heard)


def _log(report: RefreshReport) -> None:
    timings = report.timings
    providers = ", ".join(
        f"{source.kind} from {source.provider}"
        + (" as kept" if source.cached else "")
        + (f" after {'; '.join(source.failures)}" if source.failures else "")
        for source in report.sources
    )
    logger.info(
        "Refresh %s: %d countries (%d new, %d changed, %d unchanged), %s; "
        "fetch %.0f ms (countries %.0f, rates %.0f), transform %.0f ms, upsert %.0f ms, "
        "draw %.0f ms meanwhile, total %.0f ms",
        report.id,
        report.total_countries,
        report.inserted,
        report.updated,
        report.unchanged,
        providers,
        timings.fetch_ms,
        timings.fetch_countries_ms,
        timings.fetch_rates_ms,
        timings.transform_ms,
        timings.upsert_ms,
        timings.image_ms or 0,
        timings.total_ms,
    )
