"""Every provider by kind and name, and the selection that a setting makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from graphql_api.domain.report import SourceKind
from graphql_api.errors import InvalidSetting
from graphql_api.sources.provider import Provider, RawCountries, RawRates, RawStatistics
from graphql_api.sources.providers import (
    bundled,
    er_api,
    fawazahmed0,
    frankfurter,
    geonames,
    restcountries,
    restcountries_v3,
    world_bank,
)

T = TypeVar("T")

ProviderSelection = tuple[str, str | None]
"""A provider's name, and the URL that replaces its own, if any."""


def _by_name(*providers: Provider[T]) -> Mapping[str, Provider[T]]:
    return {provider.name: provider for provider in providers}


COUNTRIES_PROVIDERS: Mapping[str, Provider[RawCountries]] = _by_name(
    restcountries.PROVIDER, restcountries_v3.PROVIDER, geonames.PROVIDER, bundled.COUNTRIES
)
RATES_PROVIDERS: Mapping[str, Provider[RawRates]] = _by_name(
    er_api.PROVIDER, frankfurter.PROVIDER, fawazahmed0.PROVIDER, bundled.RATES
)
STATISTICS_PROVIDERS: Mapping[str, Provider[RawStatistics]] = _by_name(world_bank.PROVIDER, bundled.STATISTICS)
PROVIDERS: Mapping[SourceKind, Mapping[str, Provider[Any]]] = {
    SourceKind.COUNTRIES: COUNTRIES_PROVIDERS,
    SourceKind.RATES: RATES_PROVIDERS,
    SourceKind.STATISTICS: STATISTICS_PROVIDERS,
}


def get_attribution(kind: SourceKind, name: str) -> str | None:
    """Return a provider's attribution; None for one of another version, which rows may name."""
    provider = PROVIDERS[kind].get(name)
    return provider.attribution if provider else None


def select_providers(
    setting: str,
    selections: Sequence[ProviderSelection],
    available: Mapping[str, Provider[T]],
    provider_keys: Mapping[str, str],
) -> tuple[Provider[T], ...]:
    """Return the selected providers in order, each with its URL and key.

    `provider_keys` maps the name of a key's setting to the key.

    Raises:
        InvalidSetting: `setting` names an unknown provider, gives a URL to bundled data, or gives
            none to a provider that needs one.
    """
    selected = []
    for name, url in selections:
        provider = available.get(name)
        if provider is None:
            names = ", ".join(sorted(available))
            hint = " Quote a URL that contains a comma." if any(other_url for _, other_url in selections) else ""
            raise InvalidSetting(f"{setting} names {name!r}, which is not one of {names}.{hint}")
        if url is not None and not provider.is_live:
            raise InvalidSetting(f"{setting} gives a URL to {name!r}, which is read from the package.")
        if url is None and provider.url is None and provider.is_live:
            raise InvalidSetting(f"{setting} names {name!r}, which needs a URL: {name}=https://….")
        api_key = provider_keys.get(provider.api_key_setting or "")
        selected.append(replace(provider, url=url or provider.url, api_key=api_key))
    return tuple(selected)
