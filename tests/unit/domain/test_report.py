"""The report of a refresh: the number that it computes."""

from graphql_api.domain.report import RefreshReport, Timings
from graphql_api.domain.snapshot import DataVersion
from tests.support.factories import REFRESHED_AT


def test_total_countries() -> None:
    """The total counts all served countries, including those that no provider listed."""
    report = RefreshReport(
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
        sources=(),
    )
    assert report.total_countries == 250
