"""Routes of everything except GraphQL: pages, static files, images, health and metrics."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from html import escape
from http import HTTPStatus

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country
from graphql_api.http.auth import BearerTokens
from graphql_api.http.conditional import EncodedText, build_text_response
from graphql_api.http.content_negotiation import HTML, JSON, negotiate_response_type
from graphql_api.http.middleware.security_headers import build_csp
from graphql_api.http.site import country_page, images, world_map
from graphql_api.http.site.country_page import CountryPages, UnknownCountry
from graphql_api.http.site.exports import Exports
from graphql_api.http.site.flags import FLAG_FOLDER, Flags
from graphql_api.http.site.health import HealthEndpoints
from graphql_api.http.site.images import ImageEndpoints
from graphql_api.http.site.landing_page import ASSETS, LandingPage
from graphql_api.http.site.metrics import serve_metrics
from graphql_api.http.site.page import GetBaseURL
from graphql_api.http.site.playground import Playground
from graphql_api.http.site.static_files import STATIC_PREFIX, Asset, AssetFiles, relative_root
from graphql_api.http.site.templates import render_template
from graphql_api.http.wrong_tokens import WrongTokens
from graphql_api.images.cache import SummaryImageCache
from graphql_api.metrics.sampler import Sampler
from graphql_api.utils.tasks import SharedCall

_VARY = {"Vary": "Accept"}


def build_site(  # noqa: PLR0913 - the dependencies of all endpoints
    *,
    catalog: Catalog,
    summary_images: SummaryImageCache,
    snapshot_poll: float,
    clock: Callable[[], datetime],
    stale_after: timedelta,
    schema_text: str | None,
    playground: Playground | None,
    is_stopping: Callable[[], bool],
    sampler: Sampler,
    metrics_tokens: BearerTokens,
    wrong_tokens: WrongTokens,
    get_base_url: GetBaseURL,
    is_token_required: bool,
) -> FastAPI:
    """Return the application.

    Requests for unknown images cause at most one sync in `snapshot_poll` seconds. Without `schema_text`,
    /schema.graphql returns 404. Without `metrics_tokens`, /metrics is public.
    """
    flags = Flags.load(FLAG_FOLDER)
    landing_page = LandingPage(
        catalog=catalog,
        summary_images=summary_images,
        clock=clock,
        stale_after=stale_after,
        has_playground=playground is not None,
        has_schema=schema_text is not None,
        get_base_url=get_base_url,
        is_token_required=is_token_required,
        flags=flags,
    )
    health_endpoints = HealthEndpoints(catalog, is_stopping)
    metrics_endpoint = partial(serve_metrics, sampler=sampler, metrics_tokens=metrics_tokens, wrong_tokens=wrong_tokens)
    page_assets = (*ASSETS, *world_map.ASSETS, *country_page.ASSETS, *flags.by_code.values())
    assets = (*page_assets, *(playground.assets if playground else ()))
    schema_endpoint = partial(_serve_schema, schema=EncodedText(schema_text) if schema_text else None)
    routes: list[BaseRoute] = [
        Route("/", landing_page.serve),
        Mount(f"/{STATIC_PREFIX}", AssetFiles(assets)),
        Route("/favicon.ico", _serve_icon),
        Route("/schema.graphql", schema_endpoint),
        *_list_image_routes(catalog, summary_images, snapshot_poll),
        Route("/healthz", health_endpoints.live),
        *_list_country_routes(catalog, flags, get_base_url, has_playground=playground is not None),
        Route("/readyz", health_endpoints.ready),
        Route("/metrics", metrics_endpoint),
    ]
    return _create_app(routes)


def _list_image_routes(catalog: Catalog, summary_images: SummaryImageCache, snapshot_poll: float) -> list[BaseRoute]:
    endpoints = ImageEndpoints(catalog, summary_images, SharedCall(catalog.sync, min_interval=snapshot_poll))
    return [
        Route(images.CURRENT_IMAGE_PATH, endpoints.current),
        Route("/images/summary-{name}.png", endpoints.versioned),
    ]


def _list_country_routes(
    catalog: Catalog, flags: Flags, get_base_url: GetBaseURL, *, has_playground: bool
) -> list[BaseRoute]:
    """Return the routes of single countries, of files with all of them, and of what leads crawlers to them."""
    pages = CountryPages(catalog=catalog, has_playground=has_playground, get_base_url=get_base_url, flags=flags)
    exports = Exports(catalog)
    return [
        Route("/countries.csv", exports.serve_csv),
        Route("/countries.json", exports.serve_json),
        Route("/countries/{name}", pages.serve),
        Route("/robots.txt", partial(_serve_robots, get_base_url=get_base_url)),
        Route("/sitemap.xml", partial(_serve_sitemap, catalog=catalog, get_base_url=get_base_url)),
    ]


def _create_app(routes: Sequence[BaseRoute]) -> FastAPI:
    return FastAPI(
        routes=list(routes),
        openapi_url=None,
        redirect_slashes=False,  # the target would repeat the client's Host
        exception_handlers={400: _serve_bad_request, 404: _serve_not_found},
    )


async def _serve_not_found(request: Request, error: Exception) -> Response:
    """Return a page to browsers, and one line to other clients. Endpoints may say why."""
    detail = error.detail if isinstance(error, HTTPException) else ""
    reason = detail if detail != HTTPStatus.NOT_FOUND.phrase else "There is nothing at this path."
    if _prefers_html(request):
        suggestions = error.suggestions if isinstance(error, UnknownCountry) else ()
        return _render_error_page(request, 404, "There is no such page", reason, suggestions)
    return PlainTextResponse(f"{reason}\n", 404, _VARY)


async def _serve_bad_request(request: Request, error: Exception) -> Response:
    """Return a page to browsers, and JSON to other clients."""
    reason = str(error.detail) if isinstance(error, HTTPException) else ""
    if _prefers_html(request):
        return _render_error_page(request, 400, "This address has a mistake", reason)
    return JSONResponse({"detail": reason}, 400, _VARY)


def _prefers_html(request: Request) -> bool:
    return negotiate_response_type(request, (JSON, HTML)) == HTML


def _render_error_page(
    request: Request, status: int, title: str, reason: str, suggestions: Sequence[Country] = ()
) -> Response:
    page = render_template(
        "error.html",
        root=relative_root(request.scope["path"]),
        title=title,
        reason=reason,
        suggestions=suggestions,
        is_query_wrong=status == HTTPStatus.BAD_REQUEST,
    )
    return HTMLResponse(page, status, {**_VARY, "Content-Security-Policy": build_csp()})


async def _serve_icon(_: Request) -> Response:
    """Return the icon to browsers that request it without having seen a page."""
    return RedirectResponse(Asset.from_package("icon.svg").url, 302, {"Cache-Control": "max-age=86400"})


async def _serve_robots(request: Request, *, get_base_url: GetBaseURL) -> Response:
    """Return that the pages may be indexed, and the API need not be."""
    text = f"User-agent: *\nDisallow: /graphql\nAllow: /\n\nSitemap: {get_base_url(request)}/sitemap.xml\n"
    return build_text_response(request, EncodedText(text), {"Cache-Control": "max-age=3600"}, "text/plain")


async def _serve_sitemap(request: Request, *, catalog: Catalog, get_base_url: GetBaseURL) -> Response:
    """Return the URLs of the landing page and of each country's page."""
    base_url = escape(get_base_url(request))
    paths = ["", *(f"countries/{row.code}" for row in catalog.snapshot.rows)]
    urls = "".join(f"<url><loc>{base_url}/{escape(path)}</loc></url>\n" for path in paths)
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
    return build_text_response(request, EncodedText(text), {"Cache-Control": "no-cache"}, "application/xml")


async def _serve_schema(request: Request, *, schema: EncodedText | None) -> Response:
    if schema is None:
        return PlainTextResponse("The schema is not public here.\n", 404)
    return build_text_response(request, schema, {"Cache-Control": "no-cache"}, "text/plain")
