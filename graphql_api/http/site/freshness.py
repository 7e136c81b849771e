"""The age of the data for people: per kind and provider, and the last refreshes as a chart."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from graphql_api.domain.country import BUNDLED
from graphql_api.domain.report import Attempt, RefreshReport, SourceKind
from graphql_api.domain.snapshot import Snapshot
from graphql_api.images.summary_text import format_years
from graphql_api.sources.registry import get_attribution
from graphql_api.utils import formatting

CHARTED_ATTEMPTS = 10
"""The last attempts, which the page shows."""
CHART_HEIGHT = 40
_MIN_BAR_HEIGHT = 3
"""Height of the fastest refresh, so that it is in sight."""


class Attribution(NamedTuple):
    """A provider of one kind of data."""

    text: str
    years: str
    as_of: str
    row_count: int
    """Number of rows with its data."""
    is_bundled: bool


class RefreshBar(NamedTuple):
    """An attempt to refresh in the chart."""

    at: str
    is_failure: bool
    text: str
    """The duration, or the reason of the failure."""
    height: int


def describe_age(snapshot: Snapshot, now: datetime) -> str:
    """Return the age of the data; empty without data."""
    refreshed_at = snapshot.last_refreshed_at
    return formatting.format_age(now - refreshed_at) if refreshed_at else ""


def describe_staleness(snapshot: Snapshot, now: datetime, stale_after: timedelta) -> str:
    """Return why the data is not up to date; empty if it is, or if there is none."""
    if not snapshot.rows or not snapshot.is_stale(now=now, stale_after=stale_after):
        return ""
    is_live = {"figures": snapshot.has_live_figures, "rates": snapshot.has_live_rates}
    if bundled_kinds := [kind for kind in is_live if not is_live[kind]]:
        return f"the {' and '.join(bundled_kinds)} are those bundled with the server."
    return "the last refresh was too long ago."


def list_attributions(snapshot: Snapshot) -> Iterator[tuple[str, list[Attribution]]]:
    """Yield each kind with its providers."""
    for title, kind, sources in (
        ("Figures", SourceKind.COUNTRIES, snapshot.count_figures_provenance()),
        ("Statistics", SourceKind.STATISTICS, snapshot.count_statistics_provenance()),
        ("Exchange rates", SourceKind.RATES, snapshot.count_rates_provenance()),
    ):
        providers = []
        for source, count in sources.items():
            text = get_attribution(kind, source.provider) or source.provider
            as_of = formatting.format_date(source.as_of) if source.as_of else ""
            is_statistics = kind is SourceKind.STATISTICS
            years = format_years(snapshot.find_statistics_years(source if is_statistics else None))
            providers.append(Attribution(text, years, as_of, count, source.provider == BUNDLED))
        if providers:
            yield title, providers


def chart_attempts(attempts: Sequence[Attempt]) -> list[RefreshBar]:
    """Return a bar for each attempt, the oldest first. Its height is the duration; a failure has the whole height."""
    slowest = max((attempt.timings.total_ms for attempt in attempts if isinstance(attempt, RefreshReport)), default=0)
    return [_build_bar(attempt, slowest) for attempt in reversed(attempts)]


def _build_bar(attempt: Attempt, slowest: float) -> RefreshBar:
    at = formatting.format_datetime(attempt.at)
    if not isinstance(attempt, RefreshReport):
        return RefreshBar(at, is_failure=True, text=attempt.message, height=CHART_HEIGHT)
    duration = attempt.timings.total_ms
    height = max(_MIN_BAR_HEIGHT, round(CHART_HEIGHT * duration / slowest)) if slowest else _MIN_BAR_HEIGHT
    return RefreshBar(at, is_failure=False, text=f"{duration / 1000:.2f} s", height=height)
