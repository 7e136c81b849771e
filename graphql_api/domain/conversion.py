"""Conversion of money at the rates of a snapshot, in decimal arithmetic and without fees."""

from collections.abc import Sequence
from decimal import Decimal
from math import isfinite
from typing import NamedTuple

from graphql_api.domain.graph import Graph
from graphql_api.domain.nodes import Currency
from graphql_api.errors import InvalidInput
from graphql_api.utils.decimals import divide, multiply, to_decimal, to_float

MAX_TARGETS = 200
"""Currencies that one conversion is to. There are fewer in use."""
_MAX_QUOTED_LENGTH = 20
"""Characters of a code that an error repeats."""


class Conversion(NamedTuple):
    """An amount in another currency."""

    amount: float
    currency: Currency
    rate: float
    """Units of the currency for one of the original one."""


def convert(graph: Graph, amount: float, source: str, targets: Sequence[str]) -> list[Conversion]:
    """Convert an amount to each of these currencies, named by code, in their order.

    Raises:
        InvalidInput: The amount is negative or not finite, there are too many targets, or a currency is unknown, has no
            rate, or is one of which the amount is more than a float can be.
    """
    if not (amount >= 0 and isfinite(amount)):
        raise InvalidInput(f"amount must be a finite number of 0 or more, not {amount}.")
    if len(targets) > MAX_TARGETS:
        raise InvalidInput(f"to has {len(targets)} items, at most {MAX_TARGETS}.")
    exact_amount = to_decimal(abs(amount))  # without the sign of a negative zero
    _, source_rate = _find_rate(graph, "from", source)
    conversions = []
    for target in targets:
        currency, target_rate = _find_rate(graph, "to", target)
        rate = divide(target_rate, source_rate)
        conversions.append(Conversion(to_float(multiply(exact_amount, rate)), currency, to_float(rate)))
        if not isfinite(conversions[-1].amount):
            raise InvalidInput(f"amount is too large to convert to {currency.code}: {amount}.")
    return conversions


def _find_rate(graph: Graph, argument: str, code: str) -> tuple[Currency, Decimal]:
    """Return a currency and its units for one US dollar."""
    currency = graph.find_currency(code)
    if currency is None:
        raise InvalidInput(
            f"{argument} must name currencies in use by ISO 4217 code, not {code[:_MAX_QUOTED_LENGTH]!r}."
        )
    rate = graph.rates.get(currency.code)
    if rate is None:
        raise InvalidInput(f"{argument}: {currency.code} ({currency.name}) has no rate now.")
    return currency, to_decimal(rate)
