"""Checks that the tests of every provider's parser share."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from graphql_api.domain.country import CountryFigures
from graphql_api.sources.provider import ProviderError, RawCountries, RawRates
from graphql_api.sources.reference import load_reference
from graphql_api.sources.validation import ValidatedCountries, ValidatedRates, validate_countries, validate_rates

REFERENCE = load_reference()
FiguresRow = tuple[str, str | None, int, float | None, str | None]
"""Code, capital, population, area in km² and currency of a country."""
SOME_RATES = {"USD": 1.0, "EUR": 0.88022588, "AED": 3.6725, "XCG": 1.80284863}
"""Rates that the body of every provider of rates has."""


def rejection(parse: Callable[[bytes], object], body: bytes) -> str:
    """Return the message with which a parser rejects a body."""
    with pytest.raises(ProviderError) as exc_info:
        parse(body)
    return str(exc_info.value)


def assert_figures(validated: ValidatedCountries, expected: Sequence[FiguresRow]) -> None:
    """Assert that countries have exactly these figures."""
    by_code = {figures.code: figures for figures in validated.figures}
    assert [by_code[code] for code, *_ in expected] == [
        CountryFigures(code=code, capital=capital, population=population, area_km2=area, currency_code=currency)
        for code, capital, population, area, currency in expected
    ]


def validate_any_rates(parse: Callable[[bytes], RawRates], body: bytes) -> Mapping[str, float]:
    """Return the valid rates of any bytes, empty if they are rejected; assert that each is > 0."""
    try:
        rates = validate_rates(parse(body)).rates
    except ProviderError:
        return {}
    assert min(rates.values()) > 0
    return rates


def assert_known_countries(parse: Callable[[bytes], RawCountries], body: bytes) -> None:
    """Assert that any bytes give figures of known countries, or are rejected."""
    try:
        validated = validate_countries(parse(body), REFERENCE)
    except ProviderError:
        return
    assert {figures.code for figures in validated.figures} <= set(REFERENCE)


def some_rates(validated: ValidatedRates) -> dict[str, float]:
    """Return the rates of the currencies of SOME_RATES."""
    return {code: validated.rates[code] for code in SOME_RATES}
