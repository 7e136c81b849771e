"""REST Countries, version 3.1: what mirrors and self-hosted servers answer.

The service itself shut this version down in June 2026; its old addresses answer an error with
status 200. Format: https://gitlab.com/restcountries/restcountries.
"""

from graphql_api.sources.provider import Provider, RawCountries, RawCountry, Unusable
from graphql_api.sources.reading import elements, json_value, member

_FIELDS = ("name", "cca2", "capital", "population", "area", "currencies")
"""The version refuses a question for more than ten."""


def parse(body: bytes) -> RawCountries:
    """Read the list."""
    listed = json_value(body)
    if not isinstance(listed, list):
        raise Unusable("the body is not a list of countries")
    return RawCountries(countries=[_country(one) for one in listed], as_of=None)


def _country(one: object) -> RawCountry:
    name, currencies = member(one, "name", "common"), member(one, "currencies")
    return RawCountry(
        label=name if isinstance(name, str) else "",
        code=member(one, "cca2"),
        capital=next(iter(elements(member(one, "capital"))), None),
        population=member(one, "population"),
        area_km2=member(one, "area"),
        currencies=list(currencies) if isinstance(currencies, dict) else [],
    )


PROVIDER = Provider(
    name="restcountries-v3",
    url=None,
    params={"fields": ",".join(_FIELDS)},
    attribution="REST Countries 3.1 (https://gitlab.com/restcountries/restcountries)",
    parse=parse,
)
