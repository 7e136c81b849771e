"""Choosing providers: what a setting names is what is asked, in that order."""

import pytest

from graphql_api.errors import InvalidSetting
from graphql_api.sources import countries, rates
from graphql_api.sources.providers import bundled, er_api, geonames
from graphql_api.sources.registry import ProviderSelection, select_providers


def selection_error(*choices: ProviderSelection) -> str:
    """Return the message that a choice of countries is refused with."""
    with pytest.raises(InvalidSetting) as exc_info:
        select_providers("COUNTRIES_SOURCES", choices, countries.PROVIDERS, {})
    return str(exc_info.value)


def test_known_names() -> None:
    """Names lead to the providers as they are, in the order given."""
    providers = select_providers(
        "RATES_SOURCES", [("bundled", None), ("er-api", None)], rates.PROVIDERS, {}
    )
    assert providers == (bundled.RATES, er_api.PROVIDER)


def test_a_url_replaces_the_providers_own() -> None:
    """A URL points the provider elsewhere and changes nothing else; a name may stand twice."""
    url = "http://mirror.example/info.txt"
    first, second = select_providers(
        "COUNTRIES_SOURCES", [("geonames", url), ("geonames", None)], countries.PROVIDERS, {}
    )
    assert (first.url, second.url) == (url, geonames.PROVIDER.url)
    assert (first.name, first.attribution, first.parse, first.is_live) == (
        "geonames",
        geonames.PROVIDER.attribution,
        geonames.parse,
        True,
    )


def test_nobody() -> None:
    """No choice is no provider."""
    assert select_providers("RATES_SOURCES", [], rates.PROVIDERS, {}) == ()


def test_unknown_name() -> None:
    """A name that is not known is refused with those that are, and with the setting's name."""
    assert selection_error(("geonames", None), ("GeoNames", None)) == (
        "COUNTRIES_SOURCES names 'GeoNames', which is not one of "
        "bundled, geonames, restcountries, restcountries-v3."
    )


def test_url_for_the_bundled_data() -> None:
    """What is read from the package has no URL to replace."""
    assert selection_error(("bundled", "http://mirror.example")) == (
        "COUNTRIES_SOURCES gives a URL to 'bundled', which is read from the package."
    )


def test_no_url() -> None:
    """A provider that has no URL of its own needs one."""
    assert selection_error(("restcountries-v3", None)) == (
        "COUNTRIES_SOURCES names 'restcountries-v3', which needs a URL: restcountries-v3=https://…."
    )


def test_keys() -> None:
    """Each provider gets the key of its own setting, wherever it is asked, and no other does."""
    choices = [("restcountries", None), ("restcountries", "http://a"), ("geonames", None)]
    keys = {"RESTCOUNTRIES_API_KEY": "hunter2", "OTHER_KEY": "swordfish"}
    providers = select_providers("COUNTRIES_SOURCES", choices, countries.PROVIDERS, keys)
    assert [provider.api_key for provider in providers] == ["hunter2", "hunter2", None]
    assert "hunter2" not in repr(providers)
