"""The providers of countries, and what of their records is believed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from graphql_api.domain.country import Figures, Reference, SkippedRecord
from graphql_api.sources import currencies
from graphql_api.sources.provider import Provider, RawCountries, RawCountry, Unusable
from graphql_api.sources.providers import bundled, geonames, restcountries, restcountries_v3
from graphql_api.sources.reading import non_negative, printable, text

PROVIDERS: Mapping[str, Provider[RawCountries]] = {
    provider.name: provider
    for provider in (
        restcountries.PROVIDER,
        restcountries_v3.PROVIDER,
        geonames.PROVIDER,
        bundled.COUNTRIES,
    )
}

MAX_POPULATION = 2**31 - 1
"""GraphQL's Int is 32 bits wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryList:
    """What a provider says of countries, each code once, and what of it could not be used."""

    figures: tuple[Figures, ...]
    skipped: tuple[SkippedRecord, ...]
    as_of: datetime | None
    next_update: None = None
    """No provider of countries says when it has something new."""


def check(raw: RawCountries, reference: Reference) -> CountryList:
    """Keep the records that name a known country and its population; say why others are not.

    Raises:
        Unusable: none can be kept, or the provider has more than it sent.
    """
    if raw.total is not None and len(raw.countries) < raw.total:
        raise Unusable(f"it sent {len(raw.countries)} of its {printable(raw.total)} records")
    kept: dict[str, Figures] = {}
    skipped: list[SkippedRecord] = []
    for number, country in enumerate(raw.countries, start=1):
        found = _figures(country, reference)
        if isinstance(found, Figures) and found.code in kept:
            found = f"{found.code} was listed before"
        if isinstance(found, Figures):
            kept[found.code] = found
        else:
            record = printable(country.label.strip()) or f"record {number}"
            skipped.append(SkippedRecord(record=record, reason=found))
    if not kept:
        raise Unusable(f"none of its {len(raw.countries)} records can be used")
    return CountryList(figures=tuple(kept.values()), skipped=tuple(skipped), as_of=raw.as_of)


def _figures(raw: RawCountry, reference: Reference) -> Figures | str:
    """Return the figures, or the reason why there are none."""
    code = _code(raw.code)
    if not code:
        return "it has no two-letter code"
    if code not in reference:
        return f"{printable(code)} is not a current ISO 3166-1 alpha-2 code"
    population = non_negative(raw.population)
    if population is None or population > MAX_POPULATION or not population.is_integer():
        return f"its population is not a whole number from 0 to {MAX_POPULATION}"
    return Figures(
        code=code,
        capital=text(raw.capital),
        population=int(population),
        area_km2=non_negative(raw.area_km2),
        currency_code=currencies.first_in_use(raw.currencies),
    )


def _code(value: object) -> str:
    code = value.strip() if isinstance(value, str) else ""
    # Capitals of other letters can be two ASCII ones: ß is not South Sudan.
    return code.upper() if code.isascii() else code
