"""The landing page: how to query this server, the data, its age and its providers, as HTML."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from graphql_api import __version__
from graphql_api.catalog import Catalog
from graphql_api.domain.report import Attempt, RefreshFailure, SourceKind
from graphql_api.domain.snapshot import Snapshot
from graphql_api.http.middleware.security_headers import build_csp
from graphql_api.http.site import project_links
from graphql_api.http.site.flags import Flags
from graphql_api.http.site.freshness import (
    CHART_HEIGHT,
    CHARTED_ATTEMPTS,
    KindState,
    assess_kinds,
    chart_attempts,
    describe_age,
    describe_staleness,
    list_attributions,
)
from graphql_api.http.site.landing_table import COLUMNS, View, build_heading, build_row, describe_order
from graphql_api.http.site.page import SITE_NAME, GetBaseURL, PageCache, PageHead
from graphql_api.http.site.parameters import Parameters
from graphql_api.http.site.playground_link import EXAMPLE_QUERY, build_curl_line, build_playground_link
from graphql_api.http.site.static_files import Asset, relative_root
from graphql_api.http.site.structured_data import describe_dataset
from graphql_api.http.site.table_query import list_regions, parse_table_query, select_rows
from graphql_api.http.site.templates import render_template
from graphql_api.http.site.world_map import parse_measure, render_world_map
from graphql_api.images import SUMMARY_IMAGE_SIZE, Theme
from graphql_api.images.cache import SummaryImageCache
from graphql_api.images.summary_text import describe
from graphql_api.utils import formatting

ASSETS = tuple(map(Asset.from_package, ("landing.css", "landing.js", "icon.svg")))
_MAX_PAGES = 16
"""Rendered pages that a process holds, 220 kB each."""

_CSP = {"Content-Security-Policy": build_csp(allow_forms=True)}
_DESCRIPTION = (
    "The world’s countries with population, capital, currency, exchange rate and GDP: filtered, sorted and paged by "
    "your query."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContent:
    """The parts of a page that are not in the snapshot."""

    view: View
    now: datetime
    attempts: tuple[Attempt, ...]
    """The last attempts to refresh, newest first."""
    states: Mapping[SourceKind, KindState]
    """The state of each kind of data after all attempts."""
    image_paths: Mapping[Theme, str]
    head: PageHead


@dataclass(slots=True, kw_only=True)
class LandingPage:
    """Serves the page. It links to what is enabled."""

    catalog: Catalog
    summary_images: SummaryImageCache
    clock: Callable[[], datetime]
    stale_after: timedelta
    has_playground: bool
    has_schema: bool
    is_token_required: bool = False
    """True if a refresh requires the admin token."""
    get_base_url: GetBaseURL
    flags: Flags = field(default_factory=Flags)
    _pages: PageCache = field(default_factory=lambda: PageCache(_MAX_PAGES), init=False)
    """Pages by URL of the site, view, refreshes, age and the reason why the data is stale."""

    async def serve(self, request: Request) -> Response:
        """Return the page; 400 for a wrong parameter, 503 while no rows are loaded."""
        snapshot, params = self.catalog.snapshot, Parameters(request.query_params)
        view = View(parse_table_query(params, snapshot), parse_measure(params))
        params.reject_wrong()
        now, history = self.clock(), self.catalog.history
        content = PageContent(
            view=view,
            now=now,
            attempts=history[:CHARTED_ATTEMPTS],
            states=assess_kinds(history, now, self.stale_after),
            image_paths={theme: await self.summary_images.get_path(snapshot, theme) for theme in Theme},
            head=PageHead(title=SITE_NAME, description=_DESCRIPTION, base_url=self.get_base_url(request)),
        )
        if not snapshot.rows:
            headers = {**_CSP, "Cache-Control": "no-store", "Retry-After": "2"}
            return HTMLResponse(self.render(snapshot, content), 503, headers)
        key = (
            *(content.head, content.view, tuple(attempt.id for attempt in content.attempts)),
            *(describe_age(snapshot, now), describe_staleness(snapshot, now, self.stale_after)),
            *content.states.values(),
        )
        return await self._pages.respond(
            request,
            snapshot,
            key,
            lambda: self.render(snapshot, content),
            headers={**_CSP, "Cache-Control": "no-cache"},
        )

    def render(self, snapshot: Snapshot, content: PageContent) -> str:
        """Return the page as HTML."""
        view, now = content.view, content.now
        refreshed_at = snapshot.last_refreshed_at
        endpoint = f"{content.head.base_url}/graphql"
        return render_template(
            "landing.html",
            root=relative_root("/"),
            head=content.head,
            structured_data=describe_dataset(snapshot, content.head),
            links=self._list_links(),
            endpoint=endpoint,
            curl=build_curl_line(endpoint),
            example_link=build_playground_link(EXAMPLE_QUERY) if self.has_playground else "",
            version=__version__,
            is_token_required=self.is_token_required,
            refreshed_at=refreshed_at,
            is_bundled=not snapshot.has_live_figures and not snapshot.has_live_rates,
            stale_reason=describe_staleness(snapshot, now, self.stale_after),
            kinds=[
                (title, attributions, content.states[kind])
                for kind, (title, attributions) in list_attributions(snapshot).items()
            ],
            format_age=lambda time: formatting.format_age(now - time),
            format_datetime=formatting.format_datetime,
            failure=next((attempt for attempt in content.attempts[:1] if isinstance(attempt, RefreshFailure)), None),
            attempts=chart_attempts(content.attempts),
            chart_height=CHART_HEIGHT,
            image_paths=content.image_paths,
            image_size=SUMMARY_IMAGE_SIZE,
            alt=describe(snapshot.summarize()),
            world_map=render_world_map(snapshot, view.measure, view.params) if snapshot.rows else "",
            **self._build_table(snapshot, content),
        )

    def _build_table(self, snapshot: Snapshot, content: PageContent) -> dict[str, object]:
        view = content.view
        form_params = {name: value for name, value in view.params.items() if name not in {"q", "region"}}
        return {
            "query": view.query,
            "form_params": form_params,
            "all_regions_href": f"?{urlencode({**form_params, 'q': view.query.text})}",
            "all_href": f"?{urlencode(form_params)}",
            "export_query": view.query.encode(),
            "regions": list_regions(snapshot),
            "total": len(snapshot.rows),
            "order": describe_order(view.query),
            "columns": [build_heading(column, view) for column in COLUMNS],
            "rows": [build_row(row, self.flags) for row in select_rows(view.query, snapshot)],
        }

    def _list_links(self) -> Iterator[tuple[str, str, str]]:
        """Yield URL, text and description of each page that is enabled or of the project's own."""
        if self.has_playground:
            yield "graphql", "Playground", "try a query"
        if self.has_schema:
            yield "schema.graphql", "Schema", "every type, field and argument"
        yield "readyz", "Health", "what is served now"
        yield from project_links.list_links(project_links.read_project_urls())
