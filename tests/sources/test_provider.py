"""What a provider is: live when it is asked over the network."""

from graphql_api.sources import countries, rates
from graphql_api.sources.provider import Provider


def test_live() -> None:
    """A provider with a URL is live, one that reads the package is not."""
    assert Provider(name="a", url="http://a", attribution="", parse=bytes).live is True
    assert Provider(name="a", url=None, attribution="", parse=bytes, resource="a").live is False


def test_every_provider_is_known_by_its_name() -> None:
    """The tables of providers hold each under its own name, the bundled data in both."""
    assert {name: one.name for name, one in countries.PROVIDERS.items()} == {
        "geonames": "geonames",
        "bundled": "bundled",
    }
    assert {name: one.name for name, one in rates.PROVIDERS.items()} == {
        "er-api": "er-api",
        "bundled": "bundled",
    }
