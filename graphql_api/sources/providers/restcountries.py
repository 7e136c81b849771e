"""REST Countries, version 5: a free key, pages of at most 100 countries.

Format: https://restcountries.com/docs. Entries without codes are territories that ISO does not list.
"""

from collections.abc import Mapping, Sequence

from graphql_api.sources.parsing import as_list, get_nested, parse_json_object, require_records
from graphql_api.sources.provider import Pagination, Provider, ProviderError, RawCountries, RawCountry

_MAX_PAGES = 20
"""Eleven pages of the service's default size, 25 countries, hold all of them."""
_FIELDS = "names.common,codes.alpha_2,capitals,population,area,currencies"


def parse(body: bytes) -> RawCountries:
    """Parse one page."""
    data = parse_json_object(body).get("data")
    entries = require_records(get_nested(data, "objects"), list, "the body has no list of countries")
    total = get_nested(data, "meta", "total")
    if not isinstance(total, int) or isinstance(total, bool):
        raise ProviderError("the body has no total of countries")
    return RawCountries(countries=[_parse_country(entry) for entry in entries], total=total)


def remaining_params(first_page: RawCountries) -> list[Mapping[str, str]]:
    """Return the offset of each page after the first, whose length is the actual page size."""
    page_size, total = len(first_page.countries), first_page.total or 0
    if not page_size:
        return []
    if total > page_size * _MAX_PAGES:
        raise ProviderError(f"the list has more than {_MAX_PAGES} pages")
    return [{"offset": str(offset)} for offset in range(page_size, total, page_size)]


def join(pages: Sequence[RawCountries]) -> RawCountries:
    """Join the pages; the total is that of the first."""
    countries = [country for page in pages for country in page.countries]
    return RawCountries(countries=countries, total=pages[0].total)


def _parse_country(entry: object) -> RawCountry:
    name = get_nested(entry, "names", "common")
    capitals = as_list(get_nested(entry, "capitals"))
    primary = (city for city in capitals if get_nested(city, "attributes", "primary") is True)
    currencies = as_list(get_nested(entry, "currencies"))
    return RawCountry(
        label=name if isinstance(name, str) else "",
        code=get_nested(entry, "codes", "alpha_2"),
        capital=get_nested(next(primary, next(iter(capitals), None)), "name"),
        population=get_nested(entry, "population"),
        area_km2=get_nested(entry, "area", "kilometers"),
        currencies=[get_nested(currency, "code") for currency in currencies],
    )


PROVIDER = Provider(
    name="restcountries",
    url="https://api.restcountries.com/countries/v5",
    params={"response_fields": _FIELDS, "limit": "100", "offset": "0"},
    attribution="REST Countries (https://restcountries.com)",
    short_attribution="REST Countries",
    parse=parse,
    pagination=Pagination(remaining_params=remaining_params, join=join),
    api_key_setting="RESTCOUNTRIES_API_KEY",
)
