"""The figures that the summary picture shows, computed from a snapshot."""

from dataclasses import dataclass
from datetime import datetime

from graphql_api.domain.provenance import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class TopCountry:
    """One bar of the picture."""

    name: str
    estimated_gdp: float
    """US dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the picture says; equal summaries give equal pictures."""

    total_countries: int
    top: tuple[TopCountry, ...]
    """At most five countries, the highest estimated GDP first."""
    countries_source: Provenance | None
    rates_source: Provenance | None
    refreshed_at: datetime | None
    """When the newest row was refreshed, UTC; None when there are no rows."""
