"""The provider registry: names, attributions, and the selection that a setting makes."""

from collections.abc import Mapping
from typing import Any

import pytest

from graphql_api.domain.report import SourceKind
from graphql_api.errors import InvalidSetting
from graphql_api.sources.provider import Provider
from graphql_api.sources.providers import bundled, er_api, geonames
from graphql_api.sources.registry import (
    COUNTRIES_PROVIDERS,
    PROVIDERS,
    RATES_PROVIDERS,
    ProviderSelection,
    get_attribution,
    select_providers,
)
from tests.support.fake_providers.fixtures import FAKE_PROVIDERS


def selection_error(*selections: ProviderSelection) -> str:
    """Return the message that rejects a selection of countries providers."""
    with pytest.raises(InvalidSetting) as exc_info:
        select_providers("COUNTRIES_SOURCES", selections, COUNTRIES_PROVIDERS, {})
    return str(exc_info.value)


def test_names() -> None:
    """Each kind has its providers by their own names, in their documented order."""
    assert {kind: list(providers) for kind, providers in PROVIDERS.items()} == {
        SourceKind.COUNTRIES: ["restcountries", "restcountries-v3", "geonames", "bundled"],
        SourceKind.RATES: ["er-api", "frankfurter", "fawazahmed0", "bundled"],
        SourceKind.STATISTICS: ["world-bank", "bundled"],
    }
    for providers in PROVIDERS.values():
        assert {name: provider.name for name, provider in providers.items()} == {name: name for name in providers}


def test_every_live_provider_has_a_fake() -> None:
    """The tests of faults run against every provider that is fetched over the network."""
    assert [(fake.kind, fake.name) for fake in FAKE_PROVIDERS] == [
        (kind, name)
        for kind, providers in PROVIDERS.items()
        for name, provider in providers.items()
        if provider.is_live
    ]


@pytest.mark.parametrize(("kind", "providers"), list(PROVIDERS.items()))
def test_attributions(kind: SourceKind, providers: Mapping[str, Provider[Any]]) -> None:
    """Each provider has the attribution of its own file; bundled data differs by kind."""
    assert {name: get_attribution(kind, name) for name in providers} == {
        name: provider.attribution for name, provider in providers.items()
    }
    assert bundled.COUNTRIES.attribution != bundled.RATES.attribution


@pytest.mark.parametrize("kind", list(SourceKind))
def test_attribution_of_an_unknown_provider(kind: SourceKind) -> None:
    """A provider that only another version has, has no attribution."""
    assert get_attribution(kind, "gone") is None


def test_selection_order() -> None:
    """Providers are selected unchanged, in the order of the setting."""
    providers = select_providers("RATES_SOURCES", [("bundled", None), ("er-api", None)], RATES_PROVIDERS, {})
    assert providers == (bundled.RATES, er_api.PROVIDER)


def test_url_override() -> None:
    """A URL replaces the provider's own and changes nothing else; a name may occur twice."""
    url = "http://mirror.example/info.txt"
    first, second = select_providers(
        "COUNTRIES_SOURCES", [("geonames", url), ("geonames", None)], COUNTRIES_PROVIDERS, {}
    )
    assert (first.url, second.url) == (url, geonames.PROVIDER.url)
    assert (first.name, first.attribution, first.parse, first.is_live) == (
        "geonames",
        geonames.PROVIDER.attribution,
        geonames.parse,
        True,
    )


def test_empty_selection() -> None:
    """An empty setting selects no provider."""
    assert select_providers("RATES_SOURCES", [], RATES_PROVIDERS, {}) == ()


def test_unknown_name() -> None:
    """An unknown name is rejected with the setting's name and the known names."""
    assert selection_error(("geonames", None), ("GeoNames", None)) == (
        "COUNTRIES_SOURCES names 'GeoNames', which is not one of bundled, geonames, restcountries, restcountries-v3."
    )


def test_unknown_name_after_a_url() -> None:
    """If an unknown name may be the end of a URL, the error says how to write one that contains a comma."""
    assert selection_error(("geonames", "https://mirror.example/?fields=name"), ("capital", None)) == (
        "COUNTRIES_SOURCES names 'capital', which is not one of bundled, geonames, restcountries, restcountries-v3. "
        "Quote a URL that contains a comma."
    )


def test_url_for_bundled_data() -> None:
    """A URL for bundled data is rejected."""
    assert selection_error(("bundled", "http://mirror.example")) == (
        "COUNTRIES_SOURCES gives a URL to 'bundled', which is read from the package."
    )


def test_missing_url() -> None:
    """A provider without a URL of its own is rejected without one."""
    assert selection_error(("restcountries-v3", None)) == (
        "COUNTRIES_SOURCES names 'restcountries-v3', which needs a URL: restcountries-v3=https://…."
    )


def test_keys() -> None:
    """Each provider gets the key of its own setting, at any URL, and no other provider gets it."""
    selections = [("restcountries", None), ("restcountries", "http://a"), ("geonames", None)]
    keys = {"RESTCOUNTRIES_API_KEY": "hunter2", "OTHER_KEY": "swordfish"}
    providers = select_providers("COUNTRIES_SOURCES", selections, COUNTRIES_PROVIDERS, keys)
    assert [provider.api_key for provider in providers] == ["hunter2", "hunter2", None]
    assert "hunter2" not in repr(providers)
