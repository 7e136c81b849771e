"""The report of a refresh: the number and the sentence that it computes."""

from datetime import UTC, datetime
from typing import Any

from graphql_api.domain.report import NO_PROVIDER, RefreshReport, SourceKind, SourceReport, Timings
from graphql_api.domain.snapshot import DataVersion
from tests.support.factories import REFRESHED_AT


def make_source(kind: SourceKind, provider: str, *failures: str, **fields: Any) -> SourceReport:  # noqa: ANN401 - any field
    """Return the report of a source."""
    values = {"live": False, "as_of": None, "attribution": None, **fields}
    return SourceReport(kind=kind, provider=provider, failures=failures, **values)


def make_report(*sources: SourceReport) -> RefreshReport:
    """Return a report of these sources."""
    return RefreshReport(
        id="one",
        started_at=REFRESHED_AT,
        finished_at=REFRESHED_AT,
        version=DataVersion(7, 250),
        inserted=1,
        updated=2,
        unchanged=3,
        missing=("Land FR",),
        skipped=(),
        statements=1,
        timings=Timings(
            fetch_countries_ms=1.0,
            fetch_rates_ms=1.0,
            fetch_ms=1.0,
            transform_ms=1.0,
            upsert_ms=1.0,
            image_ms=None,
            total_ms=3.0,
        ),
        sources=sources,
    )


def test_total_countries() -> None:
    """The total counts all served countries, including those that no provider listed."""
    assert make_report().total_countries == 250


def test_warning() -> None:
    """The warning names each kind whose live sources failed, the reasons, and the data that still serves."""
    as_of = datetime(2026, 9, 29, tzinfo=UTC)
    countries = make_source(SourceKind.COUNTRIES, "bundled", "a: down", "b: slow")
    rates = make_source(SourceKind.RATES, "bundled", "c: down", as_of=as_of)
    statistics = make_source(SourceKind.STATISTICS, "world-bank", "d: down", stored=True, as_of=as_of)
    none = make_source(SourceKind.STATISTICS, NO_PROVIDER, "e: down", stored=True)
    report = make_report(countries, rates, statistics, none)
    assert (report.is_live, report.warning) == (
        False,
        (
            "Live sources failed. Countries: the bundled data still serves (a: down; b: slow). "
            "Rates: the bundled data of 2026-09-29 still serves (c: down). "
            "Statistics: the stored data of 2026-09-29 still serves (d: down). "
            "Statistics: there is no data (e: down)."
        ),
    )


def test_no_warning() -> None:
    """A failover to a live source, cached data, and bundled data that was chosen are no reason to warn."""
    failover = make_source(SourceKind.COUNTRIES, "geonames", "restcountries: down", live=True)
    cached = make_source(SourceKind.RATES, "er-api", cached=True)
    chosen = make_source(SourceKind.STATISTICS, "bundled")
    assert (make_report(failover, cached, chosen).is_live, make_report(failover, cached, chosen).warning) == (
        True,
        None,
    )
    assert (make_report(cached).is_live, make_report(chosen).is_live) == (True, False)
