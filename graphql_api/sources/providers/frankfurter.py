"""Frankfurter: keyless, the daily rates of central banks, one row for each currency.

Format: https://frankfurter.dev.
"""

from graphql_api.sources.provider import Provider, RawRates, Unusable
from graphql_api.sources.reading import instant_of_date, json_value, member


def parse(body: bytes) -> RawRates:
    """Read the rows; their dates differ, and the newest is the table's."""
    rows = json_value(body)
    if not isinstance(rows, list):
        raise Unusable("the body is not a list of rates")
    if any(member(row, "base") != "USD" for row in rows):
        raise Unusable("the rates are not for one US dollar")
    quotes = ((member(row, "quote"), member(row, "rate")) for row in rows)
    dates = (instant_of_date(member(row, "date")) for row in rows)
    return RawRates(
        rates={quote: rate for quote, rate in quotes if isinstance(quote, str)},
        as_of=max((date for date in dates if date is not None), default=None),
    )


PROVIDER = Provider(
    name="frankfurter",
    url="https://api.frankfurter.dev/v2/rates",
    params={"base": "USD"},
    attribution="Rates by Frankfurter (https://frankfurter.dev)",
    parse=parse,
)
