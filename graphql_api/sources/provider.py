"""What a provider is: a name, a URL and a pure function from bytes to what it says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pagination(Generic[T]):
    """How a provider that answers in pages is asked for all of them."""

    remaining_params: Callable[[T], Sequence[Mapping[str, str]]]
    """Pure, from the first page to what asks for each other one: parameters of the query."""
    join: Callable[[Sequence[T]], T]
    """Pure, from all pages in order to what they say together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Generic[T]):
    """One source of one kind of data; T is what `parse` makes of a body."""

    name: str
    url: str | None = field(repr=False)
    """The complete URL to ask, which may hold a key; None where a setting has to give one, and for
    bundled data.
    """
    attribution: str
    """What its licence asks to be shown."""
    parse: Callable[[bytes], T]
    """Pure. Raises `Unusable` when the body as a whole says nothing."""
    params: Mapping[str, str] = field(default_factory=dict)
    """What is added to the query of the URL."""
    pagination: Pagination[T] | None = None
    """None: one body is all."""
    api_key_setting: str | None = None
    """The setting that its bearer key comes from; None: it asks for none."""
    api_key: str | None = field(default=None, repr=False)
    resource: str | None = None
    """The file in `sources/bundled` that is read instead of asking anybody."""

    @property
    def is_live(self) -> bool:
        """Tell whether it is asked over the network."""
        return self.resource is None


class ProviderError(Exception):
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
    total: int | None = None
    """How many the provider says that it has, on all its pages; None: it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRates:
    """A body of exchange rates, read but not checked: units of each currency for one US dollar."""

    rates: Mapping[str, object]
    as_of: datetime | None
    next_update: datetime | None = None
    """Before when the provider says that asking again is of no use."""
