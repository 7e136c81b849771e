"""What a country is to this project: the stored row, and the parts it is made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

BUNDLED = "bundled"
"""Name of the provider that reads the data shipped with the package; every other one is live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """One row: what the API serves about a country, and where each part is from."""

    code: str
    """ISO 3166-1 alpha-2; XK for Kosovo. The key."""
    alpha3: str
    name: str
    capital: str | None
    region: str | None
    subregion: str | None
    population: int
    """People, 0 to 2^31-1."""
    area_km2: float | None
    currency_code: str | None
    """ISO 4217, a code in use."""
    exchange_rate: float | None
    """Units of the currency for one US dollar."""
    estimated_gdp: float | None
    """US dollars; see `estimates.estimated_gdp`."""
    flag_url: str | None
    last_refreshed_at: datetime
    """UTC."""
    revision: int
    """Number of the refresh that wrote the row: 1, 2, 3 …; no clock decides it."""
    countries_provider: str
    countries_as_of: datetime | None
    rates_provider: str | None
    """None where the country has no rate."""
    rates_as_of: datetime | None


class CountryField(StrEnum):
    """The fields that clients filter and sort by; the value is the attribute of `Country`."""

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


TEXT_FIELDS = frozenset(
    {
        CountryField.CODE,
        CountryField.ALPHA3,
        CountryField.NAME,
        CountryField.CAPITAL,
        CountryField.REGION,
        CountryField.SUBREGION,
        CountryField.CURRENCY_CODE,
    }
)
"""The fields that are compared folded (see `text.fold`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryIdentity:
    """Who a country is, whatever a provider calls it."""

    code: str
    alpha3: str
    name: str
    region: str | None
    subregion: str | None
    flag_url: str
    aliases: tuple[str, ...]
    """Other names it is found by."""


Reference = Mapping[str, CountryIdentity]
"""Identities by alpha-2 code: every country that there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryFigures:
    """What a provider says of one country."""

    code: str
    capital: str | None
    population: int
    area_km2: float | None
    currency_code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRecord:
    """A record that a provider sent and that could not be used."""

    record: str
    """Its name, code or place in the list."""
    reason: str
