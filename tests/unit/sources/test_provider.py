"""Providers: which are live, and what their representation hides."""

from dataclasses import replace

from graphql_api.sources.provider import Provider

PROVIDER = Provider(name="a", url="http://a", attribution="", short_attribution="", parse=bytes)


def test_live() -> None:
    """Only a provider that reads a file of the package is not live, whether it has a URL or not."""
    assert PROVIDER.is_live is True
    assert replace(PROVIDER, url=None).is_live is True
    assert replace(PROVIDER, url=None, resource="a").is_live is False


def test_secrets_are_not_shown() -> None:
    """The representation shows neither the key nor the URL, which may contain one."""
    url = "https://me:hunter2@mirror.example?key=hunter2"
    assert "hunter2" not in repr(replace(PROVIDER, url=url, api_key="hunter2"))
