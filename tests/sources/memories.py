"""What a process may remember of the sources."""

from datetime import UTC, datetime

from graphql_api.domain.country import Figures, SkippedRecord
from graphql_api.sources.answer import Validators
from graphql_api.sources.countries import CountryList
from graphql_api.sources.keeping import Kept, Memory
from graphql_api.sources.rates import RateTable

NOON = datetime(2026, 11, 24, 12, 0, 0, 1, tzinfo=UTC)

LISTED = Kept(
    origin="geonames",
    data=CountryList(
        figures=(
            Figures(
                code="CI",
                capital="Yamoussoukro, « ’\\' »",
                population=2**31 - 1,
                area_km2=0.1 + 0.2,
                currency_code="XOF",
            ),
            Figures(code="AQ", capital=None, population=0, area_km2=None, currency_code=None),
        ),
        skipped=(SkippedRecord(record="\N{FLAG IN HOLE}", reason="it has no two-letter code"),),
        as_of=None,
    ),
    validators=Validators(etag='W/"1"', last_modified=None),
    until=None,
)
RATED = Kept(
    origin="er-api",
    data=RateTable(rates={"USD": 1.0, "IRR": 1e6 / 3}, as_of=NOON, next_update=NOON),
    validators=Validators(etag=None, last_modified="Tue, 24 Nov 2026 12:00:00 GMT"),
    until=NOON,
)
HEARD = Memory(countries=LISTED, rates=RATED)
