"""What providers said last, kept so that none is asked in vain, also after a restart."""

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
    """What one provider said, checked."""

    origin: str
    """Who said it: see `origin_of`."""
    data: D
    validators: Validators
    until: datetime | None
    """Before this instant asking again is of no use; None: it always may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCache:
    """What was said last of each kind."""

    countries: CachedData[ValidatedCountries] | None = None
    rates: CachedData[ValidatedRates] | None = None

    def updated(self, newer: "ProviderCache") -> "ProviderCache":
        """Return this with all that `newer` has."""
        return ProviderCache(
            countries=newer.countries or self.countries, rates=newer.rates or self.rates
        )

    def serialize(self) -> Mapping[str, str]:
        """Return each kind that there is as JSON."""
        dumped = {
            SourceKind.COUNTRIES: self.countries and _countries_adapter.dump_json(self.countries),
            SourceKind.RATES: self.rates and _rates_adapter.dump_json(self.rates),
        }
        return {kind: body.decode() for kind, body in dumped.items() if body}

    @classmethod
    def deserialize(cls, json_by_kind: Mapping[str, str]) -> "ProviderCache":
        """Read what `to_texts` returned; what another version wrote otherwise is as if not kept."""
        return cls(
            countries=_deserialize(_countries_adapter, json_by_kind.get(SourceKind.COUNTRIES)),
            rates=_deserialize(_rates_adapter, json_by_kind.get(SourceKind.RATES)),
        )


def provider_fingerprint(provider: Provider[T]) -> str:
    """Return what tells one provider at one URL, as this version reads it, from any other.

    A hash, since a URL that a setting gives may hold a secret.
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
        logger.warning("What a provider said last cannot be read; it is asked anew.")
        return None
