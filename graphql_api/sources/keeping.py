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
from graphql_api.sources.answer import Validators
from graphql_api.sources.countries import CountryList
from graphql_api.sources.provider import Provider
from graphql_api.sources.rates import RateTable

logger = logging.getLogger(__name__)

D = TypeVar("D")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Generic[D]):
    """What one provider said, checked."""

    origin: str
    """Who said it: see `origin_of`."""
    data: D
    validators: Validators
    until: datetime | None
    """Before this instant asking again is of no use; None: it always may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What was said last of each kind."""

    countries: Kept[CountryList] | None = None
    rates: Kept[RateTable] | None = None

    def updated(self, newer: "Memory") -> "Memory":
        """Return this with all that `newer` has."""
        return Memory(countries=newer.countries or self.countries, rates=newer.rates or self.rates)

    def to_texts(self) -> Mapping[str, str]:
        """Return each kind that there is as JSON."""
        kept = {
            SourceKind.COUNTRIES: self.countries and _countries.dump_json(self.countries),
            SourceKind.RATES: self.rates and _rates.dump_json(self.rates),
        }
        return {kind: body.decode() for kind, body in kept.items() if body}

    @classmethod
    def of_texts(cls, texts: Mapping[str, str]) -> "Memory":
        """Read what `to_texts` returned; what another version wrote otherwise is as if not kept."""
        return cls(
            countries=_read(_countries, texts.get(SourceKind.COUNTRIES)),
            rates=_read(_rates, texts.get(SourceKind.RATES)),
        )


def origin_of(provider: Provider[T]) -> str:
    """Return what tells one provider at one URL, as this version reads it, from any other.

    A hash, since a URL that a setting gives may hold a secret.
    """
    told = (__version__, provider.name, provider.url, sorted(provider.params.items()))
    return hashlib.sha256(repr(told).encode()).hexdigest()


_countries = TypeAdapter(Kept[CountryList])
_rates = TypeAdapter(Kept[RateTable])


def _read(kind: TypeAdapter[Kept[D]], text: str | None) -> Kept[D] | None:
    if text is None:
        return None
    try:
        return kind.validate_json(text)
    except ValidationError:
        logger.warning("What a provider said last cannot be read; it is asked anew.")
        return None
