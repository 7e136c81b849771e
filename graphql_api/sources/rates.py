"""The providers of exchange rates, and what of their tables is believed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from graphql_api.sources import currencies
from graphql_api.sources.parsing import parse_positive, to_printable
from graphql_api.sources.provider import Provider, ProviderError, RawRates
from graphql_api.sources.providers import bundled, er_api, fawazahmed0, frankfurter

PROVIDERS: Mapping[str, Provider[RawRates]] = {
    provider.name: provider
    for provider in (
        er_api.PROVIDER,
        frankfurter.PROVIDER,
        fawazahmed0.PROVIDER,
        bundled.RATES,
    )
}


_DOLLAR_TOLERANCE = 1e-6
"""How far from 1 a table may have its own base, as one that is computed from another base does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedRates:
    """Units of each currency for one US dollar, by ISO 4217 code; itself among them, as 1."""

    rates: Mapping[str, float]
    as_of: datetime | None
    next_update: datetime | None = None


def validate_rates(raw: RawRates) -> ValidatedRates:
    """Keep the rates that are finite numbers above zero under a three-letter code.

    Raises:
        Unusable: none can be kept, or one US dollar is not one US dollar.
    """
    parsed = {
        code: parse_positive(rate) for code, rate in raw.rates.items() if currencies.is_code(code)
    }
    rates = {code: rate for code, rate in parsed.items() if rate is not None}
    if not rates:
        raise ProviderError(f"none of its {len(raw.rates)} rates can be used")
    dollar_rate = raw.rates.get("USD", 1)
    if not math.isclose(parse_positive(dollar_rate) or 0, 1, rel_tol=_DOLLAR_TOLERANCE):
        raise ProviderError(f"it says that one US dollar is {to_printable(dollar_rate)} US dollars")
    return ValidatedRates(rates={**rates, "USD": 1.0}, as_of=raw.as_of, next_update=raw.next_update)
