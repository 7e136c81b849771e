"""One refresh, from its first request to its report: all or nothing in the database."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from graphql_api import tracing
from graphql_api.catalog import Catalog
from graphql_api.domain.merge import MergeResult, SourceData, merge
from graphql_api.domain.report import RefreshReport, Timings, Trigger
from graphql_api.domain.snapshot import Snapshot
from graphql_api.images.cache import SummaryImageCache
from graphql_api.refresh.lease_session import LeaseHeldByOther, LeaseSession
from graphql_api.refresh.progress import Phase, ProgressReporter
from graphql_api.refresh.sources import FetchedSources, SourceConfig, SourceFetcher, elapsed_ms
from graphql_api.sources.fetch import FetchContext, LazyHTTPClient
from graphql_api.sources.provider_cache import ProviderCache
from graphql_api.storage.countries import StaleWriteError
from graphql_api.utils.slices import run_in_slices
from graphql_api.utils.tasks import task_group

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshOptions:
    """Options of one call of `RefreshService.refresh`."""

    trigger: Trigger = Trigger.REQUEST
    force: bool = False
    """True to request also the providers that are known to have nothing new."""
    wait: bool = True
    """True to wait for a refresh that is already running, and return its report."""


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """A refresh that was written and published."""

    report: RefreshReport
    cache_update: ProviderCache
    """Provider data to store for the next refresh."""


@dataclass(frozen=True, slots=True)
class _UpsertResult:
    merged: MergeResult
    statements: int
    transform_ms: float
    upsert_ms: float
    image_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshPipeline:
    """Fetches, merges, writes and publishes within one lease session. Runs once."""

    reporter: ProgressReporter
    sources: SourceConfig
    options: RefreshOptions
    started_at: datetime
    catalog: Catalog
    summary_images: SummaryImageCache
    http_client: LazyHTTPClient
    lease_session: LeaseSession
    check_allowed: Callable[[], None]
    """Called once the catalog is synced under the lease; raises if the refresh is not allowed."""
    clock: Callable[[], datetime]

    async def run(self) -> RefreshResult | LeaseHeldByOther:
        """Fetch, write and publish, unless another process holds the lease.

        Raises:
            RefreshTooSoon: from `check_allowed`.
            SourceUnavailable, SourceInvalid, RefreshInProgress: nothing was changed.
            DatabaseUnavailable: nothing was changed or, if the response was lost, everything.
        """
        started = time.perf_counter()
        prepared = await self._fetch_and_acquire()
        if isinstance(prepared, LeaseHeldByOther):
            return prepared
        fetched, revision = prepared
        while True:
            try:
                async with self.catalog.write_lock:
                    self.reporter.emit(Phase.TRANSFORMING, 0.7, "Merging")
                    stored = self.catalog.snapshot
                    usable = fetched.validated_against(stored)
                    upserted = await self._merge_and_upsert(usable, stored, revision)
                    report = self._build_report(usable, stored, upserted, started)
                    self.catalog.publish(upserted.merged.snapshot, report, usable.cache_update)
                return RefreshResult(report, usable.cache_update)
            except StaleWriteError:
                # A deletion took a higher revision. Not under the write lock, which the catalog takes to sync.
                revision = await self.lease_session.next_revision()

    async def _fetch_and_acquire(self) -> tuple[FetchedSources, int] | LeaseHeldByOther:
        """Fetch the sources and acquire the lease at once; the failure of one stops the other."""
        if self.lease_session.seems_held_by_other:
            # Requests would most likely be in vain.
            acquired = await self._acquire()
            if isinstance(acquired, LeaseHeldByOther):
                return acquired
        async with task_group() as group:
            fetch_task = group.create_task(self._fetch())
            acquired = await self._acquire()
            if isinstance(acquired, LeaseHeldByOther):
                fetch_task.cancel()
                return acquired
        return fetch_task.result(), acquired

    async def _acquire(self) -> int | LeaseHeldByOther:
        with tracing.span("refresh lease"):
            acquired = await self.lease_session.acquire()
        if not isinstance(acquired, LeaseHeldByOther):
            self.check_allowed()
        return acquired

    async def _fetch(self) -> FetchedSources:
        fetcher = SourceFetcher(
            sources=self.sources,
            context=FetchContext(
                http_client=self.http_client,
                now=self.started_at,
                api_timeout=self.sources.api_timeout,
                retry_policy=self.sources.retries,
                on_fetch=self.sources.on_fetch,
            ),
            provider_cache=ProviderCache() if self.options.force else self.catalog.provider_cache,
            catalog=self.catalog,
            reporter=self.reporter,
        )
        with tracing.span("refresh fetch"):
            return await fetcher.fetch()

    async def _merge_and_upsert(self, fetched: FetchedSources, stored: Snapshot, revision: int) -> _UpsertResult:
        """Merge into the stored data in slices, and write the rows; draw the image meanwhile."""
        started = time.perf_counter()
        with tracing.span("refresh transform"):
            merged = await run_in_slices(partial(self._merge, fetched.source_data, stored, revision))
        transform_ms = elapsed_ms(started)
        self.reporter.emit(Phase.UPSERTING, 0.75, f"Writing {len(merged.rows)} countries")
        started = time.perf_counter()
        async with task_group() as group:
            image_task = group.create_task(self._draw_image(merged.snapshot))
            with tracing.span("refresh upsert"):
                statements = await self.lease_session.store(merged.rows)
            upsert_ms = elapsed_ms(started)
            self.reporter.emit(Phase.DRAWING, 0.9, "Drawing the summary")
        return _UpsertResult(merged, statements, transform_ms, upsert_ms, image_task.result())

    def _merge(self, source_data: SourceData, stored: Snapshot, revision: int) -> MergeResult:
        merged = merge(
            source_data, stored, reference=self.catalog.reference, refreshed_at=self.started_at, revision=revision
        )
        self.catalog.prepare(merged.snapshot)
        return merged

    async def _draw_image(self, snapshot: Snapshot) -> float | None:
        started = time.perf_counter()
        try:
            with tracing.span("refresh image"):
                await self.summary_images.get(snapshot)
        except Exception:
            # The data is complete without it, and a request for the image draws it again.
            logger.exception("The summary image could not be drawn.")
            return None
        return elapsed_ms(started)

    def _build_report(
        self, fetched: FetchedSources, stored: Snapshot, upserted: _UpsertResult, started: float
    ) -> RefreshReport:
        merged = upserted.merged
        return RefreshReport(
            id=self.reporter.refresh_id,
            started_at=self.started_at,
            finished_at=self.clock(),
            version=merged.snapshot.version,
            inserted=merged.inserted,
            updated=merged.updated,
            unchanged=merged.unchanged,
            missing=merged.missing,
            skipped=fetched.skipped,
            unnamed_skipped=fetched.unnamed_skipped,
            statements=upserted.statements,
            timings=Timings(
                fetch_countries_ms=fetched.countries.duration_ms,
                fetch_rates_ms=fetched.rates.duration_ms,
                fetch_statistics_ms=fetched.statistics_ms,
                fetch_ms=fetched.duration_ms,
                transform_ms=upserted.transform_ms,
                upsert_ms=upserted.upsert_ms,
                image_ms=upserted.image_ms,
                total_ms=elapsed_ms(started),
            ),
            sources=(fetched.countries.report, fetched.rates.report, fetched.report_statistics(stored)),
            trigger=self.options.trigger,
        )
