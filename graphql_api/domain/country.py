"""Countries: the stored row, the table of its fields, and the parts that a refresh merges."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto

from graphql_api.domain.folding import Folder, fold, fold_code
from graphql_api.domain.nodes import NO_LINKS, CountryLinks

BUNDLED = "bundled"
"""Name of the provider that reads the data shipped with the package. All others are live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A stored row. `FIELDS` describes each field."""

    code: str
    alpha3: str
    name: str
    capital: str | None
    region: str | None
    subregion: str | None
    population: int
    area_km2: float | None
    currency_code: str | None
    exchange_rate: float | None
    estimated_gdp: float | None
    flag_url: str | None
    last_refreshed_at: datetime
    revision: int
    """Number of the refresh that wrote the row, or of a later deletion of another one. Assigned with the lease."""
    countries_provider: str
    countries_as_of: datetime | None
    rates_provider: str | None
    """None without an exchange rate."""
    rates_as_of: datetime | None
    population_year: int | None
    population_density: float | None
    gdp: float | None
    gdp_year: int | None
    gdp_per_capita: float | None
    gdp_ppp: float | None
    gdp_ppp_year: int | None
    statistics_population: int | None
    """The statistics provider's population. None: `population` is the countries provider's."""
    statistics_provider: str | None
    """None without statistics."""
    statistics_as_of: datetime | None

    @property
    def stated_population_year(self) -> int | None:
        """Return the year of the population; None if it is not that of the statistics.

        A replica of 0.1 that still runs during an upgrade overwrites the population, but not its year.
        """
        return self.population_year if self.population == self.statistics_population else None


class FieldKind(Enum):
    """The type of a field's values."""

    TEXT = auto()
    """Filtered and sorted by its folded form, see `FieldInfo.fold`."""
    INT = auto()
    FLOAT = auto()
    INSTANT = auto()
    """An aware datetime with microseconds."""
    TEXTS = auto()
    """A list of texts, filtered by the folded form of each."""


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """Describes a field of `Country` to SQL, GraphQL and the landing page."""

    kind: FieldKind
    description: str | None
    """Describes the field to clients; None if they cannot see it."""
    max_length: int | None = None
    """Characters, for text."""
    nullable: bool = False
    filterable: bool = True
    sortable: bool = True
    fold: Folder = fold
    """Returns the form of a text that filters and sorting compare."""
    is_closed: bool = False
    """True if its values are from the reference or a list of ISO, so that a filter by any other one is a mistake."""


def _internal(kind: FieldKind, max_length: int | None = None, *, nullable: bool) -> FieldInfo:
    return FieldInfo(kind, None, max_length, nullable=nullable, filterable=False, sortable=False)


FIELDS: Mapping[str, FieldInfo] = {
    "code": FieldInfo(
        FieldKind.TEXT, "ISO 3166-1 alpha-2 code, e.g. FR; XK for Kosovo.", max_length=2, fold=fold_code, is_closed=True
    ),
    "alpha3": FieldInfo(
        FieldKind.TEXT,
        "ISO 3166-1 alpha-3 code, e.g. FRA; XKX for Kosovo.",
        max_length=3,
        fold=fold_code,
        is_closed=True,
    ),
    "name": FieldInfo(
        FieldKind.TEXT,
        "English short name from Unicode CLDR. Providers cannot change it.",
        max_length=200,
        is_closed=True,
    ),
    "capital": FieldInfo(
        FieldKind.TEXT,
        "Capital; null if the country has none or the provider reports none.",
        max_length=200,
        nullable=True,
    ),
    "region": FieldInfo(
        FieldKind.TEXT,
        "UN M49 region: Africa, Americas, Antarctica, Asia, Europe or Oceania. Every country has one today.",
        max_length=200,
        nullable=True,
        is_closed=True,
    ),
    "subregion": FieldInfo(
        FieldKind.TEXT,
        "UN M49 subregion, e.g. Western Africa; null if there is none, e.g. for Antarctica.",
        max_length=200,
        nullable=True,
        is_closed=True,
    ),
    "population": FieldInfo(
        FieldKind.INT,
        "Number of people, from statisticsFrom; where that has none, from figuresFrom, and populationYear is null.",
    ),
    "area_km2": FieldInfo(
        FieldKind.FLOAT, "Area in square kilometres; null if the provider reports none.", nullable=True
    ),
    "currency_code": FieldInfo(
        FieldKind.TEXT,
        "ISO 4217 code of the first currency in use, e.g. EUR; null if there is none.",
        max_length=3,
        nullable=True,
        fold=fold_code,
        is_closed=True,
    ),
    "exchange_rate": FieldInfo(
        FieldKind.FLOAT, "Units of the country's currency for 1 US dollar; null if no rate is known.", nullable=True
    ),
    "estimated_gdp": FieldInfo(
        FieldKind.FLOAT,
        "Rough estimate in US dollars, rounded to cents, not a statistic: population x multiplier / exchangeRate. "
        "The multiplier is 1000 to 2000, derived from the country code, and never changes. Null "
        "without an exchange rate. `gdp` is the real figure.",
        nullable=True,
    ),
    "flag_url": FieldInfo(
        FieldKind.TEXT,
        "URL of an SVG image of the flag; null if none is known.",
        max_length=200,
        nullable=True,
        filterable=False,
        sortable=False,
    ),
    "last_refreshed_at": FieldInfo(FieldKind.INSTANT, "UTC time of the last refresh that listed this country."),
    "revision": _internal(FieldKind.INT, nullable=False),
    "countries_provider": _internal(FieldKind.TEXT, 50, nullable=False),
    "countries_as_of": _internal(FieldKind.INSTANT, nullable=True),
    "rates_provider": _internal(FieldKind.TEXT, 50, nullable=True),
    "rates_as_of": _internal(FieldKind.INSTANT, nullable=True),
    "population_year": FieldInfo(
        FieldKind.INT,
        "Year of the population; null if the source does not state it.",
        nullable=True,
        filterable=False,
        sortable=False,
    ),
    "population_density": FieldInfo(
        FieldKind.FLOAT, "People per square kilometre; null without an area.", nullable=True
    ),
    "gdp": FieldInfo(
        FieldKind.FLOAT,
        "Gross domestic product in current US dollars, from national accounts; null if no source has it. "
        "Not the estimate, which is estimatedGdp.",
        nullable=True,
    ),
    "gdp_year": FieldInfo(
        FieldKind.INT,
        "Year of the GDP; null without a GDP, or if the source does not state it.",
        nullable=True,
        filterable=False,
        sortable=False,
    ),
    "gdp_per_capita": FieldInfo(
        FieldKind.FLOAT,
        "GDP per person in current US dollars: gdp / population, both from statisticsFrom; null if it lacks either. "
        "Their years may differ, see gdpYear and populationYear.",
        nullable=True,
    ),
    "gdp_ppp": FieldInfo(
        FieldKind.FLOAT,
        "Gross domestic product at purchasing power parity in international dollars; null if no source has it.",
        nullable=True,
    ),
    "gdp_ppp_year": FieldInfo(
        FieldKind.INT,
        "Year of the GDP at purchasing power parity; null without one, or if the source does not state it.",
        nullable=True,
        filterable=False,
        sortable=False,
    ),
    "statistics_population": _internal(FieldKind.INT, nullable=True),
    "statistics_provider": _internal(FieldKind.TEXT, 50, nullable=True),
    "statistics_as_of": _internal(FieldKind.INSTANT, nullable=True),
}
"""The fields of `Country` by name, in the order of the SQL columns."""


def _linked(kind: FieldKind, description: str, *, sortable: bool = False, fold: Folder = fold_code) -> FieldInfo:
    return FieldInfo(kind, description, nullable=kind is FieldKind.TEXT, sortable=sortable, fold=fold)


LINKED_FIELDS: Mapping[str, FieldInfo] = {
    "continent": _linked(FieldKind.TEXT, "Code of the continent: AF, AN, AS, EU, NA, OC or SA.", sortable=True),
    "numeric_code": _linked(
        FieldKind.TEXT, "ISO 3166-1 numeric code, three digits, e.g. 076; null for Kosovo.", sortable=True
    ),
    "tld": _linked(FieldKind.TEXT, "Top-level domain with its dot, e.g. .br; null if there is none."),
    "aliases": _linked(FieldKind.TEXTS, "Other names that the country is found by.", fold=fold),
    "currencies": _linked(FieldKind.TEXTS, "ISO 4217 codes of the currencies in use as tender."),
    "languages": _linked(FieldKind.TEXTS, "BCP 47 codes of the languages spoken, e.g. pt."),
    "neighbours": _linked(FieldKind.TEXTS, "Alpha-2 codes of the countries that share a land border."),
    "calling_codes": _linked(FieldKind.TEXTS, "Calling codes with the plus sign, e.g. +44 or +1-242."),
    "timezones": _linked(FieldKind.TEXTS, "IANA time zones, e.g. America/Sao_Paulo."),
}
"""Fields to filter or sort by that are not of the row: `Graph.get_value` has them, from the reference."""


class CountryField(StrEnum):
    """The fields that clients can filter or sort by. The value is the name in `FIELDS` or `LINKED_FIELDS`."""

    CODE = "code"
    ALPHA3 = "alpha3"
    NAME = "name"
    CAPITAL = "capital"
    REGION = "region"
    SUBREGION = "subregion"
    POPULATION = "population"
    AREA_KM2 = "area_km2"
    CURRENCY_CODE = "currency_code"
    EXCHANGE_RATE = "exchange_rate"
    ESTIMATED_GDP = "estimated_gdp"
    LAST_REFRESHED_AT = "last_refreshed_at"
    POPULATION_DENSITY = "population_density"
    GDP = "gdp"
    GDP_PER_CAPITA = "gdp_per_capita"
    GDP_PPP = "gdp_ppp"
    CONTINENT = "continent"
    NUMERIC_CODE = "numeric_code"
    TLD = "tld"
    ALIASES = "aliases"
    CURRENCIES = "currencies"
    LANGUAGES = "languages"
    NEIGHBOURS = "neighbours"
    CALLING_CODES = "calling_codes"
    TIMEZONES = "timezones"

    __hash__ = str.__hash__  # that of an enum is a Python function

    @property
    def info(self) -> FieldInfo:
        """Return the entry in `FIELDS` or `LINKED_FIELDS`."""
        return FIELDS.get(self) or LINKED_FIELDS[self]

    @property
    def is_text(self) -> bool:
        """Return whether values are compared folded."""
        return self.info.kind is FieldKind.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryIdentity:
    """The part of a country that no provider can change, from the bundled reference."""

    code: str
    alpha3: str
    name: str
    region: str | None
    subregion: str | None
    flag_url: str
    aliases: tuple[str, ...]
    """Other names that `SnapshotReader.find` accepts."""
    numeric_code: str | None = None
    """Three digits of ISO 3166-1. None: it has none."""
    other_codes: tuple[str, ...] = ()
    """Reserved and retired codes that stand for this country alone, e.g. UK."""
    tender: tuple[str, ...] = ()
    """Currencies in use, as CLDR orders them."""
    links: CountryLinks = NO_LINKS


Reference = Mapping[str, CountryIdentity]
"""Every known country by alpha-2 code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryFigures:
    """The validated figures of one country, as a provider reports them.

    Optional ones have a default, so that data which an older version cached stays readable.
    """

    code: str
    population: int
    capital: str | None = None
    area_km2: float | None = None
    currency_code: str | None = None


MAX_NAMED_SKIPPED = 100
"""Skipped records of one source that a report names. The others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryStatistics:
    """The validated statistics of one country, as a provider reports them. None: not reported."""

    code: str
    population: int | None = None
    population_year: int | None = None
    gdp: float | None = None
    """Current US dollars."""
    gdp_year: int | None = None
    gdp_ppp: float | None = None
    """Current international dollars."""
    gdp_ppp_year: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRecord:
    """A record of a provider that failed validation."""

    record: str
    """Its name, code or position in the list."""
    reason: str
