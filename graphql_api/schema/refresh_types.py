"""Output types of refreshes: reports, failures and progress, each over its domain object.

A field without a resolver reads the attribute of the same name from that object.
"""

from datetime import datetime
from enum import Enum

import strawberry

from graphql_api.domain import report
from graphql_api.refresh import progress
from graphql_api.schema.context import Info

_LOGGED_ID = "Opaque. The server's log has the same id."
_TRIGGER = "What started the refresh."
_ERROR_CODE = "Kind of failure, as in extensions.code, e.g. SOURCE_UNAVAILABLE."


@strawberry.enum(name="SourceKind", description="The kinds of data that a refresh fetches.")
class SourceKindType(Enum):
    COUNTRIES = strawberry.enum_value(
        report.SourceKind.COUNTRIES, description="Capitals, populations, areas and currencies."
    )
    RATES = strawberry.enum_value(report.SourceKind.RATES, description="Exchange rates.")


@strawberry.type(name="SkippedRecord", description="A record of a provider that failed validation.")
class SkippedRecordType:
    record: str = strawberry.field(description="Its name, its code or its position in the list.")
    reason: str = strawberry.field(description="Why it is invalid.")


@strawberry.type(
    description="Wall time of each part, in milliseconds. fetchMs covers all sources together; "
    "imageMs overlaps upsertMs; totalMs is the time that the caller waited."
)
class RefreshTimings:
    fetch_countries_ms: float = strawberry.field(description="Milliseconds to fetch countries.")
    fetch_rates_ms: float = strawberry.field(description="Milliseconds to fetch exchange rates.")
    fetch_ms: float = strawberry.field(
        description="Milliseconds to fetch all sources, which are fetched in parallel."
    )
    transform_ms: float = strawberry.field(description="Milliseconds to build rows from records.")
    upsert_ms: float = strawberry.field(description="Milliseconds to write the rows.")
    image_ms: float | None = strawberry.field(
        description="Milliseconds to draw the summary image; null if drawing failed."
    )
    total_ms: float = strawberry.field(description="Milliseconds from the first step to the last.")


@strawberry.type(name="SourceReport", description="Where one kind of data in a refresh came from.")
class SourceReportType:
    kind: SourceKindType = strawberry.field(description="The kind of data.")
    provider: str = strawberry.field(
        description="The provider that delivered the data, e.g. geonames, er-api or bundled."
    )
    live: bool = strawberry.field(
        description="Whether the provider was requested in this refresh, even if it had no newer "
        "data; false for bundled and cached data."
    )
    cached: bool = strawberry.field(
        description="Whether the data is an earlier response of the provider, which announced its "
        "next update and was not requested before it. `force` requests it anyway."
    )
    as_of: datetime | None = strawberry.field(
        description="UTC time of the provider's last update; null if it states none."
    )
    failures: list[str] = strawberry.field(
        description="Providers that were tried before this one, and why each failed."
    )
    attribution: str | None = strawberry.field(
        description="Credit that the provider's licence requires; null if none is required."
    )


@strawberry.enum(description="What can start a refresh.")
class RefreshTrigger(Enum):
    START = strawberry.enum_value(
        report.Trigger.START, description="The start of a server without data or with stale data."
    )
    SCHEDULE = strawberry.enum_value(
        report.Trigger.SCHEDULE, description="The schedule of a server (REFRESH_INTERVAL)."
    )
    REQUEST = strawberry.enum_value(
        report.Trigger.REQUEST, description="The mutation, or the command `graphql-api refresh`."
    )


@strawberry.type(name="RefreshReport", description="The result of a successful refresh.")
class RefreshReportType:
    id: strawberry.ID = strawberry.field(description=_LOGGED_ID)
    trigger: RefreshTrigger = strawberry.field(description=_TRIGGER)
    started_at: datetime = strawberry.field(description="UTC time of its start.")
    finished_at: datetime = strawberry.field(description="UTC time when its data was published.")
    total_countries: int = strawberry.field(
        description="Number of countries served after it, including missing ones."
    )
    inserted: int = strawberry.field(description="Number of new countries.")
    updated: int = strawberry.field(description="Number of countries with changed data.")
    unchanged: int = strawberry.field(
        description="Number of countries with the same data; their lastRefreshedAt is updated."
    )
    missing: list[str] = strawberry.field(
        description="Names of stored countries that the provider no longer lists. They are kept."
    )
    skipped: list[SkippedRecordType] = strawberry.field(
        description="Records of the provider that failed validation."
    )
    statements: int = strawberry.field(description="Number of SQL statements of the upsert.")
    timings: RefreshTimings = strawberry.field(description="Duration of each part.")
    sources: list[SourceReportType] = strawberry.field(
        description="Where the data came from, one entry per kind."
    )

    @strawberry.field(
        description="Absolute URL of the summary image of this refresh, PNG, 1200 x 630 pixels. "
        "Once newer data is served, it redirects to the current image."
    )
    @staticmethod
    def image_url(parent: strawberry.Parent[report.RefreshReport], info: Info) -> str:
        return info.context.image_url(parent.version)


@strawberry.type(
    name="RefreshFailure",
    description="A failed refresh. It changed nothing, unless the connection to the database broke "
    "before the upsert was confirmed: then `status` may show newer data.",
)
class RefreshFailureType:
    id: strawberry.ID = strawberry.field(description=_LOGGED_ID)
    trigger: RefreshTrigger = strawberry.field(description=_TRIGGER)
    at: datetime = strawberry.field(description="UTC time of the failure.")
    code: str = strawberry.field(description=_ERROR_CODE)
    message: str = strawberry.field(description="What happened, in one sentence.")


@strawberry.enum(description="The phases of a refresh, in order. The last is DONE or FAILED.")
class RefreshPhase(Enum):
    STARTED = strawberry.enum_value(progress.Phase.STARTED, description="It has started.")
    FETCHING = strawberry.enum_value(
        progress.Phase.FETCHING, description="All sources are being fetched in parallel."
    )
    TRANSFORMING = strawberry.enum_value(
        progress.Phase.TRANSFORMING, description="Rows are being built from the records."
    )
    UPSERTING = strawberry.enum_value(
        progress.Phase.UPSERTING, description="The rows are being written."
    )
    DRAWING = strawberry.enum_value(
        progress.Phase.DRAWING, description="The rows are written; the image is being finished."
    )
    DONE = strawberry.enum_value(
        progress.Phase.DONE, description="It has succeeded; `report` has the result."
    )
    FAILED = strawberry.enum_value(
        progress.Phase.FAILED, description="It has failed and changed nothing; `code` says why."
    )


@strawberry.type(description="The progress of a refresh.")
class RefreshProgress:
    refresh_id: strawberry.ID = strawberry.field(
        description="Opaque. The same in all events of a refresh and in the server's log."
    )
    phase: RefreshPhase = strawberry.field(description="The current phase.")
    fraction: float = strawberry.field(
        description="Part of the work that is done, 0 to 1. Never decreases within a refresh."
    )
    elapsed_ms: float = strawberry.field(description="Milliseconds since the start.")
    message: str = strawberry.field(
        description="The event in words, e.g. geonames returned 250 countries."
    )
    report: RefreshReportType | None = strawberry.field(
        description="The result, set with DONE only. Its id differs from refreshId if this server "
        "waited for the refresh of another replica."
    )
    code: str | None = strawberry.field(description=f"{_ERROR_CODE} Set with FAILED only.")
