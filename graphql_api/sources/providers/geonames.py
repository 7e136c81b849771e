"""GeoNames' countryInfo.txt: keyless, tab-separated, CC BY 4.0.

Format: the comments of https://download.geonames.org/export/dump/countryInfo.txt.
"""

from graphql_api.sources.parsing import decode_utf8, require_record_count
from graphql_api.sources.provider import Provider, ProviderError, RawCountries, RawCountry

_CODE, _NAME, _CAPITAL, _AREA, _POPULATION, _CURRENCY = 0, 4, 5, 6, 7, 10


def parse(body: bytes) -> RawCountries:
    """Parse the table. Lines that start with # are comments."""
    require_record_count(body.count(b"\n"))
    lines = (line.rstrip("\r") for line in decode_utf8(body).split("\n") if line[:1] != "#")
    # No column is used after the one that follows the currency.
    rows = [line.split("\t", _CURRENCY + 1) for line in lines if line.strip()]
    if not any(len(columns) > _CURRENCY for columns in rows):
        raise ProviderError("the body is not a table of countries")
    # A currency code in the last column may be truncated too, unless another column follows it.
    if len(rows[-1]) < min(len(rows[0]), _CURRENCY + 2):
        raise ProviderError("the table is truncated")
    return RawCountries(countries=[_parse_country(columns) for columns in rows])


def _parse_country(columns: list[str]) -> RawCountry:
    if len(columns) <= _CURRENCY:
        # Its last number may be truncated, so none is used.
        return RawCountry(label=columns[_CODE], code=columns[_CODE])
    return RawCountry(
        label=columns[_NAME] or columns[_CODE],
        code=columns[_CODE],
        capital=columns[_CAPITAL],
        population=_parse_number(columns[_POPULATION]),
        area_km2=_parse_number(columns[_AREA]),
        currencies=[columns[_CURRENCY]],
    )


def _parse_number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


PROVIDER = Provider(
    name="geonames",
    url="https://download.geonames.org/export/dump/countryInfo.txt",
    attribution="GeoNames (https://www.geonames.org), CC BY 4.0",
    short_attribution="GeoNames (CC BY 4.0)",
    parse=parse,
)
