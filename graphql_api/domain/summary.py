"""The contents of the summary image."""

from dataclasses import dataclass
from datetime import datetime

from graphql_api.domain.provenance import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class TopCountry:
    """One bar of the image."""

    name: str
    estimated_gdp: float
    """US dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The contents of the summary image. Equal summaries give equal images."""

    total_countries: int
    top: tuple[TopCountry, ...]
    """At most five countries, highest estimated GDP first."""
    countries_source: Provenance | None
    rates_source: Provenance | None
    refreshed_at: datetime | None
    """UTC time of the newest row; None without rows."""
