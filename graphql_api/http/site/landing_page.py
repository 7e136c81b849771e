"""The landing page: the data, its age and its providers, as HTML."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.report import SourceKind
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import SortKey, sort_rows
from graphql_api.http.middleware.security_headers import build_csp
from graphql_api.http.site.flags import Flags
from graphql_api.http.site.map_measures import DEFAULT_MEASURE, Measure
from graphql_api.http.site.page import SITE_NAME, GetBaseURL, PageCache, PageHead
from graphql_api.http.site.static_files import Asset, relative_root
from graphql_api.http.site.table_query import BY_NAME
from graphql_api.http.site.templates import render_template
from graphql_api.http.site.world_map import parse_measure, render_world_map
from graphql_api.images import SUMMARY_IMAGE_SIZE, Theme
from graphql_api.images.cache import SummaryImageCache
from graphql_api.images.summary_text import describe, format_years
from graphql_api.sources.registry import get_attribution
from graphql_api.utils import formatting

ASSETS = tuple(map(Asset.from_package, ("landing.css", "landing.js", "icon.svg")))
_MAX_PAGES = 2 * len(CountryField)
"""Rendered pages that a process holds: one in each order, 65 kB each."""

_CSP = {"Content-Security-Policy": build_csp()}
_DESCRIPTION = (
    "The world’s countries with population, capital, currency, exchange rate and GDP: filtered, sorted and paged by "
    "your query."
)


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
    Column(CountryField.EXCHANGE_RATE, "Rate", "per US$", formatting.format_rate),
    Column(CountryField.GDP, "GDP", "US$", formatting.format_compact),
    Column(CountryField.ESTIMATED_GDP, "Demo GDP estimate", "US$", formatting.format_compact),
)
"""The columns in their order. The first one heads the rows."""


class View(NamedTuple):
    """The order and the map that the URL of the page chooses."""

    sort_key: SortKey
    measure: Measure

    @classmethod
    def parse(cls, params: Mapping[str, str]) -> "View":
        """Return what query parameters choose."""
        return cls(parse_sort_key(params), parse_measure(params))

    @property
    def params(self) -> dict[str, str]:
        """Return the query parameters that choose this."""
        params = {"sort": self.sort_key.field.value, "direction": "desc" if self.sort_key.descending else "asc"}
        return params if self.measure is DEFAULT_MEASURE else params | {"map": self.measure.field.value}


@dataclass(slots=True, kw_only=True)
class LandingPage:
    """Serves the page. It links to what is enabled."""

    catalog: Catalog
    summary_images: SummaryImageCache
    clock: Callable[[], datetime]
    stale_after: timedelta
    has_playground: bool
    has_schema: bool
    get_base_url: GetBaseURL
    flags: Flags = field(default_factory=Flags)
    _pages: PageCache = field(default_factory=lambda: PageCache(_MAX_PAGES), init=False)
    """Pages by URL of the site, order, age and the reason why the data is stale."""

    async def serve(self, request: Request) -> Response:
        """Return the page; 503 while no rows are loaded."""
        view, snapshot = View.parse(request.query_params), self.catalog.snapshot
        head = PageHead(title=SITE_NAME, description=_DESCRIPTION, base_url=self.get_base_url(request))
        image_paths = {theme: await self.summary_images.get_path(snapshot, theme) for theme in Theme}
        if not snapshot.rows:
            headers = {**_CSP, "Cache-Control": "no-store", "Retry-After": "2"}
            return HTMLResponse(self.render(snapshot, view, self.clock(), image_paths, head), 503, headers)
        now = self.clock()
        key = head, view, _describe_age(snapshot, now), _describe_staleness(snapshot, now, self.stale_after)
        return await self._pages.respond(
            request,
            snapshot,
            key,
            lambda: self.render(snapshot, view, now, image_paths, head),
            headers={**_CSP, "Cache-Control": "no-cache"},
        )

    def render(
        self, snapshot: Snapshot, view: View, now: datetime, image_paths: Mapping[Theme, str], head: PageHead
    ) -> str:
        """Return the page as HTML."""
        refreshed_at = snapshot.last_refreshed_at
        row_indexes = sort_rows([view.sort_key], SnapshotReader(snapshot), range(len(snapshot.rows)))
        return render_template(
            "landing.html",
            root=relative_root("/"),
            head=head,
            links=self._list_links(),
            refreshed_at=refreshed_at,
            is_bundled=not snapshot.has_live_figures and not snapshot.has_live_rates,
            refreshed_at_text=refreshed_at and formatting.format_datetime(refreshed_at),
            age=_describe_age(snapshot, now),
            stale_reason=_describe_staleness(snapshot, now, self.stale_after),
            sources=list(_list_attributions(snapshot)),
            image_paths=image_paths,
            image_size=SUMMARY_IMAGE_SIZE,
            alt=describe(snapshot.summarize()),
            world_map=render_world_map(snapshot, view.measure, view.params) if snapshot.rows else "",
            order=_describe_order(view.sort_key),
            columns=[_build_heading(column, view) for column in _COLUMNS],
            rows=[self._build_row(snapshot.rows[row_index]) for row_index in row_indexes],
        )

    def _build_row(self, row: Country) -> dict[str, object]:
        return {
            "flag_url": self.flags.get_url(row.code),
            "flag_emoji": formatting.flag_emoji(row.code),
            "code": row.code,
            "cells": [
                "–" if (value := getattr(row, column.field)) in {None, ""} else column.format(value)
                for column in _COLUMNS
            ],
        }

    def _list_links(self) -> Iterator[tuple[str, str, str]]:
        """Yield path, text and description of each page that is enabled."""
        if self.has_playground:
            yield "graphql", "Playground", "try a query"
        if self.has_schema:
            yield "schema.graphql", "Schema", "every type, field and argument"
        yield "readyz", "Health", "what is served now"


def parse_sort_key(params: Mapping[str, str]) -> SortKey:
    """Return the order that query parameters name; by name if they name none."""
    try:
        field = CountryField(params.get("sort", ""))
    except ValueError:
        return BY_NAME
    if not field.info.sortable:
        return BY_NAME
    direction = params.get("direction", "asc" if field.is_text else "desc")
    return SortKey(field, descending=direction == "desc")


def _describe_age(snapshot: Snapshot, now: datetime) -> str:
    """Return the age of the data; empty without data."""
    refreshed_at = snapshot.last_refreshed_at
    return formatting.format_age(now - refreshed_at) if refreshed_at else ""


def _describe_staleness(snapshot: Snapshot, now: datetime, stale_after: timedelta) -> str:
    """Return why the data is not up to date; empty if it is, or if there is none."""
    if not snapshot.rows or not snapshot.is_stale(now=now, stale_after=stale_after):
        return ""
    is_live = {"figures": snapshot.has_live_figures, "rates": snapshot.has_live_rates}
    if bundled_kinds := [kind for kind in is_live if not is_live[kind]]:
        return f"the {' and '.join(bundled_kinds)} are those bundled with the server."
    return "the last refresh was too long ago."


def _list_attributions(snapshot: Snapshot) -> Iterator[tuple[str, list[tuple[str, str, str, int]]]]:
    """Yield each kind with the attribution, years, date and number of rows of its providers."""
    for title, kind, sources in (
        ("Figures", SourceKind.COUNTRIES, snapshot.count_figures_provenance()),
        ("Statistics", SourceKind.STATISTICS, snapshot.count_statistics_provenance()),
        ("Exchange rates", SourceKind.RATES, snapshot.count_rates_provenance()),
    ):
        providers = []
        for source, count in sources.items():
            attribution = get_attribution(kind, source.provider) or source.provider
            as_of = formatting.format_date(source.as_of) if source.as_of else ""
            is_statistics = kind is SourceKind.STATISTICS
            years = format_years(snapshot.find_statistics_years(source if is_statistics else None))
            providers.append((attribution, years, as_of, count))
        if providers:
            yield title, providers


def _describe_order(sort_key: SortKey) -> str:
    if sort_key == BY_NAME:
        return "name"
    labels = {column.field: column.label for column in _COLUMNS}
    label = labels.get(sort_key.field, sort_key.field.replace("_", " "))
    return f"{label}, {_direction(sort_key)}"


def _direction(sort_key: SortKey) -> str:
    return "descending" if sort_key.descending else "ascending"


def _build_heading(column: Column, view: View) -> dict[str, object]:
    """Return a heading. Its link sorts by the column, and reverses the order if it is sorted."""
    is_sorted = column.field is view.sort_key.field
    descending = not view.sort_key.descending if is_sorted else not column.field.is_text
    sorted_view = view._replace(sort_key=SortKey(column.field, descending=descending))
    return {
        **column._asdict(),
        "is_number": not column.field.is_text,
        "href": f"?{urlencode(sorted_view.params)}",
        "aria_sort": _direction(view.sort_key) if is_sorted else "",
    }
