"""What a provider is: a name, a URL and a pure function from bytes to what it says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Generic[T]):
    """One source of one kind of data; T is what `parse` makes of a body."""

    name: str
    url: str | None
    """The complete URL to ask, or None for data that is read from the package."""
    attribution: str
    """What its licence asks to be shown."""
    parse: Callable[[bytes], T]
    """Pure. Raises `Unusable` when the body as a whole says nothing."""
    resource: str | None = None
    """The file in `sources/bundled` that a provider without a URL reads."""

    @property
    def live(self) -> bool:
        """Tell whether it is asked over the network."""
        return self.url is not None


class Unusable(Exception):
    """A provider's body, or its answer, cannot be used; the message says why, for the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCountry:
    """A country as a provider sent it: nothing in it is to be believed yet."""

    label: str
    """How to name the record when it has to be skipped."""
    code: object
    capital: object
    population: object
    area_km2: object
    currencies: Sequence[object]
    """In the provider's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCountries:
    """A body of countries, read but not checked."""

    countries: Sequence[RawCountry]
    as_of: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRates:
    """A body of exchange rates, read but not checked: units of each currency for one US dollar."""

    rates: Mapping[str, object]
    as_of: datetime | None
