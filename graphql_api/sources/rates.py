"""The providers of exchange rates, and what of their tables is believed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from graphql_api.sources import currencies
from graphql_api.sources.provider import Provider, RawRates, Unusable
from graphql_api.sources.providers import bundled, er_api, fawazahmed0, frankfurter
from graphql_api.sources.reading import positive, printable

PROVIDERS: Mapping[str, Provider[RawRates]] = {
    provider.name: provider
    for provider in (
        er_api.PROVIDER,
        frankfurter.PROVIDER,
        fawazahmed0.PROVIDER,
        bundled.RATES,
    )
}


_ONE = 1e-6
"""How far from 1 a table may have its own base, as one that is computed from another base does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTable:
    """Units of each currency for one US dollar, by ISO 4217 code; itself among them, as 1."""

    rates: Mapping[str, float]
    as_of: datetime | None
    next_update: datetime | None = None


def check(raw: RawRates) -> RateTable:
    """Keep the rates that are finite numbers above zero under a three-letter code.

    Raises:
        Unusable: none can be kept, or one US dollar is not one US dollar.
    """
    checked = {code: positive(rate) for code, rate in raw.rates.items() if currencies.is_code(code)}
    rates = {code: rate for code, rate in checked.items() if rate is not None}
    if not rates:
        raise Unusable(f"none of its {len(raw.rates)} rates can be used")
    dollar = raw.rates.get("USD", 1)
    if not math.isclose(positive(dollar) or 0, 1, rel_tol=_ONE):
        raise Unusable(f"it says that one US dollar is {printable(dollar)} US dollars")
    return RateTable(rates={**rates, "USD": 1.0}, as_of=raw.as_of, next_update=raw.next_update)
