"""Fetches every source of a refresh in parallel: countries and rates, which it needs, and statistics."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from graphql_api.catalog import Catalog
from graphql_api.domain.country import BUNDLED, SkippedRecord
from graphql_api.domain.merge import SourceData
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.report import NO_PROVIDER, SourceKind, SourceReport
from graphql_api.domain.snapshot import Snapshot
from graphql_api.errors import SourceInvalid, SourceUnavailable
from graphql_api.refresh.progress import Phase, ProgressReporter
from graphql_api.sources.corrections import log_needless_corrections
from graphql_api.sources.fetch import FetchContext, FetchResult, OnFetch, fetch_first
from graphql_api.sources.provider import Provider, ProviderData, RawCountries, RawRates, RawStatistics
from graphql_api.sources.provider_cache import ProviderCache
from graphql_api.sources.registry import get_attribution
from graphql_api.sources.retry import RetryPolicy
from graphql_api.sources.validation import (
    ShortListError,
    ValidatedCountries,
    ValidatedRates,
    ValidatedStatistics,
    require_half_of_countries,
    require_half_of_currencies,
    require_half_of_statistics,
    validate_countries,
    validate_rates,
    validate_statistics,
)
from graphql_api.utils.tasks import task_group

D = TypeVar("D", bound=ProviderData)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """Providers of each source, in the order in which they are tried, and how to request them."""

    countries: Sequence[Provider[RawCountries]]
    rates: Sequence[Provider[RawRates]]
    statistics: Sequence[Provider[RawStatistics]]
    api_timeout: float
    """Seconds for one provider, from connecting to its last byte."""
    refresh_timeout: float
    """Seconds for fetching all sources of a refresh."""
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    on_fetch: OnFetch = lambda *_: None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedSources:
    """Data of every source, and the times that it took."""

    countries: FetchResult[ValidatedCountries]
    rates: FetchResult[ValidatedRates]
    statistics: FetchResult[ValidatedStatistics] | None
    """None: no provider has usable ones, so the stored ones stay."""
    statistics_failures: Sequence[str]
    """One message per provider of statistics that failed."""
    statistics_ms: float
    duration_ms: float

    @property
    def skipped(self) -> tuple[SkippedRecord, ...]:
        """Return the records that failed validation."""
        return (*self.countries.data.skipped, *(self.statistics.data.skipped if self.statistics else ()))

    @property
    def unnamed_skipped(self) -> int:
        """Return the number of further records that failed validation."""
        return self.countries.data.unnamed_skipped + (self.statistics.data.unnamed_skipped if self.statistics else 0)

    @property
    def source_data(self) -> SourceData:
        """Return the data to merge."""
        return SourceData(
            figures=self.countries.data.figures,
            figures_from=_provenance(self.countries.report),
            rates=self.rates.data.rates,
            rates_from=_provenance(self.rates.report),
            statistics=self.statistics.data.statistics if self.statistics else (),
            statistics_from=_provenance(self.statistics.report) if self.statistics else None,
        )

    @property
    def cache_update(self) -> ProviderCache:
        """Return the data to store for the next refresh."""
        return ProviderCache(
            countries=self.countries.to_cache,
            rates=self.rates.to_cache,
            statistics=self.statistics.to_cache if self.statistics else None,
        )

    def validated_against(self, stored: Snapshot) -> "FetchedSources":
        """Return the sources without statistics that are worse than the stored ones.

        Raises:
            SourceUnavailable: countries or rates are bundled, and the stored ones are live.
            SourceInvalid: the same, and a provider listed less than half of what is stored; or this data does.
        """
        _reject_bundled(self.countries, stored.has_live_figures)
        _reject_bundled(self.rates, stored.has_live_rates)
        # Another process may have stored more since the sources were validated.
        _reject_short_list(self.countries, stored, require_half_of_countries)
        _reject_short_list(self.rates, stored, require_half_of_currencies)
        problem = self.statistics and _find_problem(self.statistics, stored)
        if not problem:
            return self
        return replace(self, statistics=None, statistics_failures=(*self.statistics_failures, problem))

    def report_statistics(self, stored: Snapshot) -> SourceReport:
        """Return the report of the statistics; of the stored ones if they stay."""
        if self.statistics is not None:
            return replace(self.statistics.report, dropped=self.statistics.data.dropped)
        provenance = next(iter(stored.count_statistics_provenance()), Provenance(provider=NO_PROVIDER, as_of=None))
        return SourceReport(
            kind=SourceKind.STATISTICS,
            provider=provenance.provider,
            live=False,
            stored=True,
            as_of=provenance.as_of,
            failures=tuple(self.statistics_failures),
            attribution=get_attribution(SourceKind.STATISTICS, provenance.provider),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFetcher:
    """Fetches every source once, and reports the progress."""

    sources: SourceConfig
    context: FetchContext
    provider_cache: ProviderCache
    """Data of earlier refreshes; empty if the refresh requests every provider."""
    catalog: Catalog
    reporter: ProgressReporter
    failures: dict[SourceKind, list[str]] = field(default_factory=lambda: {kind: [] for kind in SourceKind})
    """One message per provider that has failed, by kind."""
    fractions: Iterator[float] = field(default_factory=lambda: iter((0.25, 0.45, 0.65)))
    """Progress when the first, second and third source has been fetched."""

    async def fetch(self) -> FetchedSources:
        """Fetch every source.

        Raises:
            SourceUnavailable: no provider of countries or of rates succeeded within the time.
            SourceInvalid: the same, and a provider listed less than half of what is stored.
        """
        self.reporter.emit(Phase.FETCHING, 0.05, "Fetching countries, exchange rates and statistics")
        started = time.perf_counter()
        async with task_group() as group:
            required_task = group.create_task(self._fetch_required())
            statistics_task = group.create_task(self._fetch_statistics())
        countries, rates = required_task.result()
        statistics, statistics_ms = statistics_task.result()
        return FetchedSources(
            countries=countries,
            rates=rates,
            statistics=statistics,
            statistics_failures=self.failures[SourceKind.STATISTICS],
            statistics_ms=statistics_ms,
            duration_ms=elapsed_ms(started),
        )

    async def _fetch_required(self) -> tuple[FetchResult[ValidatedCountries], FetchResult[ValidatedRates]]:
        countries_fetch = fetch_first(
            SourceKind.COUNTRIES,
            self.sources.countries,
            lambda raw: require_half_of_countries(
                validate_countries(raw, self.catalog.reference), self.catalog.snapshot
            ),
            context=self.context,
            cached_data=self.provider_cache.countries,
            failures=self.failures[SourceKind.COUNTRIES],
        )
        rates_fetch = fetch_first(
            SourceKind.RATES,
            self.sources.rates,
            lambda raw: require_half_of_currencies(validate_rates(raw), self.catalog.snapshot),
            context=self.context,
            cached_data=self.provider_cache.rates,
            failures=self.failures[SourceKind.RATES],
        )
        try:
            async with asyncio.timeout(self.sources.refresh_timeout), task_group() as group:
                countries_task = group.create_task(
                    self._report_fetched(countries_fetch, lambda data: f"{len(data.figures)} countries")
                )
                rates_task = group.create_task(
                    self._report_fetched(rates_fetch, lambda data: f"{len(data.rates)} rates")
                )
        except TimeoutError:
            failures = (*self.failures[SourceKind.COUNTRIES], *self.failures[SourceKind.RATES])
            reasons = "".join(f"; {reason}" for reason in failures)
            raise SourceUnavailable(
                f"The sources did not respond within {self.sources.refresh_timeout:g} s{reasons}."
            ) from None
        countries = countries_task.result()
        log_needless_corrections(countries.report.provider, countries.data.needless_corrections)
        return countries, rates_task.result()

    async def _fetch_statistics(self) -> tuple[FetchResult[ValidatedStatistics] | None, float]:
        """Return the statistics, None if no provider has any, and the milliseconds taken."""
        started = time.perf_counter()
        failures = self.failures[SourceKind.STATISTICS]
        fetch = fetch_first(
            SourceKind.STATISTICS,
            self.sources.statistics,
            lambda raw: require_half_of_statistics(
                validate_statistics(raw, self.catalog.reference), self.catalog.snapshot
            ),
            context=self.context,
            cached_data=self.provider_cache.statistics,
            failures=failures,
        )
        statistics = None
        try:
            async with asyncio.timeout(self.sources.refresh_timeout):
                statistics = await self._report_fetched(
                    fetch, lambda data: f"statistics of {len(data.statistics)} countries"
                )
        except TimeoutError:
            failures.append(f"the statistics were not complete within {self.sources.refresh_timeout:g} s")
        except (SourceUnavailable, SourceInvalid):
            pass  # The reasons are in `failures`.
        if statistics is None:
            self.reporter.emit(Phase.FETCHING, next(self.fractions), "No source of statistics could be used")
        return statistics, elapsed_ms(started)

    async def _report_fetched(self, fetch: Awaitable[FetchResult[D]], describe: Callable[[D], str]) -> FetchResult[D]:
        """Report the provider of a source, with the number of records and the next fraction."""
        fetched = await fetch
        report = fetched.report
        records = describe(fetched.data)
        message = f"Reused {records} of {report.provider}" if report.cached else f"{report.provider} returned {records}"
        self.reporter.emit(Phase.FETCHING, next(self.fractions), message)
        return fetched


def elapsed_ms(started: float) -> float:
    """Return the milliseconds since a reading of `time.perf_counter`."""
    return round((time.perf_counter() - started) * 1000, 1)


def _provenance(report: SourceReport) -> Provenance:
    return Provenance(provider=report.provider, as_of=report.as_of)


def _reject_bundled(fetched: FetchResult[D], has_live_data: bool) -> None:
    report = fetched.report
    if report.provider == BUNDLED and has_live_data:
        reasons = "; ".join(report.failures) or "no live source is configured"
        raise fetched.failure_type(
            f"No live source of {report.kind} could be used, and bundled data never replaces live data. {reasons}."
        )


def _reject_short_list(fetched: FetchResult[D], stored: Snapshot, require_half: Callable[[D, Snapshot], D]) -> None:
    try:
        require_half(fetched.data, stored)
    except ShortListError as error:
        raise SourceInvalid(f"{fetched.report.provider} {error}; nothing was changed.") from None


def _find_problem(fetched: FetchResult[ValidatedStatistics], stored: Snapshot) -> str | None:
    """Return why statistics are worse than the stored ones; None if they are not."""
    provider = fetched.report.provider
    if provider == BUNDLED and stored.has_live_statistics:
        return f"{BUNDLED}: bundled data never replaces live data"
    try:
        require_half_of_statistics(fetched.data, stored)
    except ShortListError as error:
        return f"{provider}: {error}"
    return None
