"""The age of the data for people: sources and state of each kind, and the last refreshes as a chart."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import NamedTuple

from graphql_api.domain.country import BUNDLED
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.report import Attempt, RefreshReport, SourceKind, SourceReport
from graphql_api.domain.snapshot import Snapshot
from graphql_api.images.summary_text import format_years
from graphql_api.sources.registry import get_attribution
from graphql_api.utils import formatting

CHARTED_ATTEMPTS = 10
"""The last attempts, which the page shows."""
CHART_HEIGHT = 40
_MIN_BAR_HEIGHT = 3
"""Height of the fastest refresh, so that it is in sight."""
_TITLES: Mapping[SourceKind, str] = {
    SourceKind.COUNTRIES: "Capitals, areas, currencies",
    SourceKind.STATISTICS: "Population, GDP",
    SourceKind.RATES: "Exchange rates",
}
"""The figures of each kind, in the order of the page."""


class KindState(NamedTuple):
    """Times of one kind of data, according to the history."""

    confirmed_at: datetime | None = None
    """Time of the last refresh whose live provider sent the kind or had nothing new; None if the history has none."""
    old_since: datetime | None = None
    """Time since which no refresh confirms the kind; None while it is up to date."""
    reason: str = ""
    """Why the kind is old."""


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


def assess_kinds(attempts: Sequence[Attempt], now: datetime, stale_after: timedelta) -> Mapping[SourceKind, KindState]:
    """Return the state of each kind after these attempts, the newest first."""
    return {kind: _assess(kind, attempts, now, stale_after) for kind in _TITLES}


def list_attributions(snapshot: Snapshot) -> Mapping[SourceKind, tuple[str, list[Attribution]]]:
    """Return the title and the providers of each kind of which there is data."""
    sources_by_kind = {
        SourceKind.COUNTRIES: snapshot.count_figures_provenance(),
        SourceKind.STATISTICS: snapshot.count_statistics_provenance(),
        SourceKind.RATES: snapshot.count_rates_provenance(),
    }
    return {
        kind: (title, [_build_attribution(kind, source, count, snapshot) for source, count in sources.items()])
        for kind, title in _TITLES.items()
        if (sources := sources_by_kind[kind])
    }


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


def _assess(kind: SourceKind, attempts: Sequence[Attempt], now: datetime, stale_after: timedelta) -> KindState:
    later = list(takewhile(lambda attempt: not _confirms(attempt, kind), attempts))
    confirmed_at = attempts[len(later)].at if len(later) < len(attempts) else None
    if later:
        return KindState(confirmed_at, later[-1].at, _find_problem(later[0], kind))
    if confirmed_at and now - confirmed_at > stale_after:
        return KindState(confirmed_at, confirmed_at + stale_after, "no refresh since then")
    return KindState(confirmed_at)


def _confirms(attempt: Attempt, kind: SourceKind) -> bool:
    source = _find_source(attempt, kind)
    return source is not None and (source.live or source.cached)


def _find_problem(attempt: Attempt, kind: SourceKind) -> str:
    """Return why an attempt did not confirm a kind."""
    if not isinstance(attempt, RefreshReport):
        return "the last refresh failed"
    source = _find_source(attempt, kind)
    if source is None:
        return "the last refresh did not include it"
    return "; ".join(source.failures) or "no live provider is set"


def _find_source(attempt: Attempt, kind: SourceKind) -> SourceReport | None:
    if isinstance(attempt, RefreshReport):
        for source in attempt.sources:
            if source.kind is kind:
                return source
    return None


def _build_attribution(kind: SourceKind, source: Provenance, count: int, snapshot: Snapshot) -> Attribution:
    years = snapshot.find_statistics_years(source if kind is SourceKind.STATISTICS else None)
    return Attribution(
        text=get_attribution(kind, source.provider) or source.provider,
        years=format_years(years),
        as_of=formatting.format_date(source.as_of) if source.as_of else "",
        row_count=count,
        is_bundled=source.provider == BUNDLED,
    )
