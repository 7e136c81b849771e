"""Root fields: queries, mutations and the subscription."""

from collections.abc import AsyncGenerator
from itertools import islice
from typing import Annotated, TypeVar

import strawberry

from graphql_api.domain import country as domain
from graphql_api.domain import report
from graphql_api.domain.conversion import MAX_TARGETS, Conversion, convert
from graphql_api.domain.filters import MATCH_ALL
from graphql_api.domain.graph import CountryGroup
from graphql_api.domain.nodes import Continent, Currency, Language, Region
from graphql_api.domain.pagination import Page, PageRequest, paginate
from graphql_api.domain.search import Match
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import MAX_MATCHES, MAX_SEARCH_LENGTH, SnapshotReader
from graphql_api.errors import CountryNotFound, InvalidInput
from graphql_api.refresh.pipeline import RefreshOptions
from graphql_api.refresh.progress import Progress
from graphql_api.schema.connection import CountryConnection
from graphql_api.schema.context import Info
from graphql_api.schema.global_ids import decode_id
from graphql_api.schema.inputs import CountryFilter, CountrySort
from graphql_api.schema.nodes import (
    ContinentType,
    ConvertedAmountType,
    CountryMatchType,
    CurrencyType,
    LanguageType,
    Node,
    RegionType,
)
from graphql_api.schema.refresh_types import RefreshFailureType, RefreshProgress, RefreshReportType
from graphql_api.schema.types import CountryType, Status
from graphql_api.utils.named_tuples import new_tuple

AttemptT = TypeVar("AttemptT", report.RefreshReport, report.RefreshFailure)

CodeArgument = Annotated[
    str | None,
    strawberry.argument(
        "ISO 3166-1 code: alpha-2, alpha-3 or numeric, e.g. FR, FRA or 250; or a reserved or retired one of a single "
        "country, e.g. UK or ZR. Case does not matter."
    ),
]
NameArgument = Annotated[
    str | None,
    strawberry.argument(
        "Name or alternative name, e.g. Ivory Coast. Case, accents, punctuation, spaces and articles do not matter. "
        "A name of several countries, e.g. Korea, finds none."
    ),
]
_MAX_NODES = 100
CurrencyArgument = Annotated[str, strawberry.argument("ISO 4217 code, e.g. EUR. Case does not matter.")]
LanguageArgument = Annotated[str, strawberry.argument("BCP 47 code, e.g. pt. Case does not matter.")]
TextArgument = Annotated[
    str,
    strawberry.argument(
        f"At most {MAX_SEARCH_LENGTH} characters, e.g. germ or cote divoire. Case, accents, punctuation, spaces and "
        "articles do not matter."
    ),
]
FirstMatchesArgument = Annotated[int, strawberry.argument(f"Maximum number, at most {MAX_MATCHES}.")]
AmountArgument = Annotated[float, strawberry.argument("Units of `from`, 0 or more.")]
FromArgument = Annotated[str, strawberry.argument("ISO 4217 code, e.g. EUR. Case does not matter.", name="from")]
ToArgument = Annotated[
    list[str],
    strawberry.argument(f"ISO 4217 codes, at most {MAX_TARGETS}; the result has their order. Case does not matter."),
]
IdsArgument = Annotated[list[strawberry.ID], strawberry.argument("The opaque `id` of each object.")]
IdArgument = Annotated[strawberry.ID, strawberry.argument("The opaque `id` of the object.")]
FilterArgument = Annotated[
    CountryFilter | None, strawberry.argument("Conditions on the countries. Null: all countries.")
]
SortArgument = Annotated[
    list[CountrySort] | None, strawberry.argument("Sort keys, the most significant first. Null: by name.")
]
FirstArgument = Annotated[
    int | None, strawberry.argument("Maximum number, from the start of the list. Null: no limit.")
]
AfterArgument = Annotated[str | None, strawberry.argument("Cursor of the country before the page, in the same order.")]
LastArgument = Annotated[int | None, strawberry.argument("Maximum number, from the end of the list. Not with first.")]
BeforeArgument = Annotated[str | None, strawberry.argument("Cursor of the country after the page, in the same order.")]
OffsetArgument = Annotated[int | None, strawberry.argument("Number of countries to skip. Not with cursors or last.")]
ForceArgument = Annotated[bool, strawberry.argument("Request every provider, even one that announced a later update.")]
WaitArgument = Annotated[
    bool,
    strawberry.argument(
        "Whether to wait for a refresh that is already running and return its report. "
        "If false, such a call fails with REFRESH_IN_PROGRESS and the start time."
    ),
]
FirstRefreshesArgument = Annotated[
    int, strawberry.argument("Maximum number. The server keeps the last 1000 refreshes.")
]


@strawberry.type(description="Queries, served from memory.")
class Query:
    @strawberry.field(
        description="One country, by either code or name. Null if there is no such country.",
        graphql_type=CountryType | None,
    )
    @staticmethod
    def country(
        parent: strawberry.Parent[SnapshotReader], code: CodeArgument = None, name: NameArgument = None
    ) -> domain.Country | None:
        return parent.find(code=code, name=name)

    @strawberry.field(
        description="The object with this id, for Relay. Null if it no longer exists.", graphql_type=Node | None
    )
    @staticmethod
    def node(parent: strawberry.Parent[SnapshotReader], id: IdArgument) -> domain.Country | CountryGroup | None:  # noqa: A002 - Relay's name
        return _find_node(parent.snapshot, id)

    @strawberry.field(
        description="Several objects by id, in the order of the ids; null for each that no longer exists. At most 100.",
        graphql_type=list[Node | None],
    )
    @staticmethod
    def nodes(
        parent: strawberry.Parent[SnapshotReader], ids: IdsArgument
    ) -> list[domain.Country | CountryGroup | None]:
        if len(ids) > _MAX_NODES:
            raise InvalidInput(f"ids has {len(ids)} items, at most {_MAX_NODES}.")
        return [_find_node(parent.snapshot, text) for text in ids]

    @strawberry.field(description="One currency. Null if no country uses it.", graphql_type=CurrencyType | None)
    @staticmethod
    def currency(parent: strawberry.Parent[SnapshotReader], code: CurrencyArgument) -> Currency | None:
        return parent.snapshot.graph.find_currency(code)

    @strawberry.field(description="All currencies in use, by code.", graphql_type=list[CurrencyType])
    @staticmethod
    def currencies(parent: strawberry.Parent[SnapshotReader]) -> list[Currency]:
        return list(parent.snapshot.graph.currencies.values())

    @strawberry.field(description="One language. Null if no country lists it.", graphql_type=LanguageType | None)
    @staticmethod
    def language(parent: strawberry.Parent[SnapshotReader], code: LanguageArgument) -> Language | None:
        return parent.snapshot.graph.find_language(code)

    @strawberry.field(description="All languages of all countries, by code.", graphql_type=list[LanguageType])
    @staticmethod
    def languages(parent: strawberry.Parent[SnapshotReader]) -> list[Language]:
        return list(parent.snapshot.graph.languages.values())

    @strawberry.field(
        description="The regions of UN M49 and Antarctica, by code. `subregions` has those below.",
        graphql_type=list[RegionType],
    )
    @staticmethod
    def regions(parent: strawberry.Parent[SnapshotReader]) -> list[Region]:
        return parent.snapshot.graph.get_subregions(None)

    @strawberry.field(description="The seven continents, by code.", graphql_type=list[ContinentType])
    @staticmethod
    def continents(parent: strawberry.Parent[SnapshotReader]) -> list[Continent]:
        return list(parent.snapshot.graph.continents.values())

    @strawberry.field(
        description="Countries, filtered, sorted and paged. Without arguments: all of them, by "
        "name. Page with first and after, with last and before, or with first and offset.",
        graphql_type=CountryConnection,
    )
    @staticmethod
    def countries(  # noqa: PLR0913 - the contract's arguments
        parent: strawberry.Parent[SnapshotReader],
        *,
        filter: FilterArgument = None,  # noqa: A002 - the contract's name
        sort: SortArgument = None,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
        offset: OffsetArgument = None,
    ) -> Page:
        return paginate(
            parent,
            filter.domain if filter else MATCH_ALL,
            [sort_key.key for sort_key in sort or ()],
            new_tuple(PageRequest, (first, after, last, before, offset)),
        )

    @strawberry.field(
        description="Countries whose name, native name, alias, code or capital resembles the text, best first: exact, "
        "then prefix, then word, then fuzzy. Names are in all bundled languages. Empty text finds none.",
        graphql_type=list[CountryMatchType],
    )
    @staticmethod
    def search(
        parent: strawberry.Parent[SnapshotReader], text: TextArgument, first: FirstMatchesArgument = 10
    ) -> list[Match]:
        return parent.search(text, first)

    @strawberry.field(
        description="Money at the rates served now, without fees. An unknown code, or one without a rate, is "
        "BAD_USER_INPUT that names it.",
        graphql_type=list[ConvertedAmountType],
    )
    @staticmethod
    def convert(
        parent: strawberry.Parent[SnapshotReader], amount: AmountArgument, from_: FromArgument, to: ToArgument
    ) -> list[Conversion]:
        return convert(parent.snapshot.graph, amount, from_, to)

    @strawberry.field(description="Age, version and sources of the served data.", graphql_type=Status)
    @staticmethod
    def status(info: Info) -> Snapshot:
        return info.root_value.snapshot

    @strawberry.field(
        description="Successful refreshes, newest first. One may be missing if its server was "
        "killed just after the upsert; its data is served nevertheless.",
        graphql_type=list[RefreshReportType],
    )
    @staticmethod
    def refreshes(info: Info, first: FirstRefreshesArgument = 10) -> list[report.RefreshReport]:
        return _list_newest(report.RefreshReport, info, first)

    @strawberry.field(description="Failed refreshes, newest first.", graphql_type=list[RefreshFailureType])
    @staticmethod
    def failed_refreshes(info: Info, first: FirstRefreshesArgument = 10) -> list[report.RefreshFailure]:
        return _list_newest(report.RefreshFailure, info, first)


def _find_node(snapshot: Snapshot, node_id: str) -> domain.Country | CountryGroup | None:
    type_name, code = decode_id(node_id)
    return snapshot.graph.nodes_by_type[type_name].get(code)


def _list_newest(attempt_type: type[AttemptT], info: Info, first: int) -> list[AttemptT]:
    """Return the `first` newest attempts of a type."""
    if first < 0:
        raise InvalidInput(f"first must be 0 or more, not {first}.")
    history = info.context.catalog.history
    return list(islice((attempt for attempt in history if isinstance(attempt, attempt_type)), first))


@strawberry.type(description="Mutations. They require the administrator's token if ADMIN_TOKEN is set.")
class Mutation:
    @strawberry.mutation(
        description="Fetch all sources in parallel, upsert all countries, publish them, and draw "
        "the summary image. If a refresh is already running on any replica, wait for it and return "
        "its report. If a source fails, nothing changes. A provider that announced its next update "
        "is not requested before it; the others get conditional requests.",
        graphql_type=RefreshReportType,
    )
    @staticmethod
    async def refresh_countries(
        info: Info, force: ForceArgument = False, wait: WaitArgument = True
    ) -> report.RefreshReport:
        context = info.context
        context.require_authorization("refreshCountries")
        context.log_act("refreshCountries", "requests a refresh" + (" of all sources" if force else ""))
        refresh_report = await context.refresh_service.refresh(RefreshOptions(force=force, wait=wait))
        context.reports.append(refresh_report)
        return refresh_report

    @strawberry.mutation(
        description="Delete one country, by either code or name, and return it. The next refresh "
        "adds it again if the provider lists it.",
        graphql_type=CountryType,
    )
    @staticmethod
    async def delete_country(info: Info, code: CodeArgument = None, name: NameArgument = None) -> domain.Country:
        info.context.require_authorization("deleteCountry")
        country = SnapshotReader(info.context.catalog.snapshot).find(code=code, name=name)
        if country is None:
            raise CountryNotFound(f"There is no country {name if code is None else code!r}.")
        await info.context.catalog.delete(country)
        info.context.log_act("deleteCountry", f"has deleted {country.name} ({country.code})")
        return country


@strawberry.type(description="Subscriptions, over a WebSocket to the same URL.")
class Subscription:
    @strawberry.subscription(
        description="Phases of the running refresh and of all later ones, whatever started them. "
        "Refreshes of other replicas are reported in fewer phases. Slow subscribers lose phases, "
        "but never the final one.",
        graphql_type=RefreshProgress,
    )
    @staticmethod
    def refresh_progress(info: Info) -> AsyncGenerator[Progress, None]:
        return info.context.refresh_service.progress.subscribe()
