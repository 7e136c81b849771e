"""One refresh, from its first question to its report: all or nothing in the database."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from graphql_api.catalog import Catalog
from graphql_api.domain.country import BUNDLED
from graphql_api.domain.merge import MergeResult, SourceData, merge
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.report import RefreshReport, SourceKind, SourceReport, Timings, Trigger
from graphql_api.domain.snapshot import Snapshot
from graphql_api.errors import SourceInvalid, SourceUnavailable
from graphql_api.images.cache import SummaryImageCache
from graphql_api.refresh.lease_session import LeaseSession
from graphql_api.refresh.progress import Phase, ProgressReporter
from graphql_api.sources.fetch import (
    FetchAttempt,
    FetchContext,
    FetchResult,
    LazyHTTPClient,
    ProviderData,
    fetch_first,
    ignore_attempt,
)
from graphql_api.sources.provider import Provider, RawCountries, RawRates
from graphql_api.sources.provider_cache import ProviderCache
from graphql_api.sources.retry import RetryPolicy
from graphql_api.sources.validation import (
    ValidatedCountries,
    ValidatedRates,
    validate_countries,
    validate_rates,
)

logger = logging.getLogger(__name__)

D = TypeVar("D", bound=ProviderData)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """Whom to ask, and how long to wait, in seconds."""

    countries: Sequence[Provider[RawCountries]]
    rates: Sequence[Provider[RawRates]]
    api_timeout: float
    """For one provider, from connecting to its last byte."""
    refresh_timeout: float
    """For all fetching of a refresh."""
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    on_fetch: Callable[[FetchAttempt], None] = ignore_attempt
    """Is told of what each provider gives; must return at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshOptions:
    """What is asked of a refresh."""

    trigger: Trigger = Trigger.REQUEST
    force: bool = False
    """Whether providers are asked that are known to have nothing new."""
    wait: bool = True
    """Whether to wait for a refresh that runs already, and have its report."""


@dataclass(frozen=True, slots=True)
class _SourceResults:
    countries: FetchResult[ValidatedCountries]
    rates: FetchResult[ValidatedRates]
    milliseconds: float

    @property
    def source_data(self) -> SourceData:
        countries_report, rates_report = self.countries.report, self.rates.report
        return SourceData(
            figures=self.countries.data.figures,
            figures_from=Provenance(
                provider=countries_report.provider, as_of=countries_report.as_of
            ),
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


@dataclass(slots=True, kw_only=True)
class RefreshPipeline:
    """A refresh that may be performed once."""

    reporter: ProgressReporter
    sources: SourceConfig
    options: RefreshOptions
    catalog: Catalog
    summary_images: SummaryImageCache
    http_client: LazyHTTPClient
    lease_session: LeaseSession
    check_allowed: Callable[[], None]
    """Is asked once all is known that other processes have done; refuses by an exception."""
    clock: Callable[[], datetime]
    started_at: datetime | None = field(default=None, init=False)
    is_writing: bool = field(default=False, init=False)
    """Whether the database may have got the rows: what is committed must be published too."""
    cache_update: ProviderCache = field(default=ProviderCache(), init=False)
    """What is to be remembered of the providers' answers, once the refresh has succeeded."""
    fetched_kinds: int = field(default=0, init=False)
    """Of how many kinds the data is at hand."""

    @property
    def id(self) -> str:
        """Return the refresh's id."""
        return self.reporter.refresh_id

    async def run(self) -> RefreshReport:
        """Fetch, write and publish.

        Raises:
            HeldElsewhere: another process refreshes.
            RefreshTooSoon: it is not admitted.
            SourceUnavailable, SourceInvalid, RefreshInProgress: nothing was changed.
            DatabaseUnavailable: nothing was changed, or, where the answer was lost, all.
        """
        started_at, started = self.clock(), time.perf_counter()
        self.started_at = started_at
        results = await self._fetch_and_open(started_at)
        async with self.catalog.write_lock:
            upserted = await self._merge_and_upsert(results, started_at)
            self.cache_update = ProviderCache(
                countries=results.countries.to_cache, rates=results.rates.to_cache
            )
            report = RefreshReport(
                id=self.id,
                started_at=started_at,
                finished_at=self.clock(),
                version=upserted.merged.snapshot.version,
                inserted=upserted.merged.inserted,
                updated=upserted.merged.updated,
                unchanged=upserted.merged.unchanged,
                missing=upserted.merged.missing,
                skipped=results.countries.data.skipped,
                statements=upserted.statements,
                timings=_timings(results, upserted, started),
                sources=(results.countries.report, results.rates.report),
                trigger=self.options.trigger,
            )
            self.catalog.publish(upserted.merged.snapshot, report, self.cache_update)
        return report

    async def _fetch_and_open(self, now: datetime) -> _SourceResults:
        """Fetch while the session opens, each within its own time; what fails stops the other."""
        if self.lease_session.seems_held_by_other:
            # It will most likely be refused, and then nobody has been asked in vain.
            await self._open()
        try:
            async with asyncio.TaskGroup() as group:
                fetch_task = group.create_task(self._fetch(now))
                group.create_task(self._open())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return fetch_task.result()

    async def _fetch(self, now: datetime) -> _SourceResults:
        self.reporter.emit(Phase.FETCHING, 0.05, "Fetching countries and exchange rates")
        started = time.perf_counter()
        failures: dict[SourceKind, list[str]] = {kind: [] for kind in SourceKind}
        try:
            async with asyncio.timeout(self.sources.refresh_timeout):
                fetched_countries, fetched_rates = await self._fetch_all(now, failures)
        except TimeoutError:
            reasons = "".join(f"; {reason}" for kind in failures.values() for reason in kind)
            raise SourceUnavailable(
                f"The sources did not answer within {self.sources.refresh_timeout:g} s{reasons}."
            ) from None
        return _SourceResults(fetched_countries, fetched_rates, _elapsed_ms(started))

    async def _fetch_all(
        self, now: datetime, failures: Mapping[SourceKind, list[str]]
    ) -> tuple[FetchResult[ValidatedCountries], FetchResult[ValidatedRates]]:
        """Ask for both kinds at once; the one that fails stops the other."""
        fetch_context = FetchContext(
            http_client=self.http_client,
            now=now,
            api_timeout=self.sources.api_timeout,
            retry_policy=self.sources.retries,
            on_fetch=self.sources.on_fetch,
        )
        provider_cache = ProviderCache() if self.options.force else self.catalog.provider_cache
        try:
            async with asyncio.TaskGroup() as group:
                countries_fetch = fetch_first(
                    SourceKind.COUNTRIES,
                    self.sources.countries,
                    lambda raw: validate_countries(raw, self.catalog.reference),
                    context=fetch_context,
                    cached_data=provider_cache.countries,
                    failures=failures[SourceKind.COUNTRIES],
                )
                rates_fetch = fetch_first(
                    SourceKind.RATES,
                    self.sources.rates,
                    validate_rates,
                    context=fetch_context,
                    cached_data=provider_cache.rates,
                    failures=failures[SourceKind.RATES],
                )
                countries_task = group.create_task(
                    self._report_fetched(
                        countries_fetch, lambda data: f"{len(data.figures)} countries"
                    )
                )
                rates_task = group.create_task(
                    self._report_fetched(rates_fetch, lambda data: f"{len(data.rates)} rates")
                )
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return countries_task.result(), rates_task.result()

    async def _report_fetched(
        self, fetch: Awaitable[FetchResult[D]], describe: Callable[[D], str]
    ) -> FetchResult[D]:
        """Tell who has given the data of one kind, and how much of it."""
        fetched = await fetch
        self.fetched_kinds += 1
        report = fetched.report
        status = "answered" if report.live else "was not asked"
        message = f"{report.provider} {status}: {describe(fetched.data)}"
        self.reporter.emit(Phase.FETCHING, 0.05 + 0.3 * self.fetched_kinds, message)
        return fetched

    async def _open(self) -> None:
        await self.lease_session.wait_until_open()
        self.check_allowed()

    async def _merge_and_upsert(
        self, results: _SourceResults, refreshed_at: datetime
    ) -> _UpsertResult:
        """Merge into what is stored, and write."""
        self.reporter.emit(Phase.TRANSFORMING, 0.7, "Merging")
        started = time.perf_counter()
        validate_against_stored(results.countries, results.rates, self.catalog.snapshot)
        merged = merge(
            results.source_data,
            self.catalog.snapshot,
            reference=self.catalog.reference,
            refreshed_at=refreshed_at,
            revision=self.lease_session.revision,
        )
        return await self._upsert(merged, _elapsed_ms(started))

    async def _upsert(self, merged: MergeResult, transform_ms: float) -> _UpsertResult:
        """Write the rows while the picture is drawn in a thread."""
        self.reporter.emit(Phase.UPSERTING, 0.75, f"Writing {len(merged.rows)} countries")
        image_task = asyncio.create_task(self._draw_image(merged.snapshot))
        self.is_writing = True
        started = time.perf_counter()
        try:
            statements = await self.lease_session.store(merged.rows)
        except BaseException:
            image_task.cancel()
            raise
        upsert_ms = _elapsed_ms(started)
        self.reporter.emit(Phase.DRAWING, 0.9, "Drawing the summary")
        return _UpsertResult(merged, statements, transform_ms, upsert_ms, await image_task)

    async def _draw_image(self, snapshot: Snapshot) -> float | None:
        started = time.perf_counter()
        try:
            await self.summary_images.get(snapshot)
        except Exception:
            # The data are right without it, and whoever asks for the picture draws it again.
            logger.exception("The summary picture could not be drawn.")
            return None
        return _elapsed_ms(started)


def validate_against_stored(
    fetched_countries: FetchResult[ValidatedCountries],
    fetched_rates: FetchResult[ValidatedRates],
    stored: Snapshot,
) -> None:
    """Refuse data that would make what is stored worse.

    Raises:
        SourceUnavailable: only bundled data is at hand, and live data is stored.
        SourceInvalid: less than half of the stored countries are listed.
    """
    _reject_bundled(fetched_countries.report, stored.has_live_figures)
    _reject_bundled(fetched_rates.report, stored.has_live_rates)
    if len(fetched_countries.data.figures) * 2 < len(stored.rows):
        raise SourceInvalid(
            f"{fetched_countries.report.provider} lists {len(fetched_countries.data.figures)} "
            "usable countries, less "
            f"than half of the {len(stored.rows)} stored; nothing was changed."
        )


def _reject_bundled(report: SourceReport, has_live_data: bool) -> None:
    if report.provider == BUNDLED and has_live_data:
        reasons = "; ".join(report.failures) or "no live source is configured"
        raise SourceUnavailable(
            f"No live source of {report.kind} could be used, and bundled data never replaces "
            f"live data. {reasons}."
        )


def _timings(results: _SourceResults, upserted: _UpsertResult, started: float) -> Timings:
    return Timings(
        fetch_countries_ms=results.countries.duration_ms,
        fetch_rates_ms=results.rates.duration_ms,
        fetch_ms=results.milliseconds,
        transform_ms=upserted.transform_ms,
        upsert_ms=upserted.upsert_ms,
        image_ms=upserted.image_ms,
        total_ms=_elapsed_ms(started),
    )


def _elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
