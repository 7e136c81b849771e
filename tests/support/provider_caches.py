"""Provider caches with every kind of value."""

from datetime import UTC, datetime

from graphql_api.domain.country import CountryFigures, SkippedRecord
from graphql_api.sources.provider_cache import CachedData, ProviderCache
from graphql_api.sources.response import Validators
from graphql_api.sources.validation import ValidatedCountries, ValidatedRates

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
    validators=Validators(etag='W/"1"', last_modified=None),
    until=None,
)
CACHED_RATES = CachedData(
    origin="er-api",
    data=ValidatedRates(rates={"USD": 1.0, "IRR": 1e6 / 3}, as_of=NOON, next_update=NOON),
    validators=Validators(etag=None, last_modified="Tue, 24 Nov 2026 12:00:00 GMT"),
    until=NOON,
)
FULL_CACHE = ProviderCache(countries=CACHED_COUNTRIES, rates=CACHED_RATES)
