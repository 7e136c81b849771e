"""Frankfurter: keyless, the daily rates of central banks, one row for each currency.

Format: https://frankfurter.dev.
"""

from graphql_api.sources.parsing import get_nested, parse_date, parse_json, require_records
from graphql_api.sources.provider import Provider, ProviderError, RawRates


def parse(body: bytes) -> RawRates:
    """Parse the rows. Their dates differ; the newest is the date of the table."""
    rows = require_records(parse_json(body), list, "the body is not a list of rates")
    if any(get_nested(row, "base") != "USD" for row in rows):
        raise ProviderError("the base of the rates is not USD")
    quotes = ((get_nested(row, "quote"), get_nested(row, "rate")) for row in rows)
    dates = (parse_date(get_nested(row, "date")) for row in rows)
    return RawRates(
        rates={quote: rate for quote, rate in quotes if isinstance(quote, str)},
        as_of=max((date for date in dates if date is not None), default=None),
    )


PROVIDER = Provider(
    name="frankfurter",
    url="https://api.frankfurter.dev/v2/rates",
    params={"base": "USD"},
    attribution="Rates by Frankfurter (https://frankfurter.dev)",
    short_attribution="Frankfurter",
    parse=parse,
)
