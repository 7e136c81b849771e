"""Output types of countries and of the server's status, each over its domain object.

A field without a resolver reads the attribute of the same name from that object.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import strawberry

from graphql_api.domain import country as domain
from graphql_api.domain import report
from graphql_api.domain.nodes import Continent, CountryLanguage, Currency, LocalizedName, PostalCode
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.snapshot import Snapshot
from graphql_api.schema.context import Info, SnapshotInfo
from graphql_api.schema.nodes import (
    ContinentType,
    CountryLanguageType,
    CurrencyType,
    LangArgument,
    LocalizedNameType,
    Node,
    PostalCodeType,
    resolve_name,
)
from graphql_api.schema.refresh_types import RefreshFailureType, RefreshReportType, SourceKindType, described
from graphql_api.sources.registry import get_attribution
from graphql_api.utils.formatting import flag_emoji


@strawberry.type(name="Provenance", description="Where a served figure or rate came from.")
class ProvenanceType:
    provider: str = described("The provider, e.g. geonames, er-api or bundled.")
    live: bool = described("False for the data bundled with the server.")
    as_of: datetime | None = described(
        "UTC time of the figures, or of the provider's last update of them; null if it states none."
    )
    attribution: str | None = described("Credit that the provider's licence requires; null if none is required.")


def _build_provenance(kind: report.SourceKind, provider: str, as_of: datetime | None) -> ProvenanceType:
    return ProvenanceType(
        provider=provider, live=provider != domain.BUNDLED, as_of=as_of, attribution=get_attribution(kind, provider)
    )


def _country_field(name: str) -> Any:  # noqa: ANN401 - as strawberry.field
    return described(domain.FIELDS[name].description)


def _describe_link(name: str) -> str | None:
    return domain.LINKED_FIELDS[name].description


def _resolve_population_year(parent: strawberry.Parent[domain.Country]) -> int | None:
    return parent.stated_population_year


@strawberry.type(name="Country", description="A country, or a territory with its own ISO 3166-1 code.")
class CountryType(Node):
    code: str = _country_field("code")
    alpha3: str = _country_field("alpha3")

    @strawberry.field(description=f"{domain.FIELDS['name'].description} `lang` names it in another language.")
    @staticmethod
    def name(parent: strawberry.Parent[domain.Country], lang: LangArgument = None) -> str:
        return resolve_name("countries", parent.code, parent.name, lang)

    capital: str | None = _country_field("capital")
    region: str | None = _country_field("region")
    subregion: str | None = _country_field("subregion")
    population: int = _country_field("population")
    area_km2: float | None = _country_field("area_km2")
    currency_code: str | None = _country_field("currency_code")
    exchange_rate: float | None = _country_field("exchange_rate")
    estimated_gdp: float | None = _country_field("estimated_gdp")
    flag_url: str | None = _country_field("flag_url")
    last_refreshed_at: datetime = _country_field("last_refreshed_at")
    population_year: int | None = strawberry.field(
        resolver=_resolve_population_year, description=domain.FIELDS["population_year"].description
    )
    population_density: float | None = _country_field("population_density")
    gdp: float | None = _country_field("gdp")
    gdp_year: int | None = _country_field("gdp_year")
    gdp_per_capita: float | None = _country_field("gdp_per_capita")
    gdp_ppp: float | None = _country_field("gdp_ppp")
    gdp_ppp_year: int | None = _country_field("gdp_ppp_year")

    @strawberry.field(
        description="Names in the languages that are official in the whole country, if CLDR has them.",
        graphql_type=list[LocalizedNameType],
    )
    @staticmethod
    def native_names(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> Sequence[LocalizedName]:
        return info.root_value.snapshot.graph.get_links(parent).native_names

    @strawberry.field(description=_describe_link("aliases"))
    @staticmethod
    def aliases(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> list[str]:
        return list(info.root_value.snapshot.graph.get_aliases(parent))

    @strawberry.field(description=_describe_link("numeric_code"))
    @staticmethod
    def numeric_code(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> str | None:
        return info.root_value.snapshot.graph.get_numeric_code(parent)

    @strawberry.field(description="Flag as an emoji.")
    @staticmethod
    def emoji(parent: strawberry.Parent[domain.Country]) -> str:
        return flag_emoji(parent.code)

    @strawberry.field(description="The continent, as GeoNames places it.", graphql_type=ContinentType)
    @staticmethod
    def continent(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> Continent:
        return info.root_value.snapshot.graph.get_continent(parent)

    @strawberry.field(description="The first currency in use; null if there is none.", graphql_type=CurrencyType | None)
    @staticmethod
    def currency(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> Currency | None:
        return next(iter(info.root_value.snapshot.graph.get_currencies(parent)), None)

    @strawberry.field(
        description="All currencies in use as tender, the first one first.", graphql_type=list[CurrencyType]
    )
    @staticmethod
    def currencies(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> list[Currency]:
        return info.root_value.snapshot.graph.get_currencies(parent)

    @strawberry.field(
        description="Languages that are official, or that one in a thousand people uses: official ones first, "
        "then by share.",
        graphql_type=list[CountryLanguageType],
    )
    @staticmethod
    def languages(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> Sequence[CountryLanguage]:
        return info.root_value.snapshot.graph.get_links(parent).languages

    @strawberry.field(
        description="Countries that it shares a land border with, by name.", graphql_type=list["CountryType"]
    )
    @staticmethod
    def neighbours(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> list[domain.Country]:
        return info.root_value.snapshot.graph.get_neighbours(parent)

    @strawberry.field(description=_describe_link("calling_codes"))
    @staticmethod
    def calling_codes(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> list[str]:
        return list(info.root_value.snapshot.graph.get_links(parent).calling_codes)

    @strawberry.field(description=_describe_link("tld"))
    @staticmethod
    def tld(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> str | None:
        return info.root_value.snapshot.graph.get_links(parent).tld

    @strawberry.field(description="Postal codes; null if GeoNames knows of none.", graphql_type=PostalCodeType | None)
    @staticmethod
    def postal_code(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> PostalCode | None:
        return info.root_value.snapshot.graph.get_links(parent).postal_code

    @strawberry.field(description=f"{_describe_link('timezones')} The one with the most people in cities comes first.")
    @staticmethod
    def timezones(parent: strawberry.Parent[domain.Country], info: SnapshotInfo) -> list[str]:
        return list(info.root_value.snapshot.graph.get_links(parent).timezones)

    @strawberry.field(
        description="Where capital, area and currency came from, and the population if statisticsFrom has none. "
        "Names, codes, regions and flags are bundled with the server, whatever the provider."
    )
    @staticmethod
    def figures_from(parent: strawberry.Parent[domain.Country]) -> ProvenanceType:
        return _build_provenance(report.SourceKind.COUNTRIES, parent.countries_provider, parent.countries_as_of)

    @strawberry.field(description="Where the exchange rate came from; null if there is no rate.")
    @staticmethod
    def rate_from(parent: strawberry.Parent[domain.Country]) -> ProvenanceType | None:
        if parent.rates_provider is None:
            return None
        return _build_provenance(report.SourceKind.RATES, parent.rates_provider, parent.rates_as_of)

    @strawberry.field(
        description="Where population and GDP came from; null if no source of statistics has the country."
    )
    @staticmethod
    def statistics_from(parent: strawberry.Parent[domain.Country]) -> ProvenanceType | None:
        if parent.statistics_provider is None:
            return None
        return _build_provenance(report.SourceKind.STATISTICS, parent.statistics_provider, parent.statistics_as_of)


@strawberry.type(description="A provider of served data, and how much of it.")
class DataSource:
    kind: SourceKindType = described("The kind of data.")
    countries: int = described("Number of countries with data of this origin.")
    provenance: ProvenanceType = described("The provider and its last update.")
    population_year: int | None = described(
        "Year of most of its populations; null for other kinds than statistics, or if it states none."
    )
    gdp_year: int | None = described("Year of most of its GDPs; null for other kinds than statistics, or without GDPs.")


def _build_data_source(
    snapshot: Snapshot, kind: report.SourceKind, provenance: Provenance, countries: int
) -> DataSource:
    years = snapshot.find_statistics_years(provenance if kind is report.SourceKind.STATISTICS else None)
    return DataSource(
        kind=SourceKindType(kind),
        countries=countries,
        provenance=_build_provenance(kind, provenance.provider, provenance.as_of),
        population_year=years.population,
        gdp_year=years.gdp,
    )


@strawberry.type(description="The served data: its age, its version and its sources.")
class Status:
    @strawberry.field(description="Number of countries served.")
    @staticmethod
    def total_countries(parent: strawberry.Parent[Snapshot]) -> int:
        return len(parent.rows)

    last_refreshed_at: datetime | None = described(
        "UTC time of the last refresh of any country; null without countries."
    )

    @strawberry.field(description="Opaque. Changes exactly when the data changes; the same on every replica.")
    @staticmethod
    def version(parent: strawberry.Parent[Snapshot]) -> str:
        return str(parent.version)

    @strawberry.field(
        description="True if the last refresh is older than the configured age (STALE_AFTER), if "
        "all figures or all rates are the data bundled with the server, or if there is no data."
    )
    @staticmethod
    def stale(parent: strawberry.Parent[Snapshot], info: Info) -> bool:
        return parent.is_stale(now=info.context.clock(), stale_after=info.context.stale_after)

    @strawberry.field(
        description="Where the data came from: one entry per kind, or several if served countries "
        "are no longer listed by their source. The most common of a kind comes first."
    )
    @staticmethod
    def sources(parent: strawberry.Parent[Snapshot]) -> list[DataSource]:
        counts_by_kind = {
            report.SourceKind.COUNTRIES: parent.count_figures_provenance(),
            report.SourceKind.RATES: parent.count_rates_provenance(),
            report.SourceKind.STATISTICS: parent.count_statistics_provenance(),
        }
        return [
            _build_data_source(parent, kind, provenance, countries)
            for kind, counts in counts_by_kind.items()
            for provenance, countries in counts.items()
        ]

    @strawberry.field(description="Whether this server is refreshing now.")
    @staticmethod
    def refreshing(info: Info) -> bool:
        return info.context.refresh_service.is_running

    @strawberry.field(description="Absolute URL of the summary image, PNG, 1200 x 630 pixels; null without countries.")
    @staticmethod
    async def image_url(parent: strawberry.Parent[Snapshot], info: Info) -> str | None:
        return await info.context.get_image_url(parent.version) if parent.rows else None

    @strawberry.field(
        description="The last successful refresh; null if the history has none.", graphql_type=RefreshReportType | None
    )
    @staticmethod
    def last_refresh(info: Info) -> report.RefreshReport | None:
        return info.context.catalog.last_refresh

    @strawberry.field(
        description="The last failed refresh; null if the history has none. It may be older than "
        "the last successful one: compare the times.",
        graphql_type=RefreshFailureType | None,
    )
    @staticmethod
    def last_failure(info: Info) -> report.RefreshFailure | None:
        return info.context.catalog.last_failure
