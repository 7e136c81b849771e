"""The currency-api of fawazahmed0: keyless, daily, a file on a content delivery network, CC0.

Format: https://github.com/fawazahmed0/exchange-api. Codes are in lower case, and most are of cryptocurrencies.
"""

from graphql_api.sources.currencies import CURRENT
from graphql_api.sources.parsing import parse_date, parse_json_object, require_records
from graphql_api.sources.provider import Provider, RawRates


def parse(body: bytes) -> RawRates:
    """Parse the table of the US dollar, and keep the currencies in use."""
    payload = parse_json_object(body)
    table = require_records(payload.get("usd"), dict, "the body has no table of rates for USD")
    # Upper case of other letters may be ASCII: that of the long s, U+017F, is S.
    rates = {code.upper(): rate for code, rate in table.items() if code.isascii()}
    return RawRates(
        rates={code: rate for code, rate in rates.items() if code in CURRENT}, as_of=parse_date(payload.get("date"))
    )


PROVIDER = Provider(
    name="fawazahmed0",
    url="https://cdn.jsdelivr.net/npm/@fawazahmed0/currency-api@latest/v1/currencies/usd.json",
    attribution="Rates by fawazahmed0 currency-api (https://github.com/fawazahmed0/exchange-api)",
    short_attribution="fawazahmed0 currency-api (CC0)",
    parse=parse,
)
