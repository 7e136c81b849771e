"""ExchangeRate-API's open endpoint: keyless, daily, attribution required.

Format and terms: https://www.exchangerate-api.com/docs/free.
"""

from graphql_api.sources.parsing import parse_json_object, parse_unix_time, to_printable
from graphql_api.sources.provider import Provider, ProviderError, RawRates


def parse(body: bytes) -> RawRates:
    """Read the answer; its `result` says whether it is one."""
    payload = parse_json_object(body)
    if payload.get("result") != "success":
        raise ProviderError(
            f"it answered an error: {to_printable(payload.get('error-type', 'unnamed'))}"
        )
    rates = payload.get("rates")
    if not isinstance(rates, dict):
        raise ProviderError("the answer has no table of rates")
    if payload.get("base_code") != "USD":
        raise ProviderError("the rates are not for one US dollar")
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
