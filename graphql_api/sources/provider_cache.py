"""Provider cache: the last data of each kind and its validators, stored across restarts."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from graphql_api import __version__
from graphql_api.domain.report import SourceKind
from graphql_api.sources.provider import Provider
from graphql_api.sources.response import Validators
from graphql_api.sources.validation import ValidatedCountries, ValidatedRates

logger = logging.getLogger(__name__)

D = TypeVar("D")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedData(Generic[D]):
    """Validated data of one provider. Its JSON, with these names, is stored in the database."""

    origin: str
    """The provider's fingerprint."""
    data: D
    validators: Validators
    until: datetime | None
    """The provider is skipped before this instant. None: it never is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCache:
    """The last data of each kind."""

    countries: CachedData[ValidatedCountries] | None = None
    rates: CachedData[ValidatedRates] | None = None

    def updated(self, newer: "ProviderCache") -> "ProviderCache":
        """Return a copy with the entries of `newer` in place of its own."""
        return ProviderCache(
            countries=newer.countries or self.countries, rates=newer.rates or self.rates
        )

    def serialize(self) -> Mapping[str, str]:
        """Return the JSON of each cached kind."""
        dumped = {
            SourceKind.COUNTRIES: self.countries and _countries_adapter.dump_json(self.countries),
            SourceKind.RATES: self.rates and _rates_adapter.dump_json(self.rates),
        }
        return {kind: body.decode() for kind, body in dumped.items() if body}

    @classmethod
    def deserialize(cls, json_by_kind: Mapping[str, str]) -> "ProviderCache":
        """Restore what `serialize` returned; unreadable JSON of another version is dropped."""
        return cls(
            countries=_deserialize(_countries_adapter, json_by_kind.get(SourceKind.COUNTRIES)),
            rates=_deserialize(_rates_adapter, json_by_kind.get(SourceKind.RATES)),
        )


def provider_fingerprint(provider: Provider[T]) -> str:
    """Identify a provider, its URL, and the version that parsed its data.

    A hash, because a URL from a setting may contain a secret.
    """
    identity = (__version__, provider.name, provider.url, sorted(provider.params.items()))
    return hashlib.sha256(repr(identity).encode()).hexdigest()


_countries_adapter = TypeAdapter(CachedData[ValidatedCountries])
_rates_adapter = TypeAdapter(CachedData[ValidatedRates])


def _deserialize(adapter: TypeAdapter[CachedData[D]], text: str | None) -> CachedData[D] | None:
    if text is None:
        return None
    try:
        return adapter.validate_json(text)
    except ValidationError:
        logger.warning("The cached data of a provider is unreadable; requesting it again.")
        return None
