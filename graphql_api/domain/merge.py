"""Merges provider data, reference and stored rows into the rows of a refresh."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from graphql_api.domain.country import Country, CountryFigures, CountryStatistics, Reference
from graphql_api.domain.estimates import estimated_gdp
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.snapshot import Snapshot
from graphql_api.utils.slices import end_slice


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceData:
    """Validated data of each kind of source."""

    figures: Sequence[CountryFigures]
    """One per country, in any order."""
    figures_from: Provenance
    rates: Mapping[str, float]
    """Units of each currency for 1 US dollar, by ISO 4217 code."""
    rates_from: Provenance
    statistics: Sequence[CountryStatistics] = ()
    """At most one per country, in any order."""
    statistics_from: Provenance | None = None
    """None: there are no new ones, and the stored statistics stay."""


_SourcedStatistics = tuple[CountryStatistics, Provenance | None]

_NO_STATISTICS: _SourcedStatistics = (CountryStatistics(code=""), None)
_STATISTICS = [field.name for field in fields(CountryStatistics) if field.name not in {"code", "population"}]
"""Attributes that a row has as the statistics have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """The rows that a refresh writes, and how they differ from the stored ones."""

    rows: tuple[Country, ...]
    """Ordered by code, so that concurrent writers lock rows in the same order."""
    snapshot: Snapshot
    """The data after the write: `rows`, and the stored rows that no provider listed."""
    inserted: int
    updated: int
    unchanged: int
    missing: tuple[str, ...]
    """Names of the stored countries that no provider listed."""


def merge(
    source_data: SourceData, stored: Snapshot, *, reference: Reference, refreshed_at: datetime, revision: int
) -> MergeResult:
    """Build the rows of a refresh. Every listed country gets `refreshed_at` and `revision`."""
    statistics_by_code = _select_statistics(source_data, stored)
    rows = tuple(
        _build_row(
            figures,
            statistics_by_code.get(figures.code, _NO_STATISTICS),
            source_data,
            reference=reference,
            refreshed_at=refreshed_at,
            revision=revision,
        )
        for figures in sorted(source_data.figures, key=lambda figures: figures.code)
    )
    stored_by_code = {row.code: row for row in stored.rows}
    listed_codes = {row.code for row in rows}
    missing = [row for row in stored.rows if row.code not in listed_codes]
    unchanged = sum(row.code in stored_by_code and _has_same_data(row, stored_by_code[row.code]) for row in rows)
    inserted = sum(row.code not in stored_by_code for row in rows)
    return MergeResult(
        rows=rows,
        snapshot=Snapshot.from_rows((*rows, *missing), reference, stored),
        inserted=inserted,
        updated=len(rows) - inserted - unchanged,
        unchanged=unchanged,
        missing=tuple(row.name for row in missing),
    )


def _select_statistics(source_data: SourceData, stored: Snapshot) -> Mapping[str, _SourcedStatistics]:
    """Return the new statistics by code, or the stored ones if there are no new ones."""
    if source_data.statistics_from is not None:
        return {entry.code: (entry, source_data.statistics_from) for entry in source_data.statistics}
    return {
        row.code: (
            CountryStatistics(
                code=row.code,
                population=row.statistics_population,
                **{name: getattr(row, name) for name in _STATISTICS},
            ),
            Provenance(provider=row.statistics_provider, as_of=row.statistics_as_of),
        )
        for row in stored.rows
        if row.statistics_provider is not None
    }


def _build_row(  # noqa: PLR0913 - three kinds of data, and what stamps the row
    figures: CountryFigures,
    sourced_statistics: _SourcedStatistics,
    source_data: SourceData,
    *,
    reference: Reference,
    refreshed_at: datetime,
    revision: int,
) -> Country:
    end_slice()
    identity = reference[figures.code]
    rate = source_data.rates.get(figures.currency_code) if figures.currency_code else None
    statistics, statistics_from = sourced_statistics
    population = figures.population if statistics.population is None else statistics.population
    return Country(
        **{field.name: getattr(figures, field.name) for field in fields(figures) if field.name != "population"},
        **{name: getattr(statistics, name) for name in _STATISTICS},
        population=population,
        population_density=_divide(population, figures.area_km2),
        gdp_per_capita=_divide(statistics.gdp, statistics.population),
        statistics_population=statistics.population,
        statistics_provider=None if statistics_from is None else statistics_from.provider,
        statistics_as_of=None if statistics_from is None else statistics_from.as_of,
        alpha3=identity.alpha3,
        name=identity.name,
        region=identity.region,
        subregion=identity.subregion,
        exchange_rate=rate,
        estimated_gdp=estimated_gdp(figures.code, population, rate),
        flag_url=identity.flag_url,
        last_refreshed_at=refreshed_at,
        revision=revision,
        countries_provider=source_data.figures_from.provider,
        countries_as_of=source_data.figures_from.as_of,
        rates_provider=None if rate is None else source_data.rates_from.provider,
        rates_as_of=None if rate is None else source_data.rates_from.as_of,
    )


def _divide(dividend: float | None, divisor: float | None) -> float | None:
    """Return the quotient; None if a number is missing, or if it is not a finite number."""
    if dividend is None or not divisor:
        return None
    quotient = dividend / divisor
    return quotient if math.isfinite(quotient) else None


def _has_same_data(new: Country, old: Country) -> bool:
    """Return whether two rows are equal apart from time, revision and provenance."""
    end_slice()
    return old == replace(
        new,
        last_refreshed_at=old.last_refreshed_at,
        revision=old.revision,
        countries_provider=old.countries_provider,
        countries_as_of=old.countries_as_of,
        rates_provider=old.rates_provider,
        rates_as_of=old.rates_as_of,
        statistics_provider=old.statistics_provider,
        statistics_as_of=old.statistics_as_of,
    )
