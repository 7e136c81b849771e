"""Who may refresh, and when: one refresh at a time in this process, whoever asks."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from graphql_api.catalog import Catalog
from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport, Trigger
from graphql_api.errors import INTERNAL, CountriesError, RefreshInProgress, RefreshTooSoon
from graphql_api.logs import fields
from graphql_api.refresh import waiting
from graphql_api.refresh.progress import Phase, ProgressHub, Telling
from graphql_api.refresh.run import RefreshOrder, Run, Sources
from graphql_api.refresh.session import HeldElsewhere, Session
from graphql_api.sources import countries, rates
from graphql_api.sources.web import Web
from graphql_api.storage.engine import Database

logger = logging.getLogger(__name__)

REQUEST = RefreshOrder()
"""The plain one."""

_BEFORE_CANCELLING_AGAIN = 0.5
"""Seconds that a cancelled refresh has to end by itself."""
_SPARE = 60
"""Seconds that a refresh has for all but fetching before its lease runs out."""


def _ignore(_: Attempt) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What keeps refreshes from being asked for too often."""

    pause: timedelta = timedelta(0)
    """From the end of a refresh to the begin of the next, on all replicas together."""
    callers: int = 500
    """Who may wait for a refresh in this process at the same time."""


@dataclass(slots=True, kw_only=True)
class RefreshService:
    """Runs refreshes over one catalog."""

    database: Database
    catalog: Catalog
    web: Web
    sources: Sources
    bounds: Bounds
    holder: str
    """Names this process among those that refresh the same database."""
    clock: Callable[[], datetime]
    """Returns the present instant, in UTC."""
    new_id: Callable[[], str]
    watch: Callable[[Attempt], None] = _ignore
    """Is told of every refresh that ends here; must return at once."""
    progress: ProgressHub = field(default_factory=ProgressHub, init=False)
    """Tells of every refresh of this process, whoever began it."""
    _running: asyncio.Task[RefreshReport] | None = field(default=None, init=False)
    _run: Run | None = field(default=None, init=False)
    _callers: int = field(default=0, init=False)
    _tails: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _closing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @property
    def running(self) -> bool:
        """Tell whether a refresh runs in this process."""
        return self._running is not None and not self._running.done()

    @property
    def callers(self) -> int:
        """Return how many wait for a refresh in this process."""
        return self._callers

    async def refresh(self, order: RefreshOrder = REQUEST) -> RefreshReport:
        """Run a refresh, or join the one that runs; a caller that goes away does not stop it.

        A refresh that another process runs is waited for, and its report or error is the answer.
        Who forces has what is joined or waited for as the answer only if every source was asked.

        Raises:
            RefreshTooSoon: the one before it has just ended; nothing was asked.
            RefreshInProgress: one runs and is not to be waited for, or too many wait for it, or
                another process took over from this one.
            SourceUnavailable, SourceInvalid, DatabaseUnavailable: the history has the failure, and
                nothing was changed, unless the database did not say whether it had written.
        """
        with self._counted():
            while True:
                try:
                    report = await asyncio.shield(self._join(order))
                except HeldElsewhere as elsewhere:
                    # Whoever began it does not wait for other processes.
                    if not order.wait:
                        raise _in_progress(elsewhere.held.taken_at) from None
                else:
                    if report.has_asked or not order.force:
                        return report

    async def load_bundled(self) -> RefreshReport:
        """Fill the catalog from the bundled data, without asking anybody."""
        bundled = Sources(
            countries=[provider for provider in countries.PROVIDERS.values() if not provider.live],
            rates=[provider for provider in rates.PROVIDERS.values() if not provider.live],
            seconds_each=self.sources.seconds_each,
            seconds_together=self.sources.seconds_together,
            heard=self.sources.heard,
        )
        return await self._refresh(bundled, RefreshOrder(trigger=Trigger.START))

    async def close(self) -> None:
        """Stop a refresh that still fetches, and wait for one that writes and for what follows."""
        # A cancellation may be lost in giving up a dead connection, so once may not be enough.
        while self._running is not None and not self._running.done():
            # What is committed must be published, and told in the history.
            if self._run is None or not self._run.writing:
                self._running.cancel()
            await asyncio.wait([self._running], timeout=_BEFORE_CANCELLING_AGAIN)
        if self._tails:
            await asyncio.wait(self._tails)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a caller, and refuse one too many."""
        if self._callers >= self.bounds.callers:
            raise RefreshInProgress(
                f"{self._callers} callers wait for the refresh that runs already; try again later."
            )
        self._callers += 1
        try:
            yield
        finally:
            self._callers -= 1

    def _join(self, order: RefreshOrder) -> asyncio.Task[RefreshReport]:
        """Return the refresh that runs, begun now if need be."""
        if self._running is not None and not self._running.done():
            if not order.wait:
                raise _in_progress(self._run.started_at if self._run else None)
            return self._running
        self._admit(order)
        self._running = asyncio.create_task(self._refresh(self.sources, order))
        # A failure is logged where it happens; every caller may have gone away by then.
        self._running.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._running

    def _admit(self, order: RefreshOrder) -> None:
        """Refuse a refresh that comes too soon after the one before it, whoever ran that."""
        if order.trigger is Trigger.START or not self.bounds.pause:
            return
        history = (one for one in self.catalog.history if one.trigger is not Trigger.START)
        before = next(history, None)
        # Another replica's clock may be ahead a little; one set back must not bar for long.
        if before is not None and abs(self.clock() - before.at) < self.bounds.pause:
            retry_at = before.at + self.bounds.pause
            raise RefreshTooSoon(
                f"The last refresh ended less than {self.bounds.pause.total_seconds():g} s ago; "
                f"try again at {retry_at:%H:%M:%S} UTC.",
                retry_at=retry_at,
            )

    async def _refresh(self, sources: Sources, order: RefreshOrder) -> RefreshReport:
        """Refresh, or return the report of another process that refreshes already; tell of it."""
        telling = self.progress.begin(self.new_id())
        telling.tell(Phase.STARTED, 0, "Started")
        try:
            report = await self._refresh_somewhere(sources, order, telling)
        except HeldElsewhere as elsewhere:
            telling.failed(RefreshInProgress.code, str(_in_progress(elsewhere.held.taken_at)))
            raise
        except CountriesError as error:
            telling.failed(error.code, error.public)
            raise
        except BaseException:
            telling.failed("INTERNAL_SERVER_ERROR", "It broke off.")
            raise
        here = report.id == telling.refresh_id
        telling.done(report, "Done" if here else "Done by another process")
        return report

    async def _refresh_somewhere(
        self, sources: Sources, order: RefreshOrder, telling: Telling
    ) -> RefreshReport:
        while True:
            try:
                return await self._refresh_here(sources, order, telling)
            except HeldElsewhere as elsewhere:
                if not order.wait:
                    raise
                self.progress.know(elsewhere.held.refresh_id)
                telling.tell(Phase.FETCHING, 0.05, "Waiting for another process's refresh")
                report = await waiting.outcome(
                    elsewhere.held, database=self.database, catalog=self.catalog
                )
                if report is not None and (report.has_asked or not order.force):
                    return report

    async def _refresh_here(
        self, sources: Sources, order: RefreshOrder, telling: Telling
    ) -> RefreshReport:
        run = self._run = self._prepare(sources, order, telling)
        attempt: Attempt | None = None
        try:
            attempt = report = await run.perform()
        except (HeldElsewhere, RefreshTooSoon):
            raise
        except CountriesError as error:
            attempt = self._failure(run, error.code, error.public)
            told = fields(refresh=run.id, trigger=order.trigger, code=error.code)
            logger.warning("Refresh %s failed: %s: %s", run.id, error.code, error, extra=told)
            self.watch(attempt)
            self.catalog.remember(attempt)
            raise
        except Exception:
            told = fields(refresh=run.id, trigger=order.trigger, code=INTERNAL)
            logger.exception("Refresh %s broke off.", run.id, extra=told)
            self.watch(self._failure(run, INTERNAL, "An internal error"))
            raise
        finally:
            self._run = None
            self._follow_up(run, attempt)
        self.watch(report)
        _log(report)
        return report

    def _failure(self, run: Run, code: str, message: str) -> RefreshFailure:
        return RefreshFailure(
            id=run.id,
            at=self.clock(),
            code=code,
            message=message,
            trigger=run.order.trigger,
        )

    def _prepare(self, sources: Sources, order: RefreshOrder, telling: Telling) -> Run:
        session = Session(
            self.database,
            self.catalog,
            refresh_id=telling.refresh_id,
            holder=self.holder,
            seconds=sources.seconds_together + _SPARE,
            turn=self._opening,
        )
        return Run(
            telling=telling,
            sources=sources,
            order=order,
            catalog=self.catalog,
            web=self.web,
            session=session,
            admit=lambda: self._admit(order),
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


def _in_progress(started_at: datetime | None) -> RefreshInProgress:
    return RefreshInProgress(
        "A refresh runs already; wait for it, or look at status for its outcome.",
        started_at=started_at,
    )


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
        extra=fields(
            refresh=report.id,
            trigger=report.trigger,
            countries=report.total_countries,
            inserted=report.inserted,
            updated=report.updated,
            unchanged=report.unchanged,
            missing=len(report.missing),
            skipped=len(report.skipped),
            statements=report.statements,
            revision=report.version.revision,
            providers={str(source.kind): source.provider for source in report.sources},
            **asdict(timings),
        ),
    )
