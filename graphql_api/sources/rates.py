"""The providers of exchange rates, and what of their tables is believed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from graphql_api.sources import currencies
from graphql_api.sources.provider import Provider, RawRates, Unusable
from graphql_api.sources.providers import bundled, er_api
from graphql_api.sources.reading import positive

PROVIDERS: Mapping[str, Provider[RawRates]] = {
    provider.name: provider for provider in (er_api.PROVIDER, bundled.RATES)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTable:
    """Units of each currency for one US dollar, by ISO 4217 code."""

    rates: Mapping[str, float]
    as_of: datetime | None


def check(raw: RawRates) -> RateTable:
    """Keep the rates that are finite numbers above zero under a three-letter code.

    Raises:
        Unusable: none can be kept.
    """
    checked = {code: positive(rate) for code, rate in raw.rates.items() if currencies.is_code(code)}
    rates = {code: rate for code, rate in checked.items() if rate is not None}
    if not rates:
        raise Unusable(f"none of its {len(raw.rates)} rates can be used")
    return RateTable(rates=rates, as_of=raw.as_of)
