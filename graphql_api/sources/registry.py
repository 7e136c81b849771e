"""From what a setting says to the providers to ask, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from graphql_api.errors import InvalidSetting
from graphql_api.sources.provider import Provider

T = TypeVar("T")

ProviderSelection = tuple[str, str | None]
"""A provider's name, and the URL to ask instead of its own."""


def select_providers(
    setting: str,
    selections: Sequence[ProviderSelection],
    available: Mapping[str, Provider[T]],
    provider_keys: Mapping[str, str],
) -> tuple[Provider[T], ...]:
    """Return the chosen providers, each with its key; `keys` are by the name of their setting.

    Raises:
        InvalidSetting: `setting` names a provider that is not known, or a URL for one without, or
            none for one that needs it.
    """
    selected = (_select_provider(setting, name, url, available) for name, url in selections)
    return tuple(
        replace(provider, api_key=provider_keys.get(provider.api_key_setting or ""))
        for provider in selected
    )


def _select_provider(
    setting: str, name: str, url: str | None, available: Mapping[str, Provider[T]]
) -> Provider[T]:
    provider = available.get(name)
    if provider is None:
        names = ", ".join(sorted(available))
        raise InvalidSetting(f"{setting} names {name!r}, which is not one of {names}.")
    if url is not None and not provider.is_live:
        raise InvalidSetting(f"{setting} gives a URL to {name!r}, which is read from the package.")
    if url is None and provider.url is None and provider.is_live:
        raise InvalidSetting(f"{setting} names {name!r}, which needs a URL: {name}=https://….")
    return replace(provider, url=url or provider.url)
