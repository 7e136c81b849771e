"""ExchangeRate-API's open endpoint: keyless, daily, attribution required.

Format and terms: https://www.exchangerate-api.com/docs/free.
"""

from graphql_api.sources.provider import Provider, RawRates, Unusable
from graphql_api.sources.reading import instant_of_unix, json_object, printable


def parse(body: bytes) -> RawRates:
    """Read the answer; its `result` says whether it is one."""
    answer = json_object(body)
    if answer.get("result") != "success":
        raise Unusable(f"it answered an error: {printable(answer.get('error-type', 'unnamed'))}")
    rates = answer.get("rates")
    if not isinstance(rates, dict):
        raise Unusable("the answer has no table of rates")
    if answer.get("base_code") != "USD":
        raise Unusable("the rates are not for one US dollar")
    return RawRates(
        rates=rates,
        as_of=instant_of_unix(answer.get("time_last_update_unix")),
        next_update=instant_of_unix(answer.get("time_next_update_unix")),
    )


PROVIDER = Provider(
    name="er-api",
    url="https://open.er-api.com/v6/latest/USD",
    attribution="Rates by Exchange Rate API (https://www.exchangerate-api.com)",
    parse=parse,
)
