"""The table of countries as files for other programs: /countries.csv and /countries.json."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country
from graphql_api.http.content_negotiation import JSON
from graphql_api.http.site.page import PageCache
from graphql_api.http.site.parameters import Parameters
from graphql_api.http.site.table_query import parse_table_query, select_rows

_MAX_EXPORTS = 50
"""Exports that a process holds, 25 kB each."""
COLUMNS: Mapping[str, str] = {
    "code": "code",
    "name": "name",
    "capital": "capital",
    "region": "region",
    "population": "population",
    "populationYear": "stated_population_year",
    "areaKm2": "area_km2",
    "currencyCode": "currency_code",
    "exchangeRate": "exchange_rate",
    "gdp": "gdp",
    "gdpYear": "gdp_year",
    "estimatedGdp": "estimated_gdp",
}
"""Attributes of a row by their GraphQL names, which CSV and JSON have, in the order of the columns."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""Characters that make spreadsheets execute a text: https://owasp.org/www-community/attacks/CSV_Injection"""


class ExportFormat(NamedTuple):
    """A kind of file."""

    media_type: str
    encode: Callable[[Sequence[Country]], str]
    headers: Mapping[str, str]


def encode_csv(rows: Sequence[Country]) -> str:
    """Return rows as in RFC 4180: a header, lines that end with CRLF, and nothing between the commas for null."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    writer.writerows([_to_cell(getattr(row, field)) for field in COLUMNS.values()] for row in rows)
    return file.getvalue()


def encode_json(rows: Sequence[Country]) -> str:
    """Return rows as a list of objects."""
    return orjson.dumps([{name: getattr(row, field) for name, field in COLUMNS.items()} for row in rows]).decode()


CSV_FORMAT = ExportFormat("text/csv", encode_csv, {"Content-Disposition": 'attachment; filename="countries.csv"'})
JSON_FORMAT = ExportFormat(JSON, encode_json, {})


@dataclass(frozen=True, slots=True)
class Exports:
    """Serves the rows that the landing page has for the same query."""

    catalog: Catalog
    _files: PageCache = field(default_factory=lambda: PageCache(_MAX_EXPORTS), init=False)

    async def serve_csv(self, request: Request) -> Response:
        """Return the rows as CSV; 400 for a wrong parameter."""
        return await self._serve(request, CSV_FORMAT)

    async def serve_json(self, request: Request) -> Response:
        """Return the rows as JSON; 400 for a wrong parameter."""
        return await self._serve(request, JSON_FORMAT)

    async def _serve(self, request: Request, export_format: ExportFormat) -> Response:
        snapshot = self.catalog.snapshot
        params = Parameters(request.query_params)
        query = parse_table_query(params, snapshot)
        params.reject_wrong()
        return await self._files.respond(
            request,
            snapshot,
            (export_format.media_type, query),
            lambda: export_format.encode(select_rows(query, snapshot)),
            headers={**export_format.headers, "Cache-Control": "no-cache"},
            media_type=export_format.media_type,
        )


def _to_cell(value: object) -> object:
    """Return a value for CSV. A text that spreadsheets take for a formula gets an apostrophe in front, which shows."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
