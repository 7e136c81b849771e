"""The provider cache: JSON round trips, unreadable entries, and fingerprints of providers."""

import json
from dataclasses import replace

import pytest

from graphql_api.sources.provider_cache import ProviderCache, provider_fingerprint
from graphql_api.sources.providers import er_api, restcountries
from tests.support.provider_caches import CACHED_COUNTRIES, CACHED_RATES, CACHED_STATISTICS, FULL_CACHE


@pytest.mark.parametrize(
    "cache",
    [
        ProviderCache(),
        ProviderCache(countries=CACHED_COUNTRIES),
        ProviderCache(rates=CACHED_RATES),
        ProviderCache(statistics=CACHED_STATISTICS),
        FULL_CACHE,
    ],
)
def test_round_trip(cache: ProviderCache) -> None:
    """Serialized data is restored unchanged, to the last digit."""
    assert ProviderCache.deserialize(cache.serialize()) == cache


def test_serialized_kinds() -> None:
    """Only cached kinds are serialized."""
    assert list(FULL_CACHE.serialize()) == ["countries", "rates", "statistics"]
    assert list(ProviderCache(rates=CACHED_RATES).serialize()) == ["rates"]


def test_stored_names() -> None:
    """The JSON in the database keeps its names, so that every version can read it."""
    assert json.loads(FULL_CACHE.serialize()["rates"]) == {
        "origin": "er-api",
        "data": {
            "rates": {"USD": 1.0, "IRR": 1e6 / 3},
            "as_of": "2026-11-24T12:00:00.000001Z",
            "next_update": "2026-11-24T12:00:00.000001Z",
        },
        "validators": [{"etag": None, "last_modified": "Tue, 24 Nov 2026 12:00:00 GMT"}],
        "until": "2026-11-24T12:00:00.000001Z",
    }
    assert set(json.loads(FULL_CACHE.serialize()["countries"])["data"]) == {
        *("figures", "skipped", "unnamed_skipped", "needless_corrections", "as_of", "next_update")
    }
    assert set(json.loads(FULL_CACHE.serialize()["statistics"])["data"]) == {
        *("statistics", "skipped", "unnamed_skipped", "dropped", "as_of", "next_update")
    }


@pytest.mark.parametrize("text", ["", "{}", "null", '{"origin": 1}'])
def test_unreadable_json(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """An unreadable entry is dropped with a warning, and the others are kept."""
    texts = {**FULL_CACHE.serialize(), "rates": text}
    assert ProviderCache.deserialize(texts) == replace(FULL_CACHE, rates=None)
    assert [record.getMessage() for record in caplog.records] == [
        "The cached data of a provider is unreadable; requesting it again."
    ]


def test_updated() -> None:
    """New data replaces its own kind only."""
    newer_rates = replace(CACHED_RATES, origin="frankfurter")
    assert FULL_CACHE.updated(ProviderCache(rates=newer_rates)) == replace(FULL_CACHE, rates=newer_rates)
    assert FULL_CACHE.updated(ProviderCache()) == FULL_CACHE


def test_fingerprint() -> None:
    """The fingerprint depends on name, URL, paths and parameters, and not on the key."""
    fingerprint = provider_fingerprint(restcountries.PROVIDER)
    assert provider_fingerprint(replace(restcountries.PROVIDER, api_key="k")) == fingerprint
    assert provider_fingerprint(replace(restcountries.PROVIDER, url="https://example.org/")) != fingerprint
    assert provider_fingerprint(replace(restcountries.PROVIDER, params={})) != fingerprint
    assert provider_fingerprint(replace(restcountries.PROVIDER, paths=("/a", "/b"))) != fingerprint
    assert provider_fingerprint(replace(er_api.PROVIDER, url=restcountries.PROVIDER.url)) != fingerprint


def test_fingerprint_hides_secrets() -> None:
    """The fingerprint does not reveal a secret in a URL."""
    fingerprint = provider_fingerprint(replace(er_api.PROVIDER, url="https://example.org/?api_key=hunter2"))
    assert "hunter2" not in fingerprint
