"""Names, URLs and attributions of the live providers, as their terms and licences require."""

import pytest

from graphql_api.sources.provider import Provider
from graphql_api.sources.providers import (
    er_api,
    fawazahmed0,
    frankfurter,
    geonames,
    restcountries,
    restcountries_v3,
    world_bank,
)


@pytest.mark.parametrize(
    ("provider", "name", "url", "attribution"),
    [
        (
            er_api.PROVIDER,
            "er-api",
            "https://open.er-api.com/v6/latest/USD",
            "Rates by Exchange Rate API (https://www.exchangerate-api.com)",
        ),
        (
            fawazahmed0.PROVIDER,
            "fawazahmed0",
            "https://cdn.jsdelivr.net/npm/@fawazahmed0/currency-api@latest/v1/currencies/usd.json",
            "Rates by fawazahmed0 currency-api (https://github.com/fawazahmed0/exchange-api)",
        ),
        (
            frankfurter.PROVIDER,
            "frankfurter",
            "https://api.frankfurter.dev/v2/rates",
            "Rates by Frankfurter (https://frankfurter.dev)",
        ),
        (
            geonames.PROVIDER,
            "geonames",
            "https://download.geonames.org/export/dump/countryInfo.txt",
            "GeoNames (https://www.geonames.org), CC BY 4.0",
        ),
        (
            restcountries.PROVIDER,
            "restcountries",
            "https://api.restcountries.com/countries/v5",
            "REST Countries (https://restcountries.com)",
        ),
        (
            restcountries_v3.PROVIDER,
            "restcountries-v3",
            None,
            "REST Countries 3.1 (https://gitlab.com/restcountries/restcountries)",
        ),
        (
            world_bank.PROVIDER,
            "world-bank",
            "https://api.worldbank.org/v2",
            "World Bank, World Development Indicators (https://data.worldbank.org), CC BY 4.0",
        ),
    ],
)
def test_identity(provider: Provider[object], name: str, url: str | None, attribution: str) -> None:
    """A live provider has this name, URL and attribution."""
    assert (provider.name, provider.is_live) == (name, True)
    assert (provider.url, provider.attribution) == (url, attribution)
