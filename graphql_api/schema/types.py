"""What clients see: the output types, each over the domain object that it shows.

Fields without a body read the attribute of the same name from that object.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum

import strawberry

from graphql_api.domain import country as domain
from graphql_api.domain import report
from graphql_api.domain.pagination import Page
from graphql_api.domain.snapshot import Snapshot
from graphql_api.refresh import progress
from graphql_api.schema.context import Info
from graphql_api.schema.global_ids import encode_country_id
from graphql_api.sources.registry import get_attribution


def _resolve_country_id(parent: strawberry.Parent[domain.Country]) -> strawberry.ID:
    return strawberry.ID(encode_country_id(parent.code))


@strawberry.interface(description="What has an id, by which `node` finds it again.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Opaque, and the same for ever: a key for client caches."
    )

    @classmethod
    def resolve_type(cls, instance: object, *_: object) -> str:
        return type(instance).__name__


@strawberry.enum(description="The two kinds of data that a refresh fetches.")
class SourceKind(Enum):
    COUNTRIES = strawberry.enum_value(
        report.SourceKind.COUNTRIES, description="Capitals, populations, areas and currencies."
    )
    RATES = strawberry.enum_value(report.SourceKind.RATES, description="Exchange rates.")


@strawberry.type(description="Where a figure or a rate that is served came from.")
class Provenance:
    provider: str = strawberry.field(description="The provider: geonames, er-api or bundled.")
    live: bool = strawberry.field(description="False for the data that is bundled with the server.")
    as_of: datetime | None = strawberry.field(
        description="When the provider says its data is from, UTC; null if it does not say."
    )
    attribution: str | None = strawberry.field(
        description="What the provider's licence asks to be shown; null if nothing."
    )


def _build_provenance(kind: report.SourceKind, provider: str, as_of: datetime | None) -> Provenance:
    return Provenance(
        provider=provider,
        live=provider != domain.BUNDLED,
        as_of=as_of,
        attribution=get_attribution(kind, provider),
    )


@strawberry.type(description="A country, or a territory with a code of its own in ISO 3166-1.")
class Country(Node):
    id: strawberry.ID = strawberry.field(
        resolver=_resolve_country_id,
        description="Opaque, and the same for ever: a key for client caches. `node` takes it.",
    )

    @classmethod
    def is_type_of(cls, instance: object, *_: object) -> bool:
        return isinstance(instance, domain.Country)

    code: str = strawberry.field(description="ISO 3166-1 alpha-2 code; XK for Kosovo.")
    alpha3: str = strawberry.field(description="ISO 3166-1 alpha-3 code; XKX for Kosovo.")
    name: str = strawberry.field(
        description="English short name, from Unicode CLDR: no source renames a country."
    )
    capital: str | None = strawberry.field(
        description="Capital; null where there is none, or the source names none."
    )
    region: str | None = strawberry.field(
        description="UN M49 region, e.g. Africa; null where M49 lists none, e.g. Antarctica."
    )
    subregion: str | None = strawberry.field(
        description="UN M49 subregion, e.g. Western Africa; null where M49 lists none."
    )
    population: int = strawberry.field(description="Number of people, as the source gives it.")
    area_km2: float | None = strawberry.field(
        description="Area in square kilometres; null where the source gives none."
    )
    currency_code: str | None = strawberry.field(
        description="ISO 4217 code of the first currency in use; null where there is none."
    )
    exchange_rate: float | None = strawberry.field(
        description="Units of that currency for one US dollar; null where no rate is known."
    )
    estimated_gdp: float | None = strawberry.field(
        description="A rough estimate in US dollars, made for demonstration and no statistic: "
        "population x multiplier / exchangeRate, where the multiplier, 1000 to 2000, belongs to "
        "the country code for ever. The same inputs always give the same estimate. Null where "
        "there is no exchange rate."
    )
    flag_url: str | None = strawberry.field(
        description="Address of an SVG picture of the flag; null where none is known."
    )
    last_refreshed_at: datetime = strawberry.field(
        description="When a refresh last listed this country, UTC."
    )

    @strawberry.field(
        description="Where its capital, population, area and currency came from. Names, codes, "
        "regions and flags are bundled with the server, whoever gives the figures."
    )
    @staticmethod
    def figures_from(parent: strawberry.Parent[domain.Country]) -> Provenance:
        return _build_provenance(
            report.SourceKind.COUNTRIES, parent.countries_provider, parent.countries_as_of
        )

    @strawberry.field(description="Where its exchange rate came from; null where there is none.")
    @staticmethod
    def rate_from(parent: strawberry.Parent[domain.Country]) -> Provenance | None:
        if parent.rates_provider is None:
            return None
        return _build_provenance(report.SourceKind.RATES, parent.rates_provider, parent.rates_as_of)


@strawberry.type(description="A country on a page, and its place in the order.")
class CountryEdge:
    page: strawberry.Private[Page]
    row_index: strawberry.Private[int]

    @strawberry.field(
        description="Opaque place in this order: give it as `after` or `before`. It stays right "
        "through refreshes, and even when the country is deleted."
    )
    def cursor(self) -> str:
        return self.page.cursor(self.row_index)

    @strawberry.field(description="The country.", graphql_type=Country)
    def node(self) -> domain.Country:
        return self.page.snapshot.rows[self.row_index]


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    @strawberry.field(description="Whether countries follow the page.")
    @staticmethod
    def has_next_page(parent: strawberry.Parent[Page]) -> bool:
        return parent.stop < len(parent.matching)

    @strawberry.field(description="Whether countries come before the page.")
    @staticmethod
    def has_previous_page(parent: strawberry.Parent[Page]) -> bool:
        return parent.start > 0

    @strawberry.field(description="Cursor of the first country; null on an empty page.")
    @staticmethod
    def start_cursor(parent: strawberry.Parent[Page]) -> str | None:
        return parent.cursor(parent.row_indexes[0]) if parent.row_indexes else None

    @strawberry.field(description="Cursor of the last country; null on an empty page.")
    @staticmethod
    def end_cursor(parent: strawberry.Parent[Page]) -> str | None:
        return parent.cursor(parent.row_indexes[-1]) if parent.row_indexes else None


@strawberry.type(description="A page of countries.")
class CountryConnection:
    @strawberry.field(description="The countries on the page.", graphql_type=list[Country])
    @staticmethod
    def nodes(parent: strawberry.Parent[Page]) -> Sequence[domain.Country]:
        return parent.rows

    @strawberry.field(description="The same countries, each with its cursor.")
    @staticmethod
    def edges(parent: strawberry.Parent[Page]) -> list[CountryEdge]:
        return [CountryEdge(page=parent, row_index=row_index) for row_index in parent.row_indexes]

    @strawberry.field(description="Where the page lies in the list.", graphql_type=PageInfo)
    @staticmethod
    def page_info(parent: strawberry.Parent[Page]) -> Page:
        return parent

    @strawberry.field(description="How many countries match the filter, whatever the page.")
    @staticmethod
    def total_count(parent: strawberry.Parent[Page]) -> int:
        return len(parent.matching)


@strawberry.type(description="A record that a source sent and that could not be used.")
class SkippedRecord:
    record: str = strawberry.field(description="Its name, its code or its place in the list.")
    reason: str = strawberry.field(description="Why it could not be used.")


@strawberry.type(
    description="Milliseconds of wall time. fetchMs covers all sources together; imageMs overlaps "
    "upsertMs; totalMs is what the caller waited."
)
class RefreshTimings:
    fetch_countries_ms: float = strawberry.field(description="Milliseconds to fetch the countries.")
    fetch_rates_ms: float = strawberry.field(description="Milliseconds to fetch exchange rates.")
    fetch_ms: float = strawberry.field(
        description="Milliseconds for all sources together; they are fetched at the same time."
    )
    transform_ms: float = strawberry.field(description="Milliseconds to make rows of the answers.")
    upsert_ms: float = strawberry.field(description="Milliseconds that the database took.")
    image_ms: float | None = strawberry.field(
        description="Milliseconds to draw the picture; null when it could not be drawn."
    )
    total_ms: float = strawberry.field(description="Milliseconds from the first step to the last.")


@strawberry.type(description="Where one kind of data came from.")
class SourceReport:
    kind: SourceKind = strawberry.field(description="Which kind of data.")
    provider: str = strawberry.field(
        description="The provider that answered: geonames, er-api or bundled."
    )
    live: bool = strawberry.field(
        description="Whether the provider was asked just then, also if it had nothing new; false "
        "for bundled and cached data."
    )
    cached: bool = strawberry.field(
        description="Whether it is what the provider said before: it had said when it would have "
        "something new, and was not asked until then. `force` asks anyway."
    )
    as_of: datetime | None = strawberry.field(
        description="When the provider says its data is from, UTC; null if it does not say."
    )
    failures: list[str] = strawberry.field(
        description="The providers tried before it, and why each failed."
    )
    attribution: str | None = strawberry.field(
        description="What the provider's licence asks to be shown; null if nothing."
    )


@strawberry.enum(description="What a refresh was begun by.")
class RefreshTrigger(Enum):
    START = strawberry.enum_value(
        report.Trigger.START, description="A server that started without data, or with stale data."
    )
    SCHEDULE = strawberry.enum_value(
        report.Trigger.SCHEDULE, description="The clock of a server that refreshes by itself."
    )
    REQUEST = strawberry.enum_value(
        report.Trigger.REQUEST, description="The mutation, or the command `graphql-api refresh`."
    )


@strawberry.type(description="What a refresh did.")
class RefreshReport:
    id: strawberry.ID = strawberry.field(description="Opaque; also in the server's log.")
    trigger: RefreshTrigger = strawberry.field(description="What it was begun by.")
    started_at: datetime = strawberry.field(description="When it began, UTC.")
    finished_at: datetime = strawberry.field(description="When its data were published, UTC.")
    total_countries: int = strawberry.field(
        description="How many countries are served since, the missing ones included."
    )
    inserted: int = strawberry.field(description="How many countries are new.")
    updated: int = strawberry.field(description="How many countries changed.")
    unchanged: int = strawberry.field(
        description="How many were listed with the data that they had; they are stamped anew."
    )
    missing: list[str] = strawberry.field(
        description="Names of stored countries that the source no longer lists; they are kept."
    )
    skipped: list[SkippedRecord] = strawberry.field(
        description="Records that the source sent and that could not be used, and why."
    )
    statements: int = strawberry.field(description="SQL statements that carried the upsert.")
    timings: RefreshTimings = strawberry.field(description="How long each part took.")
    sources: list[SourceReport] = strawberry.field(
        description="Where the data came from, one entry per kind."
    )

    @strawberry.field(
        description="Absolute address of the summary picture of this refresh, PNG, 1200 x 630 "
        "pixels. Once newer data is served, it leads to the newest picture."
    )
    @staticmethod
    def image_url(parent: strawberry.Parent[report.RefreshReport], info: Info) -> str:
        return info.context.image_url(parent.version)


@strawberry.type(
    description="A refresh that failed; nothing was changed by it, unless the database broke off "
    "and wrote all of it after all: then `status` shows newer data."
)
class RefreshFailure:
    id: strawberry.ID = strawberry.field(description="Opaque; also in the server's log.")
    trigger: RefreshTrigger = strawberry.field(description="What it was begun by.")
    at: datetime = strawberry.field(description="When it failed, UTC.")
    code: str = strawberry.field(
        description="What kind of failure, as in extensions.code, e.g. SOURCE_UNAVAILABLE."
    )
    message: str = strawberry.field(description="What happened, in a sentence.")


@strawberry.enum(description="The steps of a refresh, in order; it ends with DONE or FAILED.")
class RefreshPhase(Enum):
    STARTED = strawberry.enum_value(progress.Phase.STARTED, description="It has begun.")
    FETCHING = strawberry.enum_value(
        progress.Phase.FETCHING, description="The sources are asked, all at once."
    )
    TRANSFORMING = strawberry.enum_value(
        progress.Phase.TRANSFORMING, description="Rows are made of the answers."
    )
    UPSERTING = strawberry.enum_value(
        progress.Phase.UPSERTING, description="The rows are being written."
    )
    DRAWING = strawberry.enum_value(
        progress.Phase.DRAWING, description="The rows are written; the picture is being finished."
    )
    DONE = strawberry.enum_value(
        progress.Phase.DONE, description="It has succeeded; `report` says what it did."
    )
    FAILED = strawberry.enum_value(
        progress.Phase.FAILED, description="It has failed and changed nothing; `code` says why."
    )


@strawberry.type(description="Where a refresh is.")
class RefreshProgress:
    refresh_id: strawberry.ID = strawberry.field(
        description="Opaque; the same in all events of a refresh, and in the server's log."
    )
    phase: RefreshPhase = strawberry.field(description="The step that it is at.")
    fraction: float = strawberry.field(
        description="Share done, 0 to 1, never decreasing within a refresh."
    )
    elapsed_ms: float = strawberry.field(description="Milliseconds since it began.")
    message: str = strawberry.field(
        description="What happens, for people, e.g. geonames returned 250 countries."
    )
    report: RefreshReport | None = strawberry.field(
        description="What it did: set once, with DONE. Its id is another one where this server "
        "has waited for the refresh of another."
    )
    code: str | None = strawberry.field(
        description="What kind of failure, as in extensions.code: set once, with FAILED."
    )


@strawberry.type(description="Where data that is served came from, and how much of it.")
class DataSource:
    kind: SourceKind = strawberry.field(description="Which kind of data.")
    countries: int = strawberry.field(description="Of how many countries it is.")
    provenance: Provenance = strawberry.field(description="Who gave it, and as of when.")


@strawberry.type(description="What is served at this moment.")
class Status:
    @strawberry.field(description="How many countries are served.")
    @staticmethod
    def total_countries(parent: strawberry.Parent[Snapshot]) -> int:
        return len(parent.rows)

    last_refreshed_at: datetime | None = strawberry.field(
        description="When the newest country was refreshed, UTC; null without any country."
    )

    @strawberry.field(
        description="Changes exactly when the data does; the same on every replica. Opaque."
    )
    @staticmethod
    def version(parent: strawberry.Parent[Snapshot]) -> str:
        return str(parent.version)

    @strawberry.field(
        description="True when the last refresh is older than the configured age (STALE_AFTER), "
        "or figures or rates are the data bundled with the server, or there is no data."
    )
    @staticmethod
    def stale(parent: strawberry.Parent[Snapshot], info: Info) -> bool:
        return parent.is_stale(now=info.context.clock(), stale_after=info.context.stale_after)

    @strawberry.field(
        description="Where the data came from: one entry per kind, unless a source stopped "
        "listing countries that are still served; the most of a kind first."
    )
    @staticmethod
    def sources(parent: strawberry.Parent[Snapshot]) -> list[DataSource]:
        counts_by_kind = {
            report.SourceKind.COUNTRIES: parent.count_figures_provenance(),
            report.SourceKind.RATES: parent.count_rates_provenance(),
        }
        return [
            DataSource(
                kind=SourceKind(kind),
                countries=countries,
                provenance=_build_provenance(kind, provenance.provider, provenance.as_of),
            )
            for kind, counts in counts_by_kind.items()
            for provenance, countries in counts.items()
        ]

    @strawberry.field(description="Whether this server refreshes right now.")
    @staticmethod
    def refreshing(info: Info) -> bool:
        return info.context.refresh_service.is_running

    @strawberry.field(
        description="Absolute address of the summary picture, PNG, 1200 x 630 pixels; null "
        "without any country."
    )
    @staticmethod
    def image_url(parent: strawberry.Parent[Snapshot], info: Info) -> str | None:
        return info.context.image_url(parent.version) if parent.rows else None

    @strawberry.field(
        description="The last refresh that succeeded; null if none is remembered.",
        graphql_type=RefreshReport | None,
    )
    @staticmethod
    def last_refresh(info: Info) -> report.RefreshReport | None:
        return info.context.catalog.last_refresh

    @strawberry.field(
        description="The last refresh that failed; null if none is remembered. It may be older "
        "than the last one that succeeded: compare the times.",
        graphql_type=RefreshFailure | None,
    )
    @staticmethod
    def last_failure(info: Info) -> report.RefreshFailure | None:
        return info.context.catalog.last_failure
