"""What is remembered of the sources: it comes back as it was, and is nobody else's."""

from dataclasses import replace

import pytest

from graphql_api.sources.provider_cache import ProviderCache, provider_fingerprint
from graphql_api.sources.providers import er_api, restcountries
from tests.support.provider_caches import CACHED_COUNTRIES, CACHED_RATES, FULL_CACHE


@pytest.mark.parametrize(
    "memory",
    [
        ProviderCache(),
        ProviderCache(countries=CACHED_COUNTRIES),
        ProviderCache(rates=CACHED_RATES),
        FULL_CACHE,
    ],
)
def test_round_trip(memory: ProviderCache) -> None:
    """What is written as text is read as what it was, to the last digit."""
    assert ProviderCache.deserialize(memory.serialize()) == memory


def test_texts() -> None:
    """There is one text for each kind that is remembered."""
    assert list(FULL_CACHE.serialize()) == ["countries", "rates"]
    assert list(ProviderCache(rates=CACHED_RATES).serialize()) == ["rates"]


@pytest.mark.parametrize("text", ["", "{}", "null", '{"origin": 1}'])
def test_what_another_version_wrote(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be read is as if it were not remembered, and the log says so."""
    texts = {**FULL_CACHE.serialize(), "rates": text}
    assert ProviderCache.deserialize(texts) == ProviderCache(countries=CACHED_COUNTRIES)
    assert [record.getMessage() for record in caplog.records] == [
        "The cached data of a provider is unreadable; requesting it again."
    ]


def test_updated() -> None:
    """What was heard newly replaces its kind, and leaves the other one."""
    newer_rates = replace(CACHED_RATES, origin="frankfurter")
    assert FULL_CACHE.updated(ProviderCache(rates=newer_rates)) == ProviderCache(
        countries=CACHED_COUNTRIES, rates=newer_rates
    )
    assert FULL_CACHE.updated(ProviderCache()) == FULL_CACHE


def test_origin() -> None:
    """A provider is the same whatever its key is, and another one at another URL."""
    origin = provider_fingerprint(restcountries.PROVIDER)
    assert provider_fingerprint(replace(restcountries.PROVIDER, api_key="k")) == origin
    assert (
        provider_fingerprint(replace(restcountries.PROVIDER, url="https://example.org/")) != origin
    )
    assert provider_fingerprint(replace(restcountries.PROVIDER, params={})) != origin
    assert provider_fingerprint(replace(er_api.PROVIDER, url=restcountries.PROVIDER.url)) != origin


def test_origin_tells_no_secret() -> None:
    """A secret in a URL is not in what is written down."""
    origin = provider_fingerprint(
        replace(er_api.PROVIDER, url="https://example.org/?api_key=hunter2")
    )
    assert "hunter2" not in origin
