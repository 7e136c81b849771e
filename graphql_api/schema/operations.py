"""What clients can do: the root fields, each a few lines over the catalog and the refresh."""

from collections.abc import AsyncGenerator
from itertools import islice
from typing import Annotated, TypeVar

import strawberry

from graphql_api.domain import country as domain
from graphql_api.domain import report
from graphql_api.domain.filters import AllOf
from graphql_api.domain.pagination import Page, PageRequest, paginate
from graphql_api.domain.snapshot import Snapshot
from graphql_api.errors import CountryNotFound, InvalidInput
from graphql_api.refresh.pipeline import RefreshOptions
from graphql_api.refresh.progress import Progress
from graphql_api.schema.context import Info
from graphql_api.schema.global_ids import decode_country_id
from graphql_api.schema.inputs import CountryFilter, CountrySort
from graphql_api.schema.types import (
    Country,
    CountryConnection,
    Node,
    RefreshFailure,
    RefreshProgress,
    RefreshReport,
    Status,
)

AttemptT = TypeVar("AttemptT", report.RefreshReport, report.RefreshFailure)

CodeArgument = Annotated[
    str | None,
    strawberry.argument(
        description="ISO 3166-1 alpha-2 or alpha-3 code, e.g. FR or FRA; case does not matter."
    ),
]
NameArgument = Annotated[
    str | None,
    strawberry.argument(
        description="Name, or another name that it goes by, e.g. Ivory Coast; case and accents "
        "do not matter."
    ),
]
IdArgument = Annotated[
    strawberry.ID,
    strawberry.argument(description="What `id` of the object was; opaque."),
]
FilterArgument = Annotated[
    CountryFilter | None,
    strawberry.argument(description="Which countries; null for all."),
]
SortArgument = Annotated[
    list[CountrySort] | None,
    strawberry.argument(description="The first key decides, then the next; null: by name."),
]
FirstArgument = Annotated[
    int | None,
    strawberry.argument(description="At most this many, from the front; null: no limit."),
]
AfterArgument = Annotated[
    str | None,
    strawberry.argument(description="Only those after this cursor, in the same order."),
]
LastArgument = Annotated[
    int | None,
    strawberry.argument(description="At most this many, from the back; not with first."),
]
BeforeArgument = Annotated[
    str | None,
    strawberry.argument(description="Only those before this cursor, in the same order."),
]
OffsetArgument = Annotated[
    int | None,
    strawberry.argument(description="Leave out this many; goes with first, not with cursors."),
]
ForceArgument = Annotated[
    bool,
    strawberry.argument(description="Ask every provider, also one that has nothing new yet."),
]
WaitArgument = Annotated[
    bool,
    strawberry.argument(
        description="Whether to wait for a refresh that runs already, and have its report; "
        "otherwise REFRESH_IN_PROGRESS says when it began."
    ),
]
FirstRefreshesArgument = Annotated[
    int,
    strawberry.argument(description="At most this many; the server remembers 1000."),
]


@strawberry.type(description="What can be read; answered from memory.")
class Query:
    @strawberry.field(
        description="One country by code or by name: give exactly one of them. Null if there is "
        "no such country.",
        graphql_type=Country | None,
    )
    @staticmethod
    def country(
        info: Info, code: CodeArgument = None, name: NameArgument = None
    ) -> domain.Country | None:
        return info.context.catalog.snapshot.find(code=code, name=name)

    @strawberry.field(
        description="The object with that id, as Relay's clients ask for it. Null if there is none "
        "any more.",
        graphql_type=Node | None,
    )
    @staticmethod
    def node(info: Info, id: IdArgument) -> domain.Country | None:  # noqa: A002 - the name that Relay asks by
        return info.context.catalog.snapshot.by_code.get(decode_country_id(id))

    @strawberry.field(
        description="Countries, filtered, sorted and paged; all of them, by name, without "
        "arguments. Page with first and after, with last and before, or with first and offset.",
        graphql_type=CountryConnection,
    )
    @staticmethod
    def countries(  # noqa: PLR0913 - the contract's arguments
        info: Info,
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
            info.context.catalog.snapshot,
            filter.to_domain() if filter else AllOf(()),
            [key.to_domain() for key in sort or ()],
            PageRequest(first=first, after=after, last=last, before=before, offset=offset),
        )

    @strawberry.field(
        description="How fresh the data is, and what happened to it last.", graphql_type=Status
    )
    @staticmethod
    def status(info: Info) -> Snapshot:
        return info.context.catalog.snapshot

    @strawberry.field(
        description="Past refreshes that succeeded, newest first. One whose server was killed "
        "when it had just written may be missing; its data are served all the same.",
        graphql_type=list[RefreshReport],
    )
    @staticmethod
    def refreshes(info: Info, first: FirstRefreshesArgument = 10) -> list[report.RefreshReport]:
        return _list_newest(report.RefreshReport, info, first)

    @strawberry.field(
        description="Past refreshes that failed, newest first.",
        graphql_type=list[RefreshFailure],
    )
    @staticmethod
    def failed_refreshes(
        info: Info, first: FirstRefreshesArgument = 10
    ) -> list[report.RefreshFailure]:
        return _list_newest(report.RefreshFailure, info, first)


def _list_newest(attempt_type: type[AttemptT], info: Info, first: int) -> list[AttemptT]:
    """Return the newest attempts of a kind."""
    if first < 0:
        raise InvalidInput(f"first must be 0 or more, not {first}.")
    history = info.context.catalog.history
    return list(
        islice((attempt for attempt in history if isinstance(attempt, attempt_type)), first)
    )


@strawberry.type(description="What changes data; needs the administrator's token if one is set.")
class Mutation:
    @strawberry.mutation(
        description="Fetch every source in parallel, upsert all countries, publish them, draw the "
        "summary picture. Whoever asks while a refresh runs gets that one's report. If a source "
        "fails, nothing changes. A provider that has said when it will have something new is not "
        "asked before, and one that can tell is asked for nothing but news.",
        graphql_type=RefreshReport,
    )
    @staticmethod
    async def refresh_countries(
        info: Info, force: ForceArgument = False, wait: WaitArgument = True
    ) -> report.RefreshReport:
        info.context.require_authorization()
        refresh_report = await info.context.refresh_service.refresh(
            RefreshOptions(force=force, wait=wait)
        )
        info.context.reports.append(refresh_report)
        return refresh_report

    @strawberry.mutation(
        description="Delete one country by code or by name: give exactly one of them. It returns "
        "with the next refresh while a source lists it. Answers with what was deleted.",
        graphql_type=Country,
    )
    @staticmethod
    async def delete_country(
        info: Info, code: CodeArgument = None, name: NameArgument = None
    ) -> domain.Country:
        info.context.require_authorization()
        country = info.context.catalog.snapshot.find(code=code, name=name)
        if country is None:
            raise CountryNotFound(f"There is no country {name if code is None else code!r}.")
        await info.context.catalog.delete(country)
        return country


@strawberry.type(description="What is told as it happens, over a WebSocket to this address.")
class Subscription:
    @strawberry.subscription(
        description="The phases of the refresh that runs now, and of those that start while "
        "subscribed, whoever asked for them: it stays open from one to the next. A refresh that "
        "another server runs over the same database is told coarsely. Who reads too slowly misses "
        "phases, but not the end.",
        graphql_type=RefreshProgress,
    )
    @staticmethod
    def refresh_progress(info: Info) -> AsyncGenerator[Progress, None]:
        return info.context.refresh_service.progress.subscribe()
