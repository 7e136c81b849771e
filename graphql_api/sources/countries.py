"""The providers of countries, and what of their records is believed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from graphql_api.domain.country import CountryFigures, Reference, SkippedRecord
from graphql_api.sources import currencies
from graphql_api.sources.parsing import clean_text, parse_non_negative, to_printable
from graphql_api.sources.provider import Provider, ProviderError, RawCountries, RawCountry
from graphql_api.sources.providers import bundled, geonames, restcountries, restcountries_v3

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
class ValidatedCountries:
    """What a provider says of countries, each code once, and what of it could not be used."""

    figures: tuple[CountryFigures, ...]
    skipped: tuple[SkippedRecord, ...]
    as_of: datetime | None
    next_update: None = None
    """No provider of countries says when it has something new."""


def validate_countries(raw: RawCountries, reference: Reference) -> ValidatedCountries:
    """Keep the records that name a known country and its population; say why others are not.

    Raises:
        Unusable: none can be kept, or the provider has more than it sent.
    """
    if raw.total is not None and len(raw.countries) < raw.total:
        raise ProviderError(
            f"it sent {len(raw.countries)} of its {to_printable(raw.total)} records"
        )
    figures_by_code: dict[str, CountryFigures] = {}
    skipped: list[SkippedRecord] = []
    for number, country in enumerate(raw.countries, start=1):
        result = _validate_country(country, reference)
        if isinstance(result, CountryFigures) and result.code in figures_by_code:
            result = f"{result.code} was listed before"
        if isinstance(result, CountryFigures):
            figures_by_code[result.code] = result
        else:
            record = to_printable(country.label.strip()) or f"record {number}"
            skipped.append(SkippedRecord(record=record, reason=result))
    if not figures_by_code:
        raise ProviderError(f"none of its {len(raw.countries)} records can be used")
    return ValidatedCountries(
        figures=tuple(figures_by_code.values()), skipped=tuple(skipped), as_of=raw.as_of
    )


def _validate_country(raw: RawCountry, reference: Reference) -> CountryFigures | str:
    """Return the figures, or the reason why there are none."""
    code = _normalize_code(raw.code)
    if not code:
        return "it has no two-letter code"
    if code not in reference:
        return f"{to_printable(code)} is not a current ISO 3166-1 alpha-2 code"
    population = parse_non_negative(raw.population)
    if population is None or population > MAX_POPULATION or not population.is_integer():
        return f"its population is not a whole number from 0 to {MAX_POPULATION}"
    return CountryFigures(
        code=code,
        capital=clean_text(raw.capital),
        population=int(population),
        area_km2=parse_non_negative(raw.area_km2),
        currency_code=currencies.select_current_code(raw.currencies),
    )


def _normalize_code(value: object) -> str:
    code = value.strip() if isinstance(value, str) else ""
    # Capitals of other letters can be two ASCII ones: ß is not South Sudan.
    return code.upper() if code.isascii() else code
