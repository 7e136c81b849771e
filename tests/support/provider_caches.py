"""Provider caches with every kind of value."""

from datetime import UTC, datetime

from graphql_api.domain.country import CountryFigures, CountryStatistics, SkippedRecord
from graphql_api.sources.provider_cache import CachedData, ProviderCache
from graphql_api.sources.response import Validators
from graphql_api.sources.validation import ValidatedCountries, ValidatedRates, ValidatedStatistics

NOON = datetime(2026, 11, 24, 12, 0, 0, 1, tzinfo=UTC)

CACHED_COUNTRIES = CachedData(
    origin="geonames",
    data=ValidatedCountries(
        figures=(
            CountryFigures(
                code="CI",
                capital="Yamoussoukro, « ’\\' »",
                population=2**31 - 1,
                area_km2=0.1 + 0.2,
                currency_code="XOF",
            ),
            CountryFigures(code="AQ", population=0),
        ),
        skipped=(SkippedRecord(record="\N{FLAG IN HOLE}", reason="it has no two-letter code"),),
        as_of=None,
    ),
    validators=(Validators(etag='W/"1"', last_modified=None),),
    until=None,
)
CACHED_RATES = CachedData(
    origin="er-api",
    data=ValidatedRates(rates={"USD": 1.0, "IRR": 1e6 / 3}, as_of=NOON, next_update=NOON),
    validators=(Validators(etag=None, last_modified="Tue, 24 Nov 2026 12:00:00 GMT"),),
    until=NOON,
)
CACHED_STATISTICS = CachedData(
    origin="world-bank",
    data=ValidatedStatistics(
        statistics=(
            CountryStatistics(code="CI", population=2**31 - 1, population_year=2024, gdp=1e300, gdp_year=2011),
            CountryStatistics(code="AQ", gdp_ppp=0.1 + 0.2, gdp_ppp_year=1999),
        ),
        skipped=(SkippedRecord(record="\N{FLAG IN HOLE}", reason="it was listed before"),),
        dropped=18,
        as_of=NOON,
    ),
    validators=(Validators(etag='"a"'), Validators(etag='"b"'), Validators(etag='"c"')),
    until=None,
)
FULL_CACHE = ProviderCache(countries=CACHED_COUNTRIES, rates=CACHED_RATES, statistics=CACHED_STATISTICS)
