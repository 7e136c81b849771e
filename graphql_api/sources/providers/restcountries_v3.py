"""REST Countries, version 3.1: the format of mirrors and self-hosted servers.

The service itself shut this version down in June 2026; its old URLs respond with an error and
status 200. Format: https://gitlab.com/restcountries/restcountries.
"""

from graphql_api.sources.parsing import as_list, get_nested, parse_json, require_records
from graphql_api.sources.provider import Provider, RawCountries, RawCountry


def parse(body: bytes) -> RawCountries:
    """Parse the list."""
    entries = require_records(parse_json(body), list, "the body is not a list of countries")
    return RawCountries(countries=[_parse_country(entry) for entry in entries])


def _parse_country(entry: object) -> RawCountry:
    name, currencies = get_nested(entry, "name", "common"), get_nested(entry, "currencies")
    return RawCountry(
        label=name if isinstance(name, str) else "",
        code=get_nested(entry, "cca2"),
        capital=next(iter(as_list(get_nested(entry, "capital"))), None),
        population=get_nested(entry, "population"),
        area_km2=get_nested(entry, "area"),
        currencies=list(currencies) if isinstance(currencies, dict) else [],
    )


PROVIDER = Provider(
    name="restcountries-v3",
    # The service rejects requests for more than ten fields.
    params={"fields": "name,cca2,capital,population,area,currencies"},
    attribution="REST Countries 3.1 (https://gitlab.com/restcountries/restcountries)",
    short_attribution="REST Countries",
    parse=parse,
)
