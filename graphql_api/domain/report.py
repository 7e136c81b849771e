"""The result of a refresh: a report if it succeeded, else a failure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from graphql_api.domain.country import BUNDLED, SkippedRecord
from graphql_api.domain.snapshot import DataVersion


class SourceKind(StrEnum):
    """The kinds of data that a refresh fetches."""

    COUNTRIES = "countries"
    RATES = "rates"
    STATISTICS = "statistics"
    """Optional: a refresh without them succeeds, and the stored ones stay."""


NO_PROVIDER = "none"
"""Stands for the provider of statistics if there are none."""


class Trigger(StrEnum):
    """The reason why a refresh started."""

    START = "start"
    """A server started with no data or stale data."""
    SCHEDULE = "schedule"
    REQUEST = "request"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """The provider that delivered one kind of data, and the ones that failed before it."""

    kind: SourceKind
    provider: str
    """If the stored statistics stayed, the provider of most of them; `NO_PROVIDER` without any."""
    live: bool
    """True if this refresh contacted the provider, even if it had nothing new."""
    cached: bool = False
    """True if the data is from the cache, as the provider announced a later update."""
    stored: bool = False
    """True if no provider delivered usable statistics, so that the stored ones stayed."""
    as_of: datetime | None
    """UTC time of the data according to the provider; None if it reports none."""
    failures: tuple[str, ...]
    """One message per provider tried before this one."""
    dropped: int = 0
    """Number of records of no country, such as the aggregates of the World Bank."""
    attribution: str | None
    """The credit that the provider's licence requires, if any."""

    @property
    def is_fallback(self) -> bool:
        """Return whether live providers failed, so that bundled or stored data goes on being served."""
        return bool(self.failures) and (self.provider == BUNDLED or self.stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds of wall time per phase."""

    fetch_countries_ms: float
    fetch_rates_ms: float
    fetch_statistics_ms: float = 0
    """0 in the history of versions without statistics."""
    fetch_ms: float
    """All sources, which are fetched in parallel."""
    transform_ms: float
    upsert_ms: float
    image_ms: float | None
    """Overlaps the upsert. None if drawing failed."""
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshReport:
    """A refresh that succeeded."""

    id: str
    started_at: datetime
    finished_at: datetime
    version: DataVersion
    """Version of the published data."""
    inserted: int
    updated: int
    unchanged: int
    """Listed rows whose data did not change."""
    missing: tuple[str, ...]
    """Names of stored countries that the provider did not list. Their rows stay."""
    skipped: tuple[SkippedRecord, ...]
    """The first of them."""
    unnamed_skipped: int = 0
    """Number of further skipped records."""
    statements: int
    """Number of SQL statements of the upsert."""
    timings: Timings
    sources: tuple[SourceReport, ...]
    trigger: Trigger = Trigger.REQUEST

    @property
    def at(self) -> datetime:
        """Return `finished_at`, under the name that failures use too."""
        return self.finished_at

    @property
    def total_countries(self) -> int:
        """Return the number of countries after the refresh, missing ones included."""
        return self.version.count

    @property
    def skipped_count(self) -> int:
        """Return the number of skipped records, including those that are not named."""
        return len(self.skipped) + self.unnamed_skipped

    @property
    def is_live(self) -> bool:
        """Return whether any source is live, or was so recently that its provider has nothing new."""
        return any(source.live or source.cached for source in self.sources)

    @property
    def warning(self) -> str | None:
        """Return which live sources failed and why, and what is served instead; None if none failed."""
        fallbacks = [source for source in self.sources if source.is_fallback]
        if not fallbacks:
            return None
        return f"Live sources failed. {' '.join(_describe_fallback(source) for source in fallbacks)}"

    @property
    def has_asked_all_providers(self) -> bool:
        """Return whether no source came from the provider cache."""
        return not any(source.cached for source in self.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshFailure:
    """A refresh that changed nothing."""

    id: str
    at: datetime
    code: str
    """The `code` of the `CountriesError`."""
    message: str
    trigger: Trigger = Trigger.REQUEST


def _describe_fallback(source: SourceReport) -> str:
    kind = source.kind.capitalize()
    reasons = "; ".join(source.failures)
    if source.provider == NO_PROVIDER:
        return f"{kind}: there is no data ({reasons})."
    date = f" of {source.as_of:%Y-%m-%d}" if source.as_of else ""
    return f"{kind}: the {'stored' if source.stored else 'bundled'} data{date} still serves ({reasons})."


Attempt = RefreshReport | RefreshFailure
