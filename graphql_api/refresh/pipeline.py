"""One refresh, from its first request to its report: all or nothing in the database."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from graphql_api.catalog import Catalog
from graphql_api.domain.country import BUNDLED
from graphql_api.domain.merge import MergeResult, SourceData, merge
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.report import RefreshReport, SourceKind, Timings, Trigger
from graphql_api.domain.snapshot import Snapshot
from graphql_api.errors import SourceInvalid, SourceUnavailable
from graphql_api.images.cache import SummaryImageCache
from graphql_api.refresh.lease_session import LeaseHeldByOther, LeaseSession
from graphql_api.refresh.progress import Phase, ProgressReporter
from graphql_api.sources.fetch import FetchContext, FetchResult, LazyHTTPClient, OnFetch, fetch_first
from graphql_api.sources.provider import Provider, ProviderData, RawCountries, RawRates
from graphql_api.sources.provider_cache import ProviderCache
from graphql_api.sources.retry import RetryPolicy
from graphql_api.sources.validation import (
    ShortListError,
    ValidatedCountries,
    ValidatedRates,
    require_half_of_countries,
    require_half_of_currencies,
    validate_countries,
    validate_rates,
)
from graphql_api.storage.countries import StaleWriteError
from graphql_api.utils.tasks import task_group

logger = logging.getLogger(__name__)

D = TypeVar("D", bound=ProviderData)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """Providers of each source, in the order in which they are tried, and how to request them."""

    countries: Sequence[Provider[RawCountries]]
    rates: Sequence[Provider[RawRates]]
    api_timeout: float
    """Seconds for one provider, from connecting to its last byte."""
    refresh_timeout: float
    """Seconds for fetching all sources of a refresh."""
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    on_fetch: OnFetch = lambda *_: None


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
class _FetchedSources:
    countries: FetchResult[ValidatedCountries]
    rates: FetchResult[ValidatedRates]
    duration_ms: float

    @property
    def source_data(self) -> SourceData:
        countries_report, rates_report = self.countries.report, self.rates.report
        return SourceData(
            figures=self.countries.data.figures,
            figures_from=Provenance(provider=countries_report.provider, as_of=countries_report.as_of),
            rates=self.rates.data.rates,
            rates_from=Provenance(provider=rates_report.provider, as_of=rates_report.as_of),
        )


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
        cache_update = ProviderCache(countries=fetched.countries.to_cache, rates=fetched.rates.to_cache)
        while True:
            try:
                async with self.catalog.write_lock:
                    upserted = await self._merge_and_upsert(fetched, revision)
                    report = self._build_report(fetched, upserted, started)
                    self.catalog.publish(upserted.merged.snapshot, report, cache_update)
                return RefreshResult(report, cache_update)
            except StaleWriteError:
                # A deletion took a higher revision. Not under the write lock, which the catalog takes to sync.
                revision = await self.lease_session.renew()

    async def _fetch_and_acquire(self) -> tuple[_FetchedSources, int] | LeaseHeldByOther:
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
        acquired = await self.lease_session.acquire()
        if not isinstance(acquired, LeaseHeldByOther):
            self.check_allowed()
        return acquired

    async def _fetch(self) -> _FetchedSources:
        self.reporter.emit(Phase.FETCHING, 0.05, "Fetching countries and exchange rates")
        started = time.perf_counter()
        failures: dict[SourceKind, list[str]] = {kind: [] for kind in SourceKind}
        try:
            async with asyncio.timeout(self.sources.refresh_timeout):
                fetched_countries, fetched_rates = await self._fetch_all(failures)
        except TimeoutError:
            reasons = "".join(f"; {reason}" for kind in failures.values() for reason in kind)
            raise SourceUnavailable(
                f"The sources did not respond within {self.sources.refresh_timeout:g} s{reasons}."
            ) from None
        return _FetchedSources(fetched_countries, fetched_rates, _elapsed_ms(started))

    async def _fetch_all(
        self, failures: Mapping[SourceKind, list[str]]
    ) -> tuple[FetchResult[ValidatedCountries], FetchResult[ValidatedRates]]:
        context = FetchContext(
            http_client=self.http_client,
            now=self.started_at,
            api_timeout=self.sources.api_timeout,
            retry_policy=self.sources.retries,
            on_fetch=self.sources.on_fetch,
        )
        provider_cache = ProviderCache() if self.options.force else self.catalog.provider_cache
        countries_fetch = fetch_first(
            SourceKind.COUNTRIES,
            self.sources.countries,
            lambda raw: require_half_of_countries(
                validate_countries(raw, self.catalog.reference), self.catalog.snapshot
            ),
            context=context,
            cached_data=provider_cache.countries,
            failures=failures[SourceKind.COUNTRIES],
        )
        rates_fetch = fetch_first(
            SourceKind.RATES,
            self.sources.rates,
            lambda raw: require_half_of_currencies(validate_rates(raw), self.catalog.snapshot),
            context=context,
            cached_data=provider_cache.rates,
            failures=failures[SourceKind.RATES],
        )
        fractions = iter((0.35, 0.65))
        async with task_group() as group:
            countries_task = group.create_task(
                self._report_fetched(countries_fetch, lambda data: f"{len(data.figures)} countries", fractions)
            )
            rates_task = group.create_task(
                self._report_fetched(rates_fetch, lambda data: f"{len(data.rates)} rates", fractions)
            )
        return countries_task.result(), rates_task.result()

    async def _report_fetched(
        self, fetch: Awaitable[FetchResult[D]], describe: Callable[[D], str], fractions: Iterator[float]
    ) -> FetchResult[D]:
        """Report the provider of a source, with the number of records and the next fraction."""
        fetched = await fetch
        report = fetched.report
        records = describe(fetched.data)
        message = f"Reused {records} of {report.provider}" if report.cached else f"{report.provider} returned {records}"
        self.reporter.emit(Phase.FETCHING, next(fractions), message)
        return fetched

    async def _merge_and_upsert(self, fetched: _FetchedSources, revision: int) -> _UpsertResult:
        """Merge into the stored data and write the rows; draw the image in a thread meanwhile."""
        self.reporter.emit(Phase.TRANSFORMING, 0.7, "Merging")
        started = time.perf_counter()
        stored = self.catalog.snapshot
        _validate_against_stored(fetched, stored)
        merged = merge(
            fetched.source_data,
            stored,
            reference=self.catalog.reference,
            refreshed_at=self.started_at,
            revision=revision,
        )
        transform_ms = _elapsed_ms(started)
        self.reporter.emit(Phase.UPSERTING, 0.75, f"Writing {len(merged.rows)} countries")
        started = time.perf_counter()
        async with task_group() as group:
            image_task = group.create_task(self._draw_image(merged.snapshot))
            statements = await self.lease_session.store(merged.rows)
            upsert_ms = _elapsed_ms(started)
            self.reporter.emit(Phase.DRAWING, 0.9, "Drawing the summary")
        return _UpsertResult(merged, statements, transform_ms, upsert_ms, image_task.result())

    async def _draw_image(self, snapshot: Snapshot) -> float | None:
        started = time.perf_counter()
        try:
            await self.summary_images.get(snapshot)
        except Exception:
            # The data is complete without it, and a request for the image draws it again.
            logger.exception("The summary image could not be drawn.")
            return None
        return _elapsed_ms(started)

    def _build_report(self, fetched: _FetchedSources, upserted: _UpsertResult, started: float) -> RefreshReport:
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
            skipped=fetched.countries.data.skipped,
            unnamed_skipped=fetched.countries.data.unnamed_skipped,
            statements=upserted.statements,
            timings=Timings(
                fetch_countries_ms=fetched.countries.duration_ms,
                fetch_rates_ms=fetched.rates.duration_ms,
                fetch_ms=fetched.duration_ms,
                transform_ms=upserted.transform_ms,
                upsert_ms=upserted.upsert_ms,
                image_ms=upserted.image_ms,
                total_ms=_elapsed_ms(started),
            ),
            sources=(fetched.countries.report, fetched.rates.report),
            trigger=self.options.trigger,
        )


def _validate_against_stored(fetched: _FetchedSources, stored: Snapshot) -> None:
    """Reject data that is worse than the stored data.

    Raises:
        SourceUnavailable: the data is bundled, and the stored data is live.
        SourceInvalid: the same, and a provider listed less than half of what is stored; or this data does.
    """
    _reject_bundled(fetched.countries, stored.has_live_figures)
    _reject_bundled(fetched.rates, stored.has_live_rates)
    # Another process may have stored more since the sources were validated.
    _reject_short_list(fetched.countries, stored, require_half_of_countries)
    _reject_short_list(fetched.rates, stored, require_half_of_currencies)


def _reject_short_list(fetched: FetchResult[D], stored: Snapshot, require_half: Callable[[D, Snapshot], D]) -> None:
    try:
        require_half(fetched.data, stored)
    except ShortListError as error:
        raise SourceInvalid(f"{fetched.report.provider} {error}; nothing was changed.") from None


def _reject_bundled(fetched: FetchResult[D], has_live_data: bool) -> None:
    report = fetched.report
    if report.provider == BUNDLED and has_live_data:
        reasons = "; ".join(report.failures) or "no live source is configured"
        raise fetched.failure_type(
            f"No live source of {report.kind} could be used, and bundled data never replaces live data. {reasons}."
        )


def _elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
