"""From what a setting says to the providers to ask, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from graphql_api.errors import InvalidSetting
from graphql_api.sources.provider import Provider

T = TypeVar("T")

Choice = tuple[str, str | None]
"""A provider's name, and the URL to ask instead of its own."""


def choose(
    setting: str,
    choices: Sequence[Choice],
    known: Mapping[str, Provider[T]],
    keys: Mapping[str, str],
) -> tuple[Provider[T], ...]:
    """Return the chosen providers, each with its key; `keys` are by the name of their setting.

    Raises:
        InvalidSetting: `setting` names a provider that is not known, or a URL for one without, or
            none for one that needs it.
    """
    chosen = (_choose_one(setting, name, url, known) for name, url in choices)
    return tuple(replace(one, key=keys.get(one.key_setting or "")) for one in chosen)


def _choose_one(
    setting: str, name: str, url: str | None, known: Mapping[str, Provider[T]]
) -> Provider[T]:
    provider = known.get(name)
    if provider is None:
        names = ", ".join(sorted(known))
        raise InvalidSetting(f"{setting} names {name!r}, which is not one of {names}.")
    if url is not None and not provider.live:
        raise InvalidSetting(f"{setting} gives a URL to {name!r}, which is read from the package.")
    if url is None and provider.url is None and provider.live:
        raise InvalidSetting(f"{setting} names {name!r}, which needs a URL: {name}=https://….")
    return replace(provider, url=url or provider.url)
