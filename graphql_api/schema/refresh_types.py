"""Output types of refreshes: reports, failures and progress, each over its domain object.

A field without a resolver reads the attribute of the same name from that object.
"""

from datetime import datetime
from enum import Enum
from typing import Any

import strawberry

from graphql_api.domain import report
from graphql_api.refresh import progress
from graphql_api.schema.context import Info


def described(description: str | None) -> Any:  # noqa: ANN401 - as strawberry.field
    """Return a field with a description, read from the attribute of its name."""
    return strawberry.field(description=description)


def described_value(member: Enum, description: str) -> Any:  # noqa: ANN401 - as strawberry.enum_value
    """Return a value of an enum with a description."""
    return strawberry.enum_value(member, description=description)


_LOGGED_ID = "Opaque. The server's log has the same id."
_TRIGGER = "What started the refresh."
_ERROR_CODE = "Kind of failure, as in extensions.code, e.g. SOURCE_UNAVAILABLE."


@strawberry.enum(name="SourceKind", description="The kinds of data that a refresh fetches.")
class SourceKindType(Enum):
    COUNTRIES = described_value(report.SourceKind.COUNTRIES, "Capitals, populations, areas and currencies.")
    RATES = described_value(report.SourceKind.RATES, "Exchange rates.")
    STATISTICS = described_value(
        report.SourceKind.STATISTICS,
        "Populations and GDPs with their years. A refresh succeeds without them, and the stored ones stay.",
    )


@strawberry.type(name="SkippedRecord", description="A record of a provider that failed validation.")
class SkippedRecordType:
    record: str = described("Its name, its code or its position in the list.")
    reason: str = described("Why it is invalid.")


@strawberry.type(
    description="Wall time of each part, in milliseconds. fetchMs covers all sources together; "
    "imageMs overlaps upsertMs; totalMs is the time that the caller waited."
)
class RefreshTimings:
    fetch_countries_ms: float = described("Milliseconds to fetch countries.")
    fetch_rates_ms: float = described("Milliseconds to fetch exchange rates.")
    fetch_statistics_ms: float = described("Milliseconds to fetch statistics; 0 in reports of versions without them.")
    fetch_ms: float = described("Milliseconds to fetch all sources, which are fetched in parallel.")
    transform_ms: float = described("Milliseconds to build rows from records.")
    upsert_ms: float = described("Milliseconds to write the rows.")
    image_ms: float | None = described("Milliseconds to draw the summary image; null if drawing failed.")
    total_ms: float = described("Milliseconds from the first step to the last.")


@strawberry.type(name="SourceReport", description="Where one kind of data in a refresh came from.")
class SourceReportType:
    kind: SourceKindType = described("The kind of data.")
    provider: str = described(
        "The provider that delivered the data, e.g. geonames, er-api or bundled. If stored is true, that of the stored "
        "data, or none if there is none."
    )
    live: bool = described(
        "Whether the provider was requested in this refresh, even if it had no newer "
        "data; false for bundled, cached and stored data."
    )
    cached: bool = described(
        "Whether the data is an earlier response of the provider, which announced its "
        "next update and was not requested before it. `force` requests it anyway."
    )
    as_of: datetime | None = described("UTC time of the provider's last update; null if it states none.")
    stored: bool = described(
        "Whether no provider had usable data, so that the stored data stayed as it was; only for statistics. "
        "`failures` has the reasons."
    )
    failures: list[str] = described("Providers that were tried before this one, and why each failed.")
    dropped: int = described("Number of records of no country, such as the World Bank's groups of countries.")
    attribution: str | None = described("Credit that the provider's licence requires; null if none is required.")


@strawberry.enum(description="What can start a refresh.")
class RefreshTrigger(Enum):
    START = described_value(report.Trigger.START, "The start of a server without data or with stale data.")
    SCHEDULE = described_value(report.Trigger.SCHEDULE, "The schedule of a server (REFRESH_INTERVAL).")
    REQUEST = described_value(report.Trigger.REQUEST, "The mutation, or the command `graphql-api refresh`.")


@strawberry.type(name="RefreshReport", description="The result of a successful refresh.")
class RefreshReportType:
    id: strawberry.ID = described(_LOGGED_ID)
    trigger: RefreshTrigger = described(_TRIGGER)
    started_at: datetime = described("UTC time of its start.")
    finished_at: datetime = described("UTC time when its data was published.")
    total_countries: int = described("Number of countries served after it, including missing ones.")
    inserted: int = described("Number of new countries.")
    updated: int = described("Number of countries with changed data.")
    unchanged: int = described("Number of countries with the same data; their lastRefreshedAt is updated.")
    missing: list[str] = described("Names of stored countries that the provider no longer lists. They are kept.")
    skipped: list[SkippedRecordType] = described("Records of the provider that failed validation, the first 100.")
    skipped_count: int = described("Number of records of the provider that failed validation.")
    statements: int = described("Number of SQL statements of the upsert.")
    timings: RefreshTimings = described("Duration of each part.")
    sources: list[SourceReportType] = described("Where the data came from, one entry per kind.")
    warning: str | None = described(
        "Which live sources failed and why, if bundled or stored data is served instead; null otherwise."
    )

    @strawberry.field(
        description="Absolute URL of the summary image of this refresh, PNG, 1200 x 630 pixels. "
        "Once newer data is served, it redirects to the current image."
    )
    @staticmethod
    async def image_url(parent: strawberry.Parent[report.RefreshReport], info: Info) -> str:
        return await info.context.get_image_url(parent.version)


@strawberry.type(
    name="RefreshFailure",
    description="A failed refresh. It changed nothing, unless the connection to the database broke "
    "before the upsert was confirmed: then `status` may show newer data.",
)
class RefreshFailureType:
    id: strawberry.ID = described(_LOGGED_ID)
    trigger: RefreshTrigger = described(_TRIGGER)
    at: datetime = described("UTC time of the failure.")
    code: str = described(_ERROR_CODE)
    message: str = described("What happened, in one sentence.")


@strawberry.enum(description="The phases of a refresh, in order. The last is DONE or FAILED.")
class RefreshPhase(Enum):
    STARTED = described_value(progress.Phase.STARTED, "It has started.")
    FETCHING = described_value(progress.Phase.FETCHING, "All sources are being fetched in parallel.")
    TRANSFORMING = described_value(progress.Phase.TRANSFORMING, "Rows are being built from the records.")
    UPSERTING = described_value(progress.Phase.UPSERTING, "The rows are being written.")
    DRAWING = described_value(progress.Phase.DRAWING, "The rows are written; the image is being finished.")
    DONE = described_value(progress.Phase.DONE, "It has succeeded; `report` has the result.")
    FAILED = described_value(progress.Phase.FAILED, "It has failed and changed nothing; `code` says why.")


@strawberry.type(description="The progress of a refresh.")
class RefreshProgress:
    refresh_id: strawberry.ID = described("Opaque. The same in all events of a refresh and in the server's log.")
    phase: RefreshPhase = described("The current phase.")
    fraction: float = described("Part of the work that is done, 0 to 1. Never decreases within a refresh.")
    elapsed_ms: float = described("Milliseconds since the start.")
    message: str = described("The event in words, e.g. geonames returned 250 countries.")
    report: RefreshReportType | None = described(
        "The result, set with DONE only. Its id differs from refreshId if this server "
        "waited for the refresh of another replica."
    )
    code: str | None = described(f"{_ERROR_CODE} Set with FAILED only.")
