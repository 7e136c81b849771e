"""What clients can do: the root fields, each a few lines over the catalog and the refresh."""

from collections.abc import AsyncGenerator
from itertools import islice
from typing import Annotated, TypeVar

import strawberry

from graphql_api.domain import country as domain
from graphql_api.domain import report
from graphql_api.domain.filters import AllOf
from graphql_api.domain.paging import Page, PageRequest, paginate
from graphql_api.domain.snapshot import Snapshot
from graphql_api.errors import CountryNotFound, InvalidInput
from graphql_api.refresh.progress import Progress
from graphql_api.refresh.run import RefreshOptions
from graphql_api.schema.context import Info
from graphql_api.schema.ids import read_country_id
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

A = TypeVar("A", report.RefreshReport, report.RefreshFailure)

Code = Annotated[
    str | None,
    strawberry.argument(
        description="ISO 3166-1 alpha-2 or alpha-3 code, e.g. FR or FRA; case does not matter."
    ),
]
Name = Annotated[
    str | None,
    strawberry.argument(
        description="Name, or another name that it goes by, e.g. Ivory Coast; case and accents "
        "do not matter."
    ),
]
Id = Annotated[
    strawberry.ID,
    strawberry.argument(description="What `id` of the object was; opaque."),
]
Wanted = Annotated[
    CountryFilter | None,
    strawberry.argument(description="Which countries; null for all."),
]
Order = Annotated[
    list[CountrySort] | None,
    strawberry.argument(description="The first key decides, then the next; null: by name."),
]
First = Annotated[
    int | None,
    strawberry.argument(description="At most this many, from the front; null: no limit."),
]
After = Annotated[
    str | None,
    strawberry.argument(description="Only those after this cursor, in the same order."),
]
Last = Annotated[
    int | None,
    strawberry.argument(description="At most this many, from the back; not with first."),
]
Before = Annotated[
    str | None,
    strawberry.argument(description="Only those before this cursor, in the same order."),
]
Offset = Annotated[
    int | None,
    strawberry.argument(description="Leave out this many; goes with first, not with cursors."),
]
Force = Annotated[
    bool,
    strawberry.argument(description="Ask every provider, also one that has nothing new yet."),
]
Wait = Annotated[
    bool,
    strawberry.argument(
        description="Whether to wait for a refresh that runs already, and have its report; "
        "otherwise REFRESH_IN_PROGRESS says when it began."
    ),
]
FirstRefreshes = Annotated[
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
    def country(info: Info, code: Code = None, name: Name = None) -> domain.Country | None:
        return info.context.catalog.snapshot.find(code=code, name=name)

    @strawberry.field(
        description="The object with that id, as Relay's clients ask for it. Null if there is none "
        "any more.",
        graphql_type=Node | None,
    )
    @staticmethod
    def node(info: Info, id: Id) -> domain.Country | None:  # noqa: A002 - the name that Relay asks by
        return info.context.catalog.snapshot.by_code.get(read_country_id(id))

    @strawberry.field(
        description="Countries, filtered, sorted and paged; all of them, by name, without "
        "arguments. Page with first and after, with last and before, or with first and offset.",
        graphql_type=CountryConnection,
    )
    @staticmethod
    def countries(  # noqa: PLR0913 - the contract's arguments
        info: Info,
        *,
        filter: Wanted = None,  # noqa: A002 - the contract's name
        sort: Order = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        offset: Offset = None,
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
    def refreshes(info: Info, first: FirstRefreshes = 10) -> list[report.RefreshReport]:
        return _newest(report.RefreshReport, info, first)

    @strawberry.field(
        description="Past refreshes that failed, newest first.",
        graphql_type=list[RefreshFailure],
    )
    @staticmethod
    def failed_refreshes(info: Info, first: FirstRefreshes = 10) -> list[report.RefreshFailure]:
        return _newest(report.RefreshFailure, info, first)


def _newest(kind: type[A], info: Info, first: int) -> list[A]:
    """Return the newest attempts of a kind."""
    if first < 0:
        raise InvalidInput(f"first must be 0 or more, not {first}.")
    history = info.context.catalog.history
    return list(islice((one for one in history if isinstance(one, kind)), first))


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
        info: Info, force: Force = False, wait: Wait = True
    ) -> report.RefreshReport:
        info.context.require_authorization()
        done = await info.context.refreshes.refresh(RefreshOptions(force=force, wait=wait))
        info.context.reports.append(done)
        return done

    @strawberry.mutation(
        description="Delete one country by code or by name: give exactly one of them. It returns "
        "with the next refresh while a source lists it. Answers with what was deleted.",
        graphql_type=Country,
    )
    @staticmethod
    async def delete_country(info: Info, code: Code = None, name: Name = None) -> domain.Country:
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
        return info.context.refreshes.progress.subscribe()
