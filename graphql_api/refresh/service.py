"""Admission of refreshes: at most one at a time in this process, within the limits."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from graphql_api import tracing
from graphql_api.catalog import Catalog
from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport, Trigger
from graphql_api.errors import INTERNAL_ERROR_CODE, CountriesError, RefreshInProgress, RefreshTooSoon
from graphql_api.images.cache import SummaryImageCache
from graphql_api.logging import extra_fields
from graphql_api.refresh.lease_session import LeaseHeldByOther, LeaseSession, LeaseSessions
from graphql_api.refresh.pipeline import RefreshOptions, RefreshPipeline
from graphql_api.refresh.progress import Phase, ProgressBroadcaster, ProgressReporter
from graphql_api.refresh.remote import wait_for_remote_refresh
from graphql_api.refresh.sources import SourceConfig
from graphql_api.sources.fetch import LazyHTTPClient
from graphql_api.sources.providers import bundled
from graphql_api.storage.database import Database
from graphql_api.utils.tasks import cancel_all, retrieve_exception

logger = logging.getLogger(__name__)

DEFAULT_OPTIONS = RefreshOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshLimits:
    """How often refreshes may run, and how many callers may wait for one."""

    min_interval: timedelta = timedelta(0)
    """From the end of a refresh to the start of the next, on all replicas together."""
    max_waiting: int = 500
    """Callers in this process that may wait for a refresh at the same time."""


@dataclass(frozen=True, slots=True)
class _LocalRun:
    """A refresh that this process runs itself, rather than waiting for another process."""

    started_at: datetime
    lease_session: LeaseSession


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
    """Returns the current time, in UTC."""
    new_id: Callable[[], str]
    on_attempt: Callable[[Attempt], None] = lambda _: None
    """Called with the outcome of each refresh of this process; must not block."""
    progress: ProgressBroadcaster = field(default_factory=ProgressBroadcaster, init=False)
    """Emits the events of each refresh that this process runs or follows."""
    lease_sessions: LeaseSessions = field(init=False)
    waiting_callers: int = field(default=0, init=False)
    """Callers in this process that wait for a refresh."""
    _task: asyncio.Task[RefreshReport | LeaseHeldByOther] | None = field(default=None, init=False)
    _local_run: _LocalRun | None = field(default=None, init=False)
    _last_attempt: Attempt | None = field(default=None, init=False)
    """The last attempt of this process, except loads by a starting server. The history may lack it."""

    def __post_init__(self) -> None:
        """Share the database, the catalog and the holder with the lease sessions."""
        self.lease_sessions = LeaseSessions(database=self.database, catalog=self.catalog, holder=self.holder)

    @property
    def is_running(self) -> bool:
        """Return whether this process runs a refresh or waits for one of another process."""
        return self._task is not None and not self._task.done()

    async def refresh(self, options: RefreshOptions = DEFAULT_OPTIONS) -> RefreshReport:
        """Run a refresh, or join the one that is running. Cancelling a caller does not stop it.

        If another process runs a refresh, wait for it, and return its report or raise its error. With `force`, a joined
        refresh counts only if it requested every provider; otherwise a new one starts.

        Raises:
            RefreshTooSoon: the last refresh has just ended; no source was requested.
            RefreshInProgress: one is running and `wait` is false, or too many callers wait for it,
                or another process took over from this one.
            SourceUnavailable, SourceInvalid, DatabaseUnavailable: the history has the failure.
                Nothing was changed, unless the database did not confirm whether it had written.
        """
        with self._count_caller():
            while True:
                outcome = await asyncio.shield(self._join_or_start(options))
                if isinstance(outcome, LeaseHeldByOther) and options.wait:
                    continue  # The caller that started it does not wait for other processes.
                report = _require_report(outcome)
                if report.has_asked_all_providers or not options.force:
                    return report

    async def load_bundled(self) -> RefreshReport:
        """Fill the catalog from the bundled data, without any request."""
        sources = replace(
            self.sources, countries=[bundled.COUNTRIES], rates=[bundled.RATES], statistics=[bundled.STATISTICS]
        )
        return _require_report(await self._run(sources, RefreshOptions(trigger=Trigger.START)))

    async def close(self) -> None:
        """Stop a refresh that still fetches; wait for one that writes, and for its session."""
        if self._task is not None:
            # What is committed must be published, and recorded in the history.
            await cancel_all([self._task], may_cancel=lambda: not self._is_writing)
        await self.lease_sessions.wait_until_finished()

    @property
    def _is_writing(self) -> bool:
        return self._local_run is not None and self._local_run.lease_session.is_writing

    @contextmanager
    def _count_caller(self) -> Iterator[None]:
        if self.waiting_callers >= self.limits.max_waiting:
            raise RefreshInProgress(
                f"{self.waiting_callers} callers already wait for the running refresh; try again later."
            )
        self.waiting_callers += 1
        try:
            yield
        finally:
            self.waiting_callers -= 1

    def _join_or_start(self, options: RefreshOptions) -> asyncio.Task[RefreshReport | LeaseHeldByOther]:
        if self._task is not None and not self._task.done():
            if not options.wait:
                raise _in_progress_error(self._local_run.started_at if self._local_run else None)
            return self._task
        self._check_min_interval(options)
        self._task = asyncio.create_task(self._run(self.sources, options))
        self._task.add_done_callback(retrieve_exception)
        return self._task

    def _check_min_interval(self, options: RefreshOptions) -> None:
        """Raise if the last refresh, of any replica, ended less than the interval ago."""
        min_interval = self.limits.min_interval
        if options.trigger is Trigger.START or not min_interval:
            return
        ends = [attempt.at for attempt in self.catalog.history if attempt.trigger is not Trigger.START]
        if self._last_attempt is not None:
            ends.append(self._last_attempt.at)
        now = self.clock()
        # Clocks of replicas differ a little; one far ahead must not block refreshes for long.
        recent_ends = [end for end in ends if abs(now - end) < min_interval]
        if recent_ends:
            retry_at = max(recent_ends) + min_interval
            raise RefreshTooSoon(
                f"The last refresh ended less than {min_interval.total_seconds():g} s ago; "
                f"try again at {retry_at:%H:%M:%S} UTC.",
                retry_at=retry_at,
            )

    async def _run(self, sources: SourceConfig, options: RefreshOptions) -> RefreshReport | LeaseHeldByOther:
        """Run a refresh under an id of its own, as a span."""
        refresh_id = self.new_id()
        with tracing.span("refresh", {"graphql_api.refresh": refresh_id, "graphql_api.trigger": options.trigger}):
            return await self._run_reported(sources, options, self.progress.create_reporter(refresh_id))

    async def _run_reported(
        self, sources: SourceConfig, options: RefreshOptions, reporter: ProgressReporter
    ) -> RefreshReport | LeaseHeldByOther:
        """Run a refresh, and emit its events."""
        reporter.emit(Phase.STARTED, 0, "Started")
        try:
            outcome = await self._run_or_wait(sources, options, reporter)
        except CountriesError as error:
            reporter.emit_failed(error.code, error.public_message)
            raise
        except BaseException:
            reporter.emit_failed(INTERNAL_ERROR_CODE, "The refresh was aborted.")
            raise
        if isinstance(outcome, LeaseHeldByOther):
            in_progress = _in_progress_error(outcome.lease_info.taken_at)
            reporter.emit_failed(in_progress.code, in_progress.public_message)
        else:
            is_local = outcome.id == reporter.refresh_id
            reporter.emit_done(outcome, "Done" if is_local else "Done by another process")
        return outcome

    async def _run_or_wait(
        self, sources: SourceConfig, options: RefreshOptions, reporter: ProgressReporter
    ) -> RefreshReport | LeaseHeldByOther:
        while True:
            outcome = await self._run_locally(sources, options, reporter)
            if isinstance(outcome, RefreshReport) or not options.wait:
                return outcome
            self.progress.mark_seen(outcome.lease_info.refresh_id)
            reporter.emit(Phase.FETCHING, 0.05, "Waiting for another process's refresh")
            report = await wait_for_remote_refresh(outcome.lease_info, database=self.database, catalog=self.catalog)
            if report is not None and (report.has_asked_all_providers or not options.force):
                return report

    async def _run_locally(
        self, sources: SourceConfig, options: RefreshOptions, reporter: ProgressReporter
    ) -> RefreshReport | LeaseHeldByOther:
        async with self.lease_sessions.open(reporter.refresh_id) as session:
            self._local_run = _LocalRun(self.clock(), session)
            pipeline = RefreshPipeline(
                reporter=reporter,
                sources=sources,
                options=options,
                started_at=self._local_run.started_at,
                catalog=self.catalog,
                summary_images=self.summary_images,
                http_client=self.http_client,
                lease_session=session,
                check_allowed=lambda: self._check_min_interval(options),
                clock=self.clock,
            )
            try:
                result = await pipeline.run()
            except RefreshTooSoon:
                raise
            except Exception as error:
                self._record_failure(error, options, session)
                raise
            finally:
                self._local_run = None
            if isinstance(result, LeaseHeldByOther):
                return result
            session.record_at_end(result.report, result.cache_update)
        self._count_attempt(result.report)
        _log_report(result.report)
        return result.report

    def _count_attempt(self, attempt: Attempt) -> None:
        if attempt.trigger is not Trigger.START:
            self._last_attempt = attempt
        self.on_attempt(attempt)

    def _record_failure(self, error: Exception, options: RefreshOptions, session: LeaseSession) -> None:
        """Log a failure and pass it on. The history has all but internal errors."""
        expected = error if isinstance(error, CountriesError) else None
        code = expected.code if expected else INTERNAL_ERROR_CODE
        failure = RefreshFailure(
            id=session.refresh_id,
            at=self.clock(),
            code=code,
            message=expected.public_message if expected else "An internal error",
            trigger=options.trigger,
        )
        self._count_attempt(failure)
        extra = extra_fields(refresh=session.refresh_id, trigger=options.trigger, code=code)
        if expected:
            logger.warning("Refresh %s failed: %s: %s", failure.id, code, error, extra=extra)
            self.catalog.add_attempt(failure)
            session.record_at_end(failure)
        else:
            message = "Refresh %s was aborted by an internal error."
            logger.error(message, failure.id, exc_info=error, extra=extra)


def _require_report(outcome: RefreshReport | LeaseHeldByOther) -> RefreshReport:
    if isinstance(outcome, LeaseHeldByOther):
        raise _in_progress_error(outcome.lease_info.taken_at)
    return outcome


def _in_progress_error(started_at: datetime | None) -> RefreshInProgress:
    return RefreshInProgress(
        "A refresh is already running; wait for it, or query status for its outcome.", started_at=started_at
    )


def _log_report(report: RefreshReport) -> None:
    fields = _list_log_fields(report)
    sources = ", ".join(
        f"{source.kind} from {source.provider}"
        + (" (cached)" if source.cached else " (stored)" if source.stored else "")
        + (f" after {'; '.join(source.failures)}" if source.failures and not source.is_fallback else "")
        for source in report.sources
    )
    logger.log(
        logging.WARNING if report.warning else logging.INFO,
        "Refresh %(refresh)s: %(warning)s%(countries)d countries (%(inserted)d new, %(updated)d changed, "
        "%(unchanged)d unchanged), %(sources)s; fetch %(fetch_ms).0f ms (countries "
        "%(fetch_countries_ms).0f, rates %(fetch_rates_ms).0f, statistics %(fetch_statistics_ms).0f), "
        "transform %(transform_ms).0f ms, upsert %(upsert_ms).0f ms, image %(image_ms).0f ms in parallel, "
        "total %(total_ms).0f ms",
        {
            **fields,
            "sources": sources,
            "image_ms": report.timings.image_ms or 0,
            "warning": f"{report.warning} " if report.warning else "",
        },
        extra=extra_fields(**fields),
    )


def _list_log_fields(report: RefreshReport) -> dict[str, Any]:
    return {
        "refresh": report.id,
        "trigger": report.trigger,
        "countries": report.total_countries,
        "inserted": report.inserted,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "missing": len(report.missing),
        "skipped": report.skipped_count,
        "statements": report.statements,
        "revision": report.version.revision,
        "providers": {str(source.kind): source.provider for source in report.sources},
        **asdict(report.timings),
    }
