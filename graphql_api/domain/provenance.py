"""The provider that data came from."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The provider of one kind of data, and how recent that data is."""

    provider: str
    """Name of the provider, e.g. "geonames"."""
    as_of: datetime | None
    """UTC time of the data according to the provider; None if it reports none."""
