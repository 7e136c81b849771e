"""What a refresh leaves behind: a report if it succeeded, a failure if it did not."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from graphql_api.domain.country import SkippedRecord
from graphql_api.domain.snapshot import DataVersion


class SourceKind(StrEnum):
    """The two kinds of data that a refresh is made of."""

    COUNTRIES = "countries"
    RATES = "rates"


class Trigger(StrEnum):
    """What a refresh was begun by."""

    START = "start"
    """A server that starts with no data, or with stale data."""
    SCHEDULE = "schedule"
    REQUEST = "request"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """Which provider answered for one kind of data."""

    kind: SourceKind
    provider: str
    live: bool
    """Whether it was asked for this refresh; one that has nothing new since before is too."""
    cached: bool = False
    """Whether it was not asked, since it had said when it would have something new."""
    as_of: datetime | None
    """When the provider says the data is from, UTC."""
    failures: tuple[str, ...]
    """The providers tried before it, and why each failed."""
    attribution: str | None
    """What the provider's licence asks to be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds of wall time, measured where the work happens."""

    fetch_countries_ms: float
    fetch_rates_ms: float
    fetch_ms: float
    """All sources together: they are fetched at the same time."""
    transform_ms: float
    upsert_ms: float
    image_ms: float | None
    """Overlaps the upsert; None when the picture could not be drawn."""
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshReport:
    """A refresh that succeeded."""

    id: str
    started_at: datetime
    finished_at: datetime
    version: DataVersion
    """The version of the data that it published."""
    inserted: int
    updated: int
    unchanged: int
    """Listed rows whose data were the same already."""
    missing: tuple[str, ...]
    """Names of stored countries that the source did not list; they are kept."""
    skipped: tuple[SkippedRecord, ...]
    statements: int
    """SQL statements that carried the upsert."""
    timings: Timings
    sources: tuple[SourceReport, ...]
    trigger: Trigger = Trigger.REQUEST

    @property
    def at(self) -> datetime:
        """Return when it ended."""
        return self.finished_at

    @property
    def total_countries(self) -> int:
        """Return how many countries are served after it, the missing ones included."""
        return self.version.count

    @property
    def has_asked_all_providers(self) -> bool:
        """Tell whether every source was asked: none was taken as kept."""
        return not any(source.cached for source in self.sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshFailure:
    """A refresh that changed nothing."""

    id: str
    at: datetime
    code: str
    """The `code` of the error."""
    message: str
    trigger: Trigger = Trigger.REQUEST


Attempt = RefreshReport | RefreshFailure
