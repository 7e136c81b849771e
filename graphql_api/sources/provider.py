"""A provider: a name, a URL, and a pure function from bytes to records, not validated yet."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pagination(Generic[T]):
    """Pure functions that name the pages after the first, and join all pages."""

    remaining_params: Callable[[T], Sequence[Mapping[str, str]]]
    """Maps the first page to the query parameters of each other page."""
    join: Callable[[Sequence[T]], T]
    """Takes all pages, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Generic[T]):
    """One source of one kind of data; T is what `parse` returns."""

    name: str
    url: str | None = field(default=None, repr=False)
    """Complete URL, which may contain a key. None: bundled data, or a setting has to give it."""
    attribution: str
    """Attribution that the licence requires, with licence and URL: for reports and pages."""
    short_attribution: str
    """The same without its URL: for the summary image."""
    parse: Callable[[bytes], T]
    """Pure. Raises `ProviderError` if the body as a whole is unusable."""
    paths: Sequence[str] = ("",)
    """Added to the path of the URL; all are requested in parallel."""
    join: Callable[[Sequence[T]], T] = operator.itemgetter(0)
    """Pure. Joins the data of all paths, in order. Raises `ProviderError` if they do not match."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Query parameters added to the URL."""
    pagination: Pagination[T] | None = None
    """None: one response has everything."""
    api_key_setting: str | None = None
    """Setting that holds the bearer key. None: no key is needed."""
    api_key: str | None = field(default=None, repr=False)
    resource: str | None = None
    """File in `sources/bundled` that is read instead of a URL."""

    @property
    def is_live(self) -> bool:
        """Return whether the data comes over the network."""
        return self.resource is None


class ProviderError(Exception):
    """A provider's data is unusable or missing. Its message is public: it is part of the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderData:
    """The dates of a provider's data, as the provider reports them. None: not reported."""

    as_of: datetime | None = None
    next_update: datetime | None = None
    """When the provider announced to have new data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawStatistic:
    """One figure of one country as the provider sent it; no value is trusted yet."""

    label: str
    """Names the record if it is skipped."""
    code: object
    name: str
    """Attribute of `CountryStatistics`."""
    value: object
    """None: the provider has no value."""
    year: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawStatistics(ProviderData):
    """Parsed statistics, not validated."""

    statistics: Sequence[RawStatistic]
    pages: int = 1
    """Number of pages, as the provider reports it."""
    total: int | None = None
    """Number of records on all pages, as the provider reports it. None: not reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCountry:
    """A country as the provider sent it; no value is trusted yet."""

    label: str
    """Names the record if it is skipped."""
    code: object
    capital: object = None
    population: object = None
    area_km2: object = None
    currencies: Sequence[object] = ()
    """In the provider's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCountries(ProviderData):
    """Parsed countries, not validated."""

    countries: Sequence[RawCountry]
    total: int | None = None
    """Number of records on all pages, as the provider reports it. None: not reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRates(ProviderData):
    """Parsed exchange rates, not validated: units of each currency for one US dollar."""

    rates: Mapping[str, object]
