"""Provider cache: the last data of each kind and its validators, stored across restarts."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from graphql_api import __version__
from graphql_api.domain.report import SourceKind
from graphql_api.sources.provider import Provider, ProviderData
from graphql_api.sources.response import Validators
from graphql_api.sources.validation import ValidatedCountries, ValidatedRates, ValidatedStatistics

logger = logging.getLogger(__name__)

D = TypeVar("D", bound=ProviderData)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedData(Generic[D]):
    """Validated data of one provider. Its JSON, with these names, is stored in the database."""

    origin: str
    """The provider's fingerprint."""
    data: D
    validators: tuple[Validators, ...]
    """One for each of the provider's paths; empty if not all have one."""
    until: datetime | None
    """The provider is skipped before this instant. None: it never is."""


_ADAPTERS: Mapping[str, TypeAdapter[Any]] = {
    SourceKind.COUNTRIES: TypeAdapter(CachedData[ValidatedCountries]),
    SourceKind.RATES: TypeAdapter(CachedData[ValidatedRates]),
    SourceKind.STATISTICS: TypeAdapter(CachedData[ValidatedStatistics]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCache:
    """The last data of each kind. The fields are named as the kinds."""

    countries: CachedData[ValidatedCountries] | None = None
    rates: CachedData[ValidatedRates] | None = None
    statistics: CachedData[ValidatedStatistics] | None = None

    def updated(self, newer: "ProviderCache") -> "ProviderCache":
        """Return a copy with the entries of `newer` in place of its own."""
        return ProviderCache(
            countries=newer.countries or self.countries,
            rates=newer.rates or self.rates,
            statistics=newer.statistics or self.statistics,
        )

    def serialize(self) -> Mapping[str, str]:
        """Return the JSON of each cached kind."""
        return {
            kind: adapter.dump_json(entry).decode()
            for kind, adapter in _ADAPTERS.items()
            if (entry := getattr(self, kind))
        }

    @classmethod
    def deserialize(cls, json_by_kind: Mapping[str, str]) -> "ProviderCache":
        """Restore what `serialize` returned; unreadable JSON of another version is dropped."""
        entries = {}
        for kind in _ADAPTERS.keys() & json_by_kind.keys():
            try:
                entries[kind] = _ADAPTERS[kind].validate_json(json_by_kind[kind])
            except ValidationError:
                logger.warning("The cached data of a provider is unreadable; requesting it again.")
        return cls(**entries)


def provider_fingerprint(provider: Provider[Any]) -> str:
    """Identify a provider, its URL, and the version that parsed its data.

    A hash, because a URL from a setting may contain a secret.
    """
    identity = (__version__, provider.name, provider.url, *provider.paths, sorted(provider.params.items()))
    return hashlib.sha256(repr(identity).encode()).hexdigest()
