"""The nodes besides countries, and what links each country to them. They never change with a refresh."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Continent:
    """A continent, as GeoNames divides them."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Region:
    """A region or subregion of UN M49."""

    code: str
    """Three digits."""
    name: str
    parent: "Region | None"


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency of ISO 4217."""

    code: str
    name: str
    symbol: str
    digits: int


@dataclass(frozen=True, slots=True)
class Language:
    """A language that some country uses."""

    code: str
    """BCP 47."""
    name: str
    native_name: str | None
    rtl: bool


@dataclass(frozen=True, slots=True)
class CountryLanguage:
    """The use of a language in a country."""

    language: Language
    official: bool
    share: float | None


@dataclass(frozen=True, slots=True)
class LocalizedName:
    """A name in a language."""

    lang: str
    name: str


@dataclass(frozen=True, slots=True)
class PostalCode:
    """The postal codes of a country."""

    format: str | None
    regex: str | None


class OtherNames(NamedTuple):
    """Names in other languages than English."""

    names: Sequence[str]
    """As people write them."""
    words: Sequence[str]
    """The words of each name as `split_name` returns them, joined by spaces."""
    capitals: Sequence[str]
    """Names of the capital, as people write them."""
    capital_words: Sequence[str]


def _load_no_names() -> OtherNames:
    return OtherNames((), (), (), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryLinks:
    """Nodes of a country, and facts about it that are neither identity nor figures."""

    continent: Continent | None = None
    region: Region | None = None
    """The subregion, if there is one."""
    tld: str | None = None
    calling_codes: tuple[str, ...] = ()
    postal_code: PostalCode | None = None
    timezones: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    """Alpha-2 codes."""
    currencies: tuple[Currency, ...] = ()
    """Those in use as tender, as CLDR orders them."""
    languages: tuple[CountryLanguage, ...] = ()
    native_names: tuple[LocalizedName, ...] = ()
    load_other_names: Callable[[], OtherNames] = field(default=_load_no_names, compare=False, repr=False)
    """Returns the names that only a search needs."""


CONTINENTS: Mapping[str, Continent] = {
    continent.code: continent
    for continent in (
        Continent("AF", "Africa"),
        Continent("AN", "Antarctica"),
        Continent("AS", "Asia"),
        Continent("EU", "Europe"),
        Continent("NA", "North America"),
        Continent("OC", "Oceania"),
        Continent("SA", "South America"),
    )
}
"""Every continent by code."""
NO_LINKS = CountryLinks()
"""Of a country that the reference does not have: a newer version stored it."""
