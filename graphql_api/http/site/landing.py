"""The landing page: the data, its age and its providers, as HTML."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.report import SourceKind
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.sorting import SortKey, sort_rows
from graphql_api.http.compression import compress
from graphql_api.http.conditional import build_not_modified
from graphql_api.http.content_negotiation import IDENTITY, negotiate_encoding
from graphql_api.http.middleware.security_headers import build_csp
from graphql_api.http.site.static_files import Asset
from graphql_api.http.site.templates import render_template
from graphql_api.images import SUMMARY_IMAGE_SIZE
from graphql_api.images.summary_text import describe
from graphql_api.sources.registry import get_attribution
from graphql_api.utils.formatting import (
    format_age,
    format_compact,
    format_date,
    format_datetime,
    format_rate,
)

ASSETS = (
    Asset.from_package("landing.css"),
    Asset.from_package("landing.js"),
    Asset.from_package("icon.svg"),
)
BY_NAME = SortKey(CountryField.NAME)

_TAGLINE = (
    "The world’s countries with population, capital, currency, exchange rate and an estimated GDP: "
    "filtered, sorted and paged by your query."
)
_PLACEHOLDER = "–"
_REGIONAL_INDICATOR_A = 0x1F1E6
"""Code point of the first of the 26 letters that flags are spelled with."""
_CSP = {"Content-Security-Policy": build_csp()}


class Column(NamedTuple):
    """A column of the table."""

    field: CountryField
    label: str
    unit: str = ""
    format: Callable[[Any], str] = str
    """Formats a value that is not null."""


_COLUMNS = (
    Column(CountryField.NAME, "Country"),
    Column(CountryField.CAPITAL, "Capital"),
    Column(CountryField.REGION, "Region"),
    Column(CountryField.POPULATION, "Population", format="{:,}".format),
    Column(CountryField.AREA_KM2, "Area", "km²", "{:,.0f}".format),
    Column(CountryField.CURRENCY_CODE, "Currency"),
    Column(CountryField.EXCHANGE_RATE, "Rate", "per US$", format_rate),
    Column(CountryField.ESTIMATED_GDP, "Est. GDP", "US$", format_compact),
)
"""The columns in their order. The first one heads the rows."""


class Link(NamedTuple):
    """A link to another page of this server."""

    path: str
    text: str
    description: str


class Attribution(NamedTuple):
    """The attribution of a provider of some of the rows."""

    attribution: str
    as_of: str
    rows: str
    """Number of rows, with its noun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LandingPage:
    """Serves the page. It links to what is enabled."""

    catalog: Catalog
    clock: Callable[[], datetime]
    stale_after: timedelta
    has_playground: bool
    has_schema: bool

    async def serve(self, request: Request) -> Response:
        """Return the page; 503 while no rows are loaded."""
        snapshot, sort_key = self.catalog.snapshot, parse_sort_key(request.query_params)
        text = render(
            snapshot,
            sort_key,
            now=self.clock(),
            stale_after=self.stale_after,
            links=self._links(),
        )
        if not snapshot.rows:
            headers = {**_CSP, "Cache-Control": "no-store", "Retry-After": "2"}
            return HTMLResponse(text, 503, headers)
        encoding = negotiate_encoding(",".join(request.headers.getlist("Accept-Encoding")))
        digest = hashlib.sha256(f"{encoding} {text}".encode()).hexdigest()[:32]
        headers = {
            **_CSP,
            "ETag": f'"{digest}"',
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
        }
        if not_modified := build_not_modified(request, headers):
            return not_modified
        if encoding != IDENTITY:
            headers["Content-Encoding"] = encoding
        return HTMLResponse(compress(text.encode(), encoding), headers=headers)

    def _links(self) -> Iterator[Link]:
        if self.has_playground:
            yield Link("graphql", "Playground", "try a query")
        if self.has_schema:
            yield Link("schema.graphql", "Schema", "every type, field and argument")
        yield Link("readyz", "Health", "what is served now")


def parse_sort_key(params: Mapping[str, str]) -> SortKey:
    """Return the order that query parameters name; by name if they name none."""
    try:
        field = CountryField(params.get("sort", ""))
    except ValueError:
        return BY_NAME
    direction = params.get("direction", "desc" if _is_descending_by_default(field) else "asc")
    return SortKey(field, descending=direction == "desc")


def render(
    snapshot: Snapshot,
    sort_key: SortKey,
    *,
    now: datetime,
    stale_after: timedelta,
    links: Iterable[Link],
) -> str:
    """Return the page as HTML."""
    refreshed_at = snapshot.last_refreshed_at
    row_indexes = sort_rows([sort_key], snapshot, range(len(snapshot.rows)))
    width, height = SUMMARY_IMAGE_SIZE
    return render_template(
        "landing.html",
        tagline=_TAGLINE,
        assets={asset.name: asset.url for asset in ASSETS},
        links=links,
        refreshed_at=refreshed_at,
        refreshed_at_text=refreshed_at and format_datetime(refreshed_at),
        age=refreshed_at and format_age(now - refreshed_at),
        stale_reason=describe_staleness(snapshot, now=now, stale_after=stale_after),
        sources=[entry for entry in _list_attributions(snapshot) if entry[1]],
        image_url=f"images/summary-{snapshot.version}.png",
        width=width,
        height=height,
        alt=describe(snapshot.summarize()),
        order=_describe_order(sort_key),
        columns=[_build_heading(column, sort_key) for column in _COLUMNS],
        rows=[_build_row(snapshot.rows[row_index]) for row_index in row_indexes],
    )


def flag_emoji(code: str) -> str:
    """Return the flag of an alpha-2 code as an emoji."""
    return "".join(chr(_REGIONAL_INDICATOR_A + ord(letter) - ord("A")) for letter in code)


def describe_staleness(snapshot: Snapshot, *, now: datetime, stale_after: timedelta) -> str:
    """Return why the data is not up to date; empty if it is, or if there is none."""
    if not snapshot.rows or not snapshot.is_stale(now=now, stale_after=stale_after):
        return ""
    is_live = {"figures": snapshot.has_live_figures, "rates": snapshot.has_live_rates}
    if bundled_kinds := [kind for kind in is_live if not is_live[kind]]:
        return f"the {' and '.join(bundled_kinds)} are those bundled with the server."
    return "the last refresh was too long ago."


def _list_attributions(snapshot: Snapshot) -> Iterator[tuple[str, list[Attribution]]]:
    yield "Figures", _build_attributions(SourceKind.COUNTRIES, snapshot.count_figures_provenance())
    yield "Exchange rates", _build_attributions(SourceKind.RATES, snapshot.count_rates_provenance())


def _build_attributions(kind: SourceKind, sources: Mapping[Provenance, int]) -> list[Attribution]:
    return [
        Attribution(
            attribution=get_attribution(kind, source.provider) or source.provider,
            as_of=format_date(source.as_of) if source.as_of else "",
            rows=f"{count} {'country' if count == 1 else 'countries'}",
        )
        for source, count in sources.items()
    ]


def _is_descending_by_default(field: CountryField) -> bool:
    return not field.is_text


def _describe_order(sort_key: SortKey) -> str:
    if sort_key == BY_NAME:
        return "name"
    labels = {column.field: column.label for column in _COLUMNS}
    label = labels.get(sort_key.field, sort_key.field.replace("_", " "))
    return f"{label}, {_direction(sort_key)}"


def _direction(sort_key: SortKey) -> str:
    return "descending" if sort_key.descending else "ascending"


def _build_heading(column: Column, sort_key: SortKey) -> dict[str, object]:
    """Return a heading. Its link sorts by the column, and reverses the order if it is sorted."""
    is_sorted = column.field is sort_key.field
    descending = not sort_key.descending if is_sorted else _is_descending_by_default(column.field)
    query_params = {"sort": column.field.value, "direction": "desc" if descending else "asc"}
    return {
        "field": column.field,
        "label": column.label,
        "unit": column.unit,
        "is_number": not column.field.is_text,
        "href": f"?{urlencode(query_params)}",
        "aria_sort": _direction(sort_key) if is_sorted else "",
    }


def _build_row(row: Country) -> dict[str, object]:
    return {
        "flag": flag_emoji(row.code),
        "code": row.code,
        "cells": [_format_cell(getattr(row, column.field), column) for column in _COLUMNS],
    }


def _format_cell(value: object, column: Column) -> str:
    return _PLACEHOLDER if value in {None, ""} else column.format(value)
