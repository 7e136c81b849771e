"""The snapshot: all countries at one version, immutable and indexed. Queries read nothing else."""

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Self

from graphql_api.domain.country import BUNDLED, FIELDS, Country, CountryField, Reference
from graphql_api.domain.derived_cache import DerivedCache
from graphql_api.domain.folding import Folder, fold, fold_name
from graphql_api.domain.graph import Graph
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.search import SearchIndex
from graphql_api.utils.slices import end_slice

_StoredValue = str | int | float | datetime | None
ComparableValue = _StoredValue | tuple[str, ...]
"""A value in the form that filters and sorting compare. Text is folded. A tuple is a list of texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopCountry:
    """One bar of the image."""

    name: str
    amount: float
    """US dollars."""
    year: int | None = None
    """Year of the amount; None if it is an estimate, or if the source does not state it."""


class Ranking(StrEnum):
    """The amount that the image ranks countries by."""

    GDP = "gdp"
    ESTIMATED_GDP = "estimated"


@dataclass(frozen=True, slots=True)
class StatisticsYears:
    """The year of most figures. None: the source states none."""

    population: int | None = None
    gdp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The contents of the summary image. Equal summaries give equal images."""

    total_countries: int
    top: tuple[TopCountry, ...]
    """At most five countries, highest amount first."""
    ranking: Ranking
    """The amounts that are ranked."""
    countries_source: Provenance | None
    rates_source: Provenance | None
    statistics_source: Provenance | None
    statistics_years: StatisticsYears
    refreshed_at: datetime | None
    """UTC time of the newest row; None without rows."""


@dataclass(frozen=True, slots=True, order=True)
class DataVersion:
    """Identifies one state of the data, the same on every replica."""

    revision: int
    """Highest revision of all rows; 0 without rows."""
    count: int
    """Number of rows."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the result of `str`.

        Raises:
            ValueError: `text` is not a version.
        """
        if re.fullmatch(r"(0|[1-9][0-9]{0,9})-(0|[1-9][0-9]{0,9})", text) is None:
            raise ValueError("not a version")
        return cls(*map(int, text.split("-")))

    def __str__(self) -> str:
        return f"{self.revision}-{self.count}"


@dataclass(frozen=True, slots=True)
class DataChecksum:
    """Values of all rows together, which SQL computes too. Other rows have other values, except by rare chance.

    The version alone is not enough: a database that was restored or replaced may reach the same one with other rows.
    """

    version: DataVersion
    last_refreshed_at: datetime | None
    """Time of the newest row; None without rows."""
    total_population: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All rows at one version, with indexes."""

    rows: tuple[Country, ...]
    """Ordered by folded name, then code."""
    version: DataVersion
    columns: Mapping[CountryField, tuple[ComparableValue, ...]]
    """One value per row, in the order of `rows`."""
    known_values: Mapping[CountryField, frozenset[ComparableValue]]
    """The values in the columns of the fields that are closed."""
    by_code: Mapping[str, Country]
    """By code of any kind, upper case."""
    by_name: Mapping[str, Country]
    """By name and by alias, as `fold_name` returns them."""
    digest: str
    """Digest of every value, the same for equal rows in every process."""
    longest_text: int
    """Characters of the longest text of a column, or name to find a country by."""
    graph: Graph = field(compare=False, repr=False)
    search_index: SearchIndex = field(compare=False, repr=False)
    derived: DerivedCache = field(default_factory=DerivedCache, compare=False, repr=False)

    @classmethod
    def from_rows(cls, rows: Iterable[Country], reference: Reference, former: Self | None = None) -> Self:
        """Sort and index `rows`, under the codes and aliases of `reference` too.

        Of the `former` snapshot, which this one replaces, it takes what the rows leave as it is.
        """
        ordered = tuple(sorted(rows, key=lambda row: (fold(row.name), row.code)))
        graph = Graph(ordered, reference)
        columns = {field: _build_column(ordered, field, graph) for field in CountryField}
        by_name = _index_names(ordered, reference)
        return cls(
            rows=ordered,
            version=DataVersion(max((row.revision for row in ordered), default=0), len(ordered)),
            columns=columns,
            known_values={field: frozenset(columns[field]) for field in CountryField if field.info.is_closed},
            by_code=_index_codes(ordered, reference),
            by_name=by_name,
            digest=_compute_digest(ordered),
            graph=graph,
            search_index=SearchIndex(ordered, reference, None if former is None else former.search_index),
            longest_text=max(map(len, (*by_name, *_iterate_texts(columns.values()))), default=0),
        )

    @property
    def last_refreshed_at(self) -> datetime | None:
        """Return the time of the newest row; None without rows."""
        return max((row.last_refreshed_at for row in self.rows), default=None)

    @property
    def checksum(self) -> DataChecksum:
        """Return the values by which a change in the database shows."""
        return DataChecksum(self.version, self.last_refreshed_at, sum(row.population for row in self.rows))

    @property
    def has_live_figures(self) -> bool:
        """Return whether the figures of any row are from a live provider."""
        return any(row.countries_provider != BUNDLED for row in self.rows)

    @property
    def has_live_rates(self) -> bool:
        """Return whether the rate of any row is from a live provider."""
        return any(row.rates_provider not in (BUNDLED, None) for row in self.rows)

    @property
    def has_live_statistics(self) -> bool:
        """Return whether the statistics of any row are from a live provider."""
        return any(row.statistics_provider not in (BUNDLED, None) for row in self.rows)

    @property
    def has_statistics(self) -> bool:
        """Return whether any row has statistics; those of a version without them have none."""
        return any(row.statistics_provider is not None for row in self.rows)

    def is_stale(self, *, now: datetime, stale_after: timedelta) -> bool:
        """Return whether data is absent, older than `stale_after`, or of one kind all bundled."""
        refreshed_at = self.last_refreshed_at
        is_live = self.has_live_figures and self.has_live_rates
        return refreshed_at is None or not is_live or now - refreshed_at > stale_after

    def summarize(self, ranking: Ranking = Ranking.GDP) -> Summary:
        """Return the contents of the summary image. Without any GDP it ranks the estimates."""
        if all(row.gdp is None for row in self.rows):
            ranking = Ranking.ESTIMATED_GDP
        by_gdp = ranking is Ranking.GDP
        top = [
            TopCountry(name=row.name, amount=amount, year=row.gdp_year if by_gdp else None)
            for row in self.rows
            if (amount := row.gdp if by_gdp else row.estimated_gdp) is not None
        ]
        top.sort(key=lambda country: country.amount, reverse=True)
        statistics_source = next(iter(self.count_statistics_provenance()), None)
        return Summary(
            total_countries=len(self.rows),
            top=tuple(top[:5]),
            ranking=ranking,
            countries_source=next(iter(self.count_figures_provenance()), None),
            rates_source=next(iter(self.count_rates_provenance()), None),
            statistics_source=statistics_source,
            statistics_years=self.find_statistics_years(statistics_source),
            refreshed_at=self.last_refreshed_at,
        )

    def count_figures_provenance(self) -> Mapping[Provenance, int]:
        """Return the number of rows per provenance of figures, most common first."""
        return _count_provenance((row.countries_provider, row.countries_as_of) for row in self.rows)

    def count_rates_provenance(self) -> Mapping[Provenance, int]:
        """Return the number of rows per provenance of rates, most common first."""
        return _count_provenance((row.rates_provider, row.rates_as_of) for row in self.rows)

    def count_statistics_provenance(self) -> Mapping[Provenance, int]:
        """Return the number of rows per provenance of statistics, most common first."""
        return _count_provenance((row.statistics_provider, row.statistics_as_of) for row in self.rows)

    def find_statistics_years(self, provenance: Provenance | None) -> StatisticsYears:
        """Return the years of the statistics of one provenance; none for None."""
        if provenance is None:
            return StatisticsYears()
        origin = (provenance.provider, provenance.as_of)
        rows = [row for row in self.rows if (row.statistics_provider, row.statistics_as_of) == origin]
        return StatisticsYears(
            population=_most_common(row.population_year for row in rows), gdp=_most_common(row.gdp_year for row in rows)
        )


def _compute_digest(rows: Iterable[Country]) -> str:
    get_values = attrgetter(*FIELDS)
    texts = []
    for row in rows:
        end_slice()
        texts.append(repr([_to_canonical(value) for value in get_values(row)]))
    return hashlib.blake2b(f"[{', '.join(texts)}]".encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _to_canonical(value: _StoredValue) -> str | float | None:
    """Return equal values in one form: time zones and integers differ between what was parsed and what was stored."""
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int) else value


def _build_column(rows: tuple[Country, ...], field: CountryField, graph: Graph) -> tuple[ComparableValue, ...]:
    end_slice()
    if field in FIELDS:
        values: Iterable[ComparableValue] = (getattr(row, field) for row in rows)
    else:
        values = (graph.get_value(row, field) for row in rows)
    folder = field.info.fold
    return tuple(_fold_value(value, folder) for value in values)


def _iterate_texts(columns: Iterable[Sequence[ComparableValue]]) -> Iterator[str]:
    for column in columns:
        end_slice()
        for value in column:
            if isinstance(value, str):
                yield value
            elif isinstance(value, tuple):
                yield from value


def _fold_value(value: ComparableValue, folder: Folder) -> ComparableValue:
    if isinstance(value, tuple):
        return tuple(folder(text, sys.maxsize) for text in value)
    return folder(value, sys.maxsize) if isinstance(value, str) else value


def _index_codes(rows: tuple[Country, ...], reference: Reference) -> dict[str, Country]:
    codes = {code: row for row in rows for code in (row.alpha3, row.code)}
    for row in rows:
        identity = reference.get(row.code)
        for code in (identity.numeric_code, *identity.other_codes) if identity else ():
            if code is not None:
                codes.setdefault(code, row)
    return codes


def _index_names(rows: tuple[Country, ...], reference: Reference) -> dict[str, Country]:
    names: dict[str, Country] = {}
    for row in rows:
        end_slice()
        identity = reference.get(row.code)
        for alias in identity.aliases if identity else ():
            names[fold_name(alias)] = row
    # Last, so that a country's name wins over the alias of another.
    end_slice()
    names.update((fold_name(row.name), row) for row in rows)
    return names


def _most_common(years: Iterable[int | None]) -> int | None:
    """Return the most common year, the latest of several; None without any."""
    counts = Counter(year for year in years if year is not None)
    return max(counts, key=lambda year: (counts[year], year), default=None)


def _count_provenance(sources: Iterable[tuple[str | None, datetime | None]]) -> Mapping[Provenance, int]:
    counts = Counter(sources).most_common()
    return {
        Provenance(provider=provider, as_of=as_of): count for (provider, as_of), count in counts if provider is not None
    }
