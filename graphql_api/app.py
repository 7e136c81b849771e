"""The one place that knows every part: it builds them from the settings and runs them."""

import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api.catalog import Catalog
from graphql_api.components import Components, utc_now
from graphql_api.execution.engine import Schema, build_schema
from graphql_api.http.auth import is_authorized
from graphql_api.http.graphql.endpoint import GraphQLEndpoint
from graphql_api.http.graphql.fast_path import (
    FAST_PATH_KEY,
    GRAPHQL_PATH,
    FastPath,
    FastPathHandler,
    ResponseCacheMiddleware,
)
from graphql_api.http.graphql.persisted_queries import PersistedQueries
from graphql_api.http.graphql.response_cache import ResponseCache
from graphql_api.http.graphql.websocket import WebSocketEndpoint
from graphql_api.http.middleware.readiness import ReadinessMiddleware
from graphql_api.http.middleware.request_id import RequestIdMiddleware, create_id_generator
from graphql_api.http.middleware.security_headers import SecurityHeadersMiddleware
from graphql_api.http.request_log import RequestLog
from graphql_api.http.site.playground import INSTALL_FOLDER, Playground
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.schema.context import GraphQLContext
from graphql_api.settings import Settings
from graphql_api.startup import StartupListener, run_app
from graphql_api.utils.lazy import Lazy

logger = logging.getLogger(__name__)

_APOLLO_HEADERS = (
    "Apollo-Require-Preflight",
    "Apollographql-Client-Name",
    "Apollographql-Client-Version",
)
"""Headers that Apollo's clients add when a page asks them to; nothing here reads them."""


def create_app(
    settings: Settings,
    *,
    on_event: StartupListener = lambda _: None,
    is_stopping: Callable[[], bool] = lambda: False,
    wait_until_ready: bool = False,
    metrics: MetricsRecorder | None = None,
) -> "Application":
    """Return the server's application, which opens its database once it has started.

    It tells how the opening goes; after `Failed` it is of no use. While it `is_stopping`, it says
    so to whoever asks whether it is ready. To `start_opened` is to have started only when that has
    come to an end. It counts with a worker's meter, or with one of its own.

    Raises:
        InvalidSetting: a setting is not one that the parts can work with.
    """
    components = Components(settings, metrics)
    response_cache = _build_response_cache(components, settings)
    new_id = create_id_generator(secrets.token_hex(8))
    request_log = RequestLog(metrics=components.metrics, access_log=settings.access_log)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, FastPathHandler]]:
        async with run_app(
            components,
            settings,
            on_event,
            site,
            should_wait=lambda: wait_until_ready and not is_stopping(),
        ):
            # The shortest way logs nothing.
            yield {} if settings.access_log else {FAST_PATH_KEY: fast_path.handle}

    schema = build_schema(
        introspection=settings.has_introspection, query_limits=components.query_limits
    )
    request_id_middleware = Middleware(RequestIdMiddleware, new_id=new_id, request_log=request_log)
    endpoint = _build_endpoint(components, settings, schema, response_cache, request_log)
    fast_path = _build_fast_path(components, endpoint, new_id)
    site = Lazy(lambda: _build_site(components, settings, endpoint, is_stopping))
    app = Application(
        lifespan=lifespan,
        routes=[_build_websocket_route(settings, endpoint, new_id)],
        middleware=_build_middleware(settings, components.catalog, request_id_middleware),
    )
    app.router.default = _lazy_asgi(site)
    app.graphql = ResponseCacheMiddleware(app.router, fast_path=fast_path, endpoint=endpoint)
    for middleware in reversed(app.user_middleware):
        app.graphql = middleware.cls(app.graphql, *middleware.args, **middleware.kwargs)
    return app


def _build_response_cache(components: Components, settings: Settings) -> ResponseCache:
    return ResponseCache(
        response_cache_bytes=settings.response_cache_bytes,
        cache_max_age=settings.cache_max_age,
        metrics=components.metrics,
        vary_on_origin=bool(settings.cors_origins),
    )


def _load_playground(settings: Settings) -> Playground | None:
    if not settings.has_playground:
        return None
    return Playground.load(INSTALL_FOLDER, is_token_required=settings.admin_token is not None)


class Application(Starlette):
    """Starlette, but what it does for each request GraphQL does without."""

    graphql: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["path"] == GRAPHQL_PATH:
            await self.graphql(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _build_middleware(
    settings: Settings, catalog: Catalog, request_id_middleware: Middleware
) -> list[Middleware]:
    """Return what every request goes through, the outermost first."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=("GET", "POST"),
        allow_headers=("Authorization", "Content-Type", *_APOLLO_HEADERS),
        expose_headers=("X-Request-Id",),
    )
    return [
        Middleware(SecurityHeadersMiddleware),
        *([cors] if settings.cors_origins else []),
        request_id_middleware,
        Middleware(ReadinessMiddleware, catalog=catalog),
    ]


def _build_endpoint(
    components: Components,
    settings: Settings,
    schema: Schema,
    response_cache: ResponseCache,
    request_log: RequestLog,
) -> GraphQLEndpoint:
    return GraphQLEndpoint(
        schema=schema,
        create_context=_context_factory(components, settings),
        # The data have no address of this server in them.
        anonymous_context=_build_context(components, settings, "", authorized=False),
        response_cache=response_cache,
        persisted_queries=PersistedQueries(),
        playground=_load_playground(settings),
        body_limit=settings.body_limit,
        request_log=request_log,
    )


def _build_fast_path(
    components: Components, endpoint: GraphQLEndpoint, new_id: Callable[[], str]
) -> FastPath:
    return FastPath(
        catalog=components.catalog,
        response_cache=endpoint.response_cache,
        new_id=new_id,
        metrics=components.metrics,
        execute_sync=endpoint.execute_sync,
    )


def _context_factory(
    components: Components, settings: Settings
) -> Callable[[HTTPConnection, str], GraphQLContext]:
    """Return what makes the context of a connection that has these credentials."""
    token = _admin_token(settings)

    def create_context(connection: HTTPConnection, credentials: str) -> GraphQLContext:
        url = settings.public_url or _base_url(connection)
        return _build_context(
            components, settings, url, authorized=is_authorized(credentials, token)
        )

    return create_context


def _build_context(
    components: Components, settings: Settings, public_url: str, *, authorized: bool
) -> GraphQLContext:
    return GraphQLContext(
        catalog=components.catalog,
        refresh_service=components.refresh_service,
        clock=utc_now,
        stale_after=timedelta(seconds=settings.stale_after),
        public_url=public_url,
        is_authorized=authorized,
    )


def _base_url(connection: HTTPConnection) -> str:
    """Return how the client reaches the server, for whoever reads it by HTTP."""
    url = str(connection.base_url).rstrip("/")
    return f"http{url.removeprefix('ws')}" if connection.scope["type"] == "websocket" else url


def _build_websocket_route(
    settings: Settings, endpoint: GraphQLEndpoint, new_id: Callable[[], str]
) -> BaseRoute:
    public_url = urlsplit(settings.public_url or "")
    websocket_endpoint = WebSocketEndpoint(
        http_endpoint=endpoint,
        allowed_origins={
            *settings.cors_origins,
            f"{public_url.scheme}://{public_url.netloc}".lower(),
        },
        request_timeout=settings.request_timeout,
        new_id=new_id,
    )
    return WebSocketRoute(GRAPHQL_PATH, websocket_endpoint.serve)


def _build_site(
    components: Components,
    settings: Settings,
    endpoint: GraphQLEndpoint,
    is_stopping: Callable[[], bool],
) -> ASGIApp:
    from graphql_api.http.site.routes import build_site  # noqa: PLC0415 - it brings FastAPI

    return build_site(
        catalog=components.catalog,
        summary_images=components.summary_images,
        clock=utc_now,
        stale_after=timedelta(seconds=settings.stale_after),
        schema_text=f"{endpoint.schema}\n" if settings.has_introspection else None,
        playground=endpoint.playground,
        is_stopping=is_stopping,
        metrics=components.metrics,
        sampler=components.sampler,
        metrics_token=_admin_token(settings) if settings.is_production else None,
    )


def _lazy_asgi(site: Lazy[ASGIApp]) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await (await site.get())(scope, receive, send)

    return serve


def _admin_token(settings: Settings) -> str | None:
    return settings.admin_token.get_secret_value() if settings.admin_token else None
