"""Who may refresh, and when: one refresh at a time in this process, whoever asks."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from graphql_api.catalog import Catalog
from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport, Trigger
from graphql_api.errors import (
    INTERNAL_ERROR_CODE,
    CountriesError,
    RefreshInProgress,
    RefreshTooSoon,
)
from graphql_api.images.cache import SummaryImageCache
from graphql_api.logging import extra_fields
from graphql_api.refresh import waiting
from graphql_api.refresh.lease_session import LeaseHeldByOther, LeaseSession
from graphql_api.refresh.pipeline import RefreshOptions, RefreshPipeline, SourceConfig
from graphql_api.refresh.progress import Phase, ProgressBroadcaster, ProgressReporter
from graphql_api.sources.fetch import LazyHTTPClient
from graphql_api.sources.providers import bundled
from graphql_api.storage.database import Database

logger = logging.getLogger(__name__)

DEFAULT_OPTIONS = RefreshOptions()
"""The plain one."""

CANCEL_GRACE_PERIOD = 0.5
"""Seconds that a cancelled refresh has to end by itself."""
_LEASE_MARGIN = 60
"""Seconds that a refresh has for all but fetching before its lease runs out."""


def _ignore(_: Attempt) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshLimits:
    """What keeps refreshes from being asked for too often."""

    min_interval: timedelta = timedelta(0)
    """From the end of a refresh to the begin of the next, on all replicas together."""
    max_waiting: int = 500
    """Who may wait for a refresh in this process at the same time."""


@dataclass(slots=True, kw_only=True)
class RefreshService:
    """Runs refreshes over one catalog."""

    database: Database
    catalog: Catalog
    summary_images: SummaryImageCache
    http_client: LazyHTTPClient
    sources: SourceConfig
    limits: RefreshLimits
    holder: str
    """Names this process among those that refresh the same database."""
    clock: Callable[[], datetime]
    """Returns the present instant, in UTC."""
    new_id: Callable[[], str]
    on_attempt: Callable[[Attempt], None] = _ignore
    """Is told of every refresh that ends here; must return at once."""
    progress: ProgressBroadcaster = field(default_factory=ProgressBroadcaster, init=False)
    """Tells of every refresh of this process, whoever began it."""
    _task: asyncio.Task[RefreshReport] | None = field(default=None, init=False)
    _pipeline: RefreshPipeline | None = field(default=None, init=False)
    _waiting_callers: int = field(default=0, init=False)
    _finish_tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _lease_lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _finish_lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @property
    def is_running(self) -> bool:
        """Tell whether a refresh runs in this process."""
        return self._task is not None and not self._task.done()

    @property
    def waiting_callers(self) -> int:
        """Return how many wait for a refresh in this process."""
        return self._waiting_callers

    async def refresh(self, options: RefreshOptions = DEFAULT_OPTIONS) -> RefreshReport:
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
        with self._count_caller():
            while True:
                try:
                    report = await asyncio.shield(self._join_or_start(options))
                except LeaseHeldByOther as error:
                    # Whoever began it does not wait for other processes.
                    if not options.wait:
                        raise _in_progress_error(error.lease_info.taken_at) from None
                else:
                    if report.has_asked_all_providers or not options.force:
                        return report

    async def load_bundled(self) -> RefreshReport:
        """Fill the catalog from the bundled data, without asking anybody."""
        sources = SourceConfig(
            countries=[bundled.COUNTRIES],
            rates=[bundled.RATES],
            api_timeout=self.sources.api_timeout,
            refresh_timeout=self.sources.refresh_timeout,
            on_fetch=self.sources.on_fetch,
        )
        return await self._run_refresh(sources, RefreshOptions(trigger=Trigger.START))

    async def close(self) -> None:
        """Stop a refresh that still fetches, and wait for one that writes and for what follows."""
        # A cancellation may be lost in giving up a dead connection, so once may not be enough.
        while self._task is not None and not self._task.done():
            # What is committed must be published, and told in the history.
            if self._pipeline is None or not self._pipeline.is_writing:
                self._task.cancel()
            await asyncio.wait([self._task], timeout=CANCEL_GRACE_PERIOD)
        if self._finish_tasks:
            await asyncio.wait(self._finish_tasks)

    @contextmanager
    def _count_caller(self) -> Iterator[None]:
        """Count a caller, and refuse one too many."""
        if self._waiting_callers >= self.limits.max_waiting:
            raise RefreshInProgress(
                f"{self._waiting_callers} callers wait for the refresh that runs already; try "
                "again later."
            )
        self._waiting_callers += 1
        try:
            yield
        finally:
            self._waiting_callers -= 1

    def _join_or_start(self, options: RefreshOptions) -> asyncio.Task[RefreshReport]:
        """Return the refresh that runs, begun now if need be."""
        if self._task is not None and not self._task.done():
            if not options.wait:
                raise _in_progress_error(self._pipeline.started_at if self._pipeline else None)
            return self._task
        self._check_min_interval(options)
        self._task = asyncio.create_task(self._run_refresh(self.sources, options))
        # A failure is logged where it happens; every caller may have gone away by then.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._task

    def _check_min_interval(self, options: RefreshOptions) -> None:
        """Refuse a refresh that comes too soon after the one before it, whoever ran that."""
        if options.trigger is Trigger.START or not self.limits.min_interval:
            return
        attempts = (
            attempt for attempt in self.catalog.history if attempt.trigger is not Trigger.START
        )
        last_attempt = next(attempts, None)
        # Another replica's clock may be ahead a little; one set back must not bar for long.
        if (
            last_attempt is not None
            and abs(self.clock() - last_attempt.at) < self.limits.min_interval
        ):
            retry_at = last_attempt.at + self.limits.min_interval
            raise RefreshTooSoon(
                "The last refresh ended less than "
                f"{self.limits.min_interval.total_seconds():g} s ago; "
                f"try again at {retry_at:%H:%M:%S} UTC.",
                retry_at=retry_at,
            )

    async def _run_refresh(self, sources: SourceConfig, options: RefreshOptions) -> RefreshReport:
        """Refresh, or return the report of another process that refreshes already; tell of it."""
        reporter = self.progress.create_reporter(self.new_id())
        reporter.emit(Phase.STARTED, 0, "Started")
        try:
            report = await self._run_or_wait(sources, options, reporter)
        except LeaseHeldByOther as error:
            reporter.emit_failed(
                RefreshInProgress.code, str(_in_progress_error(error.lease_info.taken_at))
            )
            raise
        except CountriesError as error:
            reporter.emit_failed(error.code, error.public_message)
            raise
        except BaseException:
            reporter.emit_failed("INTERNAL_SERVER_ERROR", "It broke off.")
            raise
        is_local = report.id == reporter.refresh_id
        reporter.emit_done(report, "Done" if is_local else "Done by another process")
        return report

    async def _run_or_wait(
        self, sources: SourceConfig, options: RefreshOptions, reporter: ProgressReporter
    ) -> RefreshReport:
        while True:
            try:
                return await self._run_locally(sources, options, reporter)
            except LeaseHeldByOther as error:
                if not options.wait:
                    raise
                self.progress.mark_seen(error.lease_info.refresh_id)
                reporter.emit(Phase.FETCHING, 0.05, "Waiting for another process's refresh")
                report = await waiting.wait_for_remote_refresh(
                    error.lease_info, database=self.database, catalog=self.catalog
                )
                if report is not None and (report.has_asked_all_providers or not options.force):
                    return report

    async def _run_locally(
        self, sources: SourceConfig, options: RefreshOptions, reporter: ProgressReporter
    ) -> RefreshReport:
        pipeline = self._pipeline = self._create_pipeline(sources, options, reporter)
        attempt: Attempt | None = None
        try:
            attempt = report = await pipeline.run()
        except (LeaseHeldByOther, RefreshTooSoon):
            raise
        except CountriesError as error:
            attempt = self._build_failure(pipeline, error.code, error.public_message)
            extra = extra_fields(refresh=pipeline.id, trigger=options.trigger, code=error.code)
            logger.warning("Refresh %s failed: %s: %s", pipeline.id, error.code, error, extra=extra)
            self.on_attempt(attempt)
            self.catalog.add_attempt(attempt)
            raise
        except Exception:
            extra = extra_fields(
                refresh=pipeline.id, trigger=options.trigger, code=INTERNAL_ERROR_CODE
            )
            logger.exception("Refresh %s broke off.", pipeline.id, extra=extra)
            self.on_attempt(self._build_failure(pipeline, INTERNAL_ERROR_CODE, "An internal error"))
            raise
        finally:
            self._pipeline = None
            self._finish_in_background(pipeline, attempt)
        self.on_attempt(report)
        _log_report(report)
        return report

    def _build_failure(self, pipeline: RefreshPipeline, code: str, message: str) -> RefreshFailure:
        return RefreshFailure(
            id=pipeline.id,
            at=self.clock(),
            code=code,
            message=message,
            trigger=pipeline.options.trigger,
        )

    def _create_pipeline(
        self, sources: SourceConfig, options: RefreshOptions, reporter: ProgressReporter
    ) -> RefreshPipeline:
        lease_session = LeaseSession(
            self.database,
            self.catalog,
            refresh_id=reporter.refresh_id,
            holder=self.holder,
            lease_duration=sources.refresh_timeout + _LEASE_MARGIN,
            lease_lock=self._lease_lock,
        )
        return RefreshPipeline(
            reporter=reporter,
            sources=sources,
            options=options,
            catalog=self.catalog,
            summary_images=self.summary_images,
            http_client=self.http_client,
            lease_session=lease_session,
            check_allowed=lambda: self._check_min_interval(options),
            clock=self.clock,
        )

    def _finish_in_background(self, pipeline: RefreshPipeline, attempt: Attempt | None) -> None:
        """Do what nobody needs to wait for: write the attempt down, let the database go."""
        task = asyncio.create_task(self._finish(pipeline, attempt))
        self._finish_tasks.add(task)
        task.add_done_callback(self._finish_tasks.discard)

    async def _finish(self, pipeline: RefreshPipeline, attempt: Attempt | None) -> None:
        # One after another: the database tells the order of attempts by the order of writing.
        async with self._finish_lock:
            await pipeline.lease_session.close(attempt, pipeline.cache_update)


def _in_progress_error(started_at: datetime | None) -> RefreshInProgress:
    return RefreshInProgress(
        "A refresh runs already; wait for it, or look at status for its outcome.",
        started_at=started_at,
    )


def _log_report(report: RefreshReport) -> None:
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
        extra=extra_fields(
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
