"""ExchangeRate-API's open endpoint: keyless, daily, attribution required.

Format and terms: https://www.exchangerate-api.com/docs/free.
"""

from graphql_api.sources.parsing import parse_json_object, parse_unix_time, require_records, to_printable
from graphql_api.sources.provider import Provider, ProviderError, RawRates


def parse(body: bytes) -> RawRates:
    """Parse the table; its `result` reports errors, also with status 200."""
    payload = parse_json_object(body)
    if payload.get("result") != "success":
        error_type = to_printable(payload.get("error-type", "no message"))
        raise ProviderError(f"responded with an error: {error_type}")
    rates = require_records(payload.get("rates"), dict, "the body has no table of rates")
    if payload.get("base_code") != "USD":
        raise ProviderError("the base of the rates is not USD")
    return RawRates(
        rates=rates,
        as_of=parse_unix_time(payload.get("time_last_update_unix")),
        next_update=parse_unix_time(payload.get("time_next_update_unix")),
    )


PROVIDER = Provider(
    name="er-api",
    url="https://open.er-api.com/v6/latest/USD",
    attribution="Rates by Exchange Rate API (https://www.exchangerate-api.com)",
    short_attribution="Exchange Rate API",
    parse=parse,
)
