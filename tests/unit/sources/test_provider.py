"""What a provider is: live when it is asked over the network."""

from graphql_api.sources import countries, rates
from graphql_api.sources.provider import Provider
from tests.support.fake_providers.fixtures import FAKE_PROVIDERS


def test_live() -> None:
    """A provider that reads the package is not live, and every other is, also without a URL."""
    assert Provider(name="a", url="http://a", attribution="", parse=bytes).is_live is True
    assert Provider(name="a", url=None, attribution="", parse=bytes).is_live is True
    assert Provider(name="a", url=None, attribution="", parse=bytes, resource="a").is_live is False


def test_secrets_are_not_shown() -> None:
    """Neither the key nor the URL, which may hold one, is in what a provider prints as."""
    url = "https://me:hunter2@mirror.example?key=hunter2"
    shown = repr(Provider(name="a", url=url, api_key="hunter2", attribution="", parse=bytes))
    assert "hunter2" not in shown


def test_every_provider_is_known_by_its_name() -> None:
    """The tables of providers hold each under its own name, the bundled data in both."""
    names = ["restcountries", "restcountries-v3", "geonames", "bundled"]
    assert [(name, provider.name) for name, provider in countries.PROVIDERS.items()] == [
        (name, name) for name in names
    ]
    names = ["er-api", "frankfurter", "fawazahmed0", "bundled"]
    assert [(name, provider.name) for name, provider in rates.PROVIDERS.items()] == [
        (name, name) for name in names
    ]


def test_every_live_provider_is_played() -> None:
    """The matrix of faults has every provider that is asked over the network."""
    live = [provider.name for provider in countries.PROVIDERS.values() if provider.is_live]
    live += [provider.name for provider in rates.PROVIDERS.values() if provider.is_live]
    assert [player.name for player in FAKE_PROVIDERS] == live
