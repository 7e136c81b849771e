"""REST Countries, version 5: a free key, pages of at most a hundred.

Format: https://restcountries.com/docs. Entries without codes are territories that
ISO does not list.
"""

from collections.abc import Mapping, Sequence

from graphql_api.sources.provider import Pages, Provider, RawCountries, RawCountry, Unusable
from graphql_api.sources.reading import elements, json_object, member

_PAGE = 100
_MOST_PAGES = 20
"""Eleven of 25 countries, the service's own default, hold all of them."""
_FIELDS = "names.common,codes.alpha_2,capitals,population,area,currencies"


def parse(body: bytes) -> RawCountries:
    """Read one page."""
    data = json_object(body).get("data")
    listed, total = member(data, "objects"), member(data, "meta", "total")
    if not isinstance(listed, list):
        raise Unusable("the answer has no list of countries")
    if not isinstance(total, int) or isinstance(total, bool):
        raise Unusable("the answer does not say how many countries there are")
    return RawCountries(countries=[_country(one) for one in listed], as_of=None, total=total)


def rest(first: RawCountries) -> list[Mapping[str, str]]:
    """Return what asks for each page but the first, which tells how long a page really is."""
    size, total = len(first.countries), first.total or 0
    if not size:
        return []
    if total > size * _MOST_PAGES:
        raise Unusable(f"its list has more than {_MOST_PAGES} pages")
    return [{"offset": str(offset)} for offset in range(size, total, size)]


def join(pages: Sequence[RawCountries]) -> RawCountries:
    """Put the pages together."""
    countries = [country for page in pages for country in page.countries]
    return RawCountries(countries=countries, as_of=None, total=pages[0].total)


def _country(one: object) -> RawCountry:
    name = member(one, "names", "common")
    capitals = elements(member(one, "capitals"))
    primary = (city for city in capitals if member(city, "attributes", "primary") is True)
    currencies = elements(member(one, "currencies"))
    return RawCountry(
        label=name if isinstance(name, str) else "",
        code=member(one, "codes", "alpha_2"),
        capital=member(next(primary, next(iter(capitals), None)), "name"),
        population=member(one, "population"),
        area_km2=member(one, "area", "kilometers"),
        currencies=[member(currency, "code") for currency in currencies],
    )


PROVIDER = Provider(
    name="restcountries",
    url="https://api.restcountries.com/countries/v5",
    params={"response_fields": _FIELDS, "limit": str(_PAGE), "offset": "0"},
    attribution="REST Countries (https://restcountries.com)",
    parse=parse,
    pages=Pages(rest=rest, join=join),
    key_setting="RESTCOUNTRIES_API_KEY",
)
