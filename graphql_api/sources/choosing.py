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
    setting: str, choices: Sequence[Choice], known: Mapping[str, Provider[T]]
) -> tuple[Provider[T], ...]:
    """Return the chosen providers.

    Raises:
        InvalidSetting: `setting` names a provider that is not known, or a URL for one without.
    """
    return tuple(_choose_one(setting, name, url, known) for name, url in choices)


def _choose_one(
    setting: str, name: str, url: str | None, known: Mapping[str, Provider[T]]
) -> Provider[T]:
    provider = known.get(name)
    if provider is None:
        names = ", ".join(sorted(known))
        raise InvalidSetting(f"{setting} names {name!r}, which is not one of {names}.")
    if url is None:
        return provider
    if not provider.live:
        raise InvalidSetting(f"{setting} gives a URL to {name!r}, which is read from the package.")
    return replace(provider, url=url)
