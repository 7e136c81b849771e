"""Attempts at a refresh for tests: builders with defaults for every field."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from graphql_api.domain.country import SkippedRecord
from graphql_api.domain.report import RefreshFailure, RefreshReport, SourceKind, SourceReport, Timings
from graphql_api.domain.snapshot import DataVersion

STARTED_AT = datetime(2026, 11, 24, 3, 11, 5, 123456, tzinfo=UTC)


def make_source_report(provider: str, **changes: Any) -> SourceReport:  # noqa: ANN401 - what replace takes
    """Return the report of a live provider of rates that did not fail, with `changes`."""
    report = SourceReport(
        kind=SourceKind.RATES, provider=provider, live=True, as_of=None, failures=(), attribution=None
    )
    return replace(report, **changes)


REPORT = RefreshReport(
    id="report",
    started_at=STARTED_AT,
    finished_at=STARTED_AT.replace(microsecond=654321),
    version=DataVersion(7, 250),
    inserted=1,
    updated=2,
    unchanged=247,
    missing=("Côte d’Ivoire", 'A "quoted" \\ name'),
    skipped=(SkippedRecord(record="AN", reason="its code is not one in use"),),
    unnamed_skipped=2,
    statements=1,
    timings=Timings(
        fetch_countries_ms=0.1,
        fetch_rates_ms=1 / 3,
        fetch_ms=2.5,
        transform_ms=5e-324,
        upsert_ms=20.0,
        image_ms=None,
        total_ms=1e300,
    ),
    sources=(
        make_source_report(
            "geonames",
            kind=SourceKind.COUNTRIES,
            failures=("restcountries: it answered 503",),
            attribution="GeoNames (CC BY 4.0)",
        ),
        make_source_report("bundled", live=False, as_of=datetime(2026, 9, 29, tzinfo=UTC)),
    ),
)

FAILURE = RefreshFailure(
    id="failure", at=STARTED_AT, code="SOURCE_UNAVAILABLE", message="geonames did not answer: «%s» \\ 中"
)


def make_report(refresh_id: str, **changes: Any) -> RefreshReport:  # noqa: ANN401 - what replace takes
    """Return a report with that id, with `changes`."""
    return replace(REPORT, id=refresh_id, **changes)


def make_failure(refresh_id: str, **changes: Any) -> RefreshFailure:  # noqa: ANN401 - what replace takes
    """Return a failure with that id, with `changes`."""
    return replace(FAILURE, id=refresh_id, **changes)
