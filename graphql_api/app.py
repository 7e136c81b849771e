"""The ASGI application: its routes and its middleware."""

import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Mount, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api import tracing
from graphql_api.catalog import Catalog
from graphql_api.components import REREAD_FILES_KEY, Components, utc_now
from graphql_api.errors import InvalidSetting
from graphql_api.execution.engine import Schema, build_schema
from graphql_api.http.auth import ADMIN_REQUIRED, AdminAccess
from graphql_api.http.client_counts import ConcurrencyLimits
from graphql_api.http.cors import CORSPolicy
from graphql_api.http.errors import get_client
from graphql_api.http.forwarded import get_host
from graphql_api.http.graphql.endpoint import GraphQLEndpoint
from graphql_api.http.graphql.event_stream import CLOSE_STREAMS_KEY, EventStreamEndpoint
from graphql_api.http.graphql.fast_path import FAST_PATH_KEY, FastPath
from graphql_api.http.graphql.persisted_queries import PersistedQueries
from graphql_api.http.graphql.request import COST_HEADER, GRAPHQL_PATHS
from graphql_api.http.graphql.response_cache import ResponseCache
from graphql_api.http.graphql.trusted_documents import TrustedDocuments
from graphql_api.http.graphql.websocket import WebSocketEndpoint, reject_path
from graphql_api.http.middleware.client_limits import ClientLimitsMiddleware
from graphql_api.http.middleware.cors import CORSMiddleware
from graphql_api.http.middleware.readiness import ReadinessMiddleware
from graphql_api.http.middleware.request_id import RequestIdMiddleware, create_id_generator, get_request_id
from graphql_api.http.middleware.security_headers import SecurityHeadersMiddleware
from graphql_api.http.rate_limiter import RateLimiter
from graphql_api.http.request_log import RequestLog
from graphql_api.http.site.built_in_documents import list_built_in_documents
from graphql_api.http.site.playground import BUNDLE_FOLDER, Playground
from graphql_api.http.wrong_tokens import WrongTokens
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.schema.context import GraphQLContext
from graphql_api.settings import Settings
from graphql_api.startup import StartupListener, run_app
from graphql_api.utils.lazy import Lazy

logger = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    on_event: StartupListener = lambda _: None,
    is_stopping: Callable[[], bool] = lambda: False,
    *,
    wait_until_ready: bool = False,
    metrics: MetricsRecorder | None = None,
) -> Router:
    """Return the application. Its lifespan opens the database in the background.

    Args:
        settings: The settings of the server.
        on_event: Called with each event of the start-up. After `StartupFailed`, stop the server.
        is_stopping: Returns whether `/readyz` should report that the server is stopping.
        wait_until_ready: Whether the lifespan's start waits until there is data to serve.
        metrics: The recorder of this worker. Default: one of its own.

    Raises:
        InvalidSetting: two settings contradict each other, or one names something unknown.
    """
    components = Components(settings, metrics)
    new_id = create_id_generator(secrets.token_hex(8))
    request_log = RequestLog(metrics=components.metrics, access_log=settings.access_log)
    endpoint = _build_endpoint(components, request_log)
    reread_files = partial(_reread_files, components, endpoint)
    site = Lazy(lambda: _build_site(components, endpoint, is_stopping))
    event_streams = _build_event_streams(settings, endpoint)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[dict[str, object]]:
        def should_wait() -> bool:
            return wait_until_ready and not is_stopping()

        # A worker that waits for data starts beside one that has some, and that has refreshed it.
        should_refresh = not wait_until_ready
        async with run_app(components, on_event, site, should_wait=should_wait, should_refresh=should_refresh):
            # The fast path writes no access log and records no spans.
            has_fast_path = not (settings.access_log or tracing.is_configured())
            fast_path = {} if not has_fast_path else {FAST_PATH_KEY: FastPath(endpoint)}
            calls = {REREAD_FILES_KEY: reread_files, CLOSE_STREAMS_KEY: event_streams.closing.set}
            yield {**calls, **fast_path}

    # Starlette's own class would add two middlewares for errors, which RequestIdMiddleware handles.
    return Router(
        lifespan=lifespan,
        redirect_slashes=False,  # the target would repeat the client's Host
        routes=_build_routes(settings, event_streams, site, new_id),
        middleware=_build_middleware(settings, components.catalog, new_id, request_log, event_streams.limits),
    )


def _build_routes(
    settings: Settings, endpoint: EventStreamEndpoint, site: Lazy[ASGIApp], new_id: Callable[[], str]
) -> list[BaseRoute]:
    websocket_endpoint = WebSocketEndpoint(
        http_endpoint=endpoint.http_endpoint,
        cors_policy=_build_cors_policy(settings),
        request_timeout=settings.request_timeout,
        new_id=new_id,
    )

    async def serve_site(scope: Scope, receive: Receive, send: Send) -> None:
        await (await site.get())(scope, receive, send)

    return [
        *(Route(path, endpoint) for path in GRAPHQL_PATHS),
        *(WebSocketRoute(path, websocket_endpoint.serve) for path in GRAPHQL_PATHS),
        WebSocketRoute("/{path:path}", reject_path),
        Mount("/", serve_site),
    ]


def _build_middleware(
    settings: Settings,
    catalog: Catalog,
    new_id: Callable[[], str],
    request_log: RequestLog,
    stream_limits: ConcurrencyLimits,
) -> list[Middleware]:
    """Return the middleware, outermost first."""
    return [
        Middleware(SecurityHeadersMiddleware),
        Middleware(CORSMiddleware, policy=_build_cors_policy(settings)),
        Middleware(RequestIdMiddleware, new_id=new_id, request_log=request_log),
        *_build_tracing_middleware(),
        Middleware(
            ClientLimitsMiddleware,
            request_limits=ConcurrencyLimits(settings.max_connections_per_client),
            stream_limits=stream_limits,
        ),
        Middleware(ReadinessMiddleware, catalog=catalog),
    ]


def _build_tracing_middleware() -> list[Middleware]:
    if not tracing.is_configured():
        return []
    from graphql_api.http.middleware.operation_spans import OperationSpansMiddleware  # noqa: PLC0415 - imports OpenTelemetry

    return [Middleware(OperationSpansMiddleware)]


def _build_event_streams(settings: Settings, endpoint: GraphQLEndpoint) -> EventStreamEndpoint:
    # Requests keep the other half of all connections, and of each client's.
    limits = ConcurrencyLimits(
        max(settings.max_connections_per_client // 2, 1), total=max(settings.max_connections // 2, 1)
    )
    return EventStreamEndpoint(http_endpoint=endpoint, limits=limits)


def _build_cors_policy(settings: Settings) -> CORSPolicy:
    public_url = urlsplit(settings.public_url or "")
    own_origin = f"{public_url.scheme}://{public_url.netloc}".lower() if settings.public_url else ""
    return CORSPolicy(settings.cors_origins, allows_loopback=not settings.is_production, own_origin=own_origin)


def _build_endpoint(components: Components, request_log: RequestLog) -> GraphQLEndpoint:
    settings = components.settings
    public_host = urlsplit(settings.public_url or "").hostname or ""
    access = AdminAccess(components.admin_tokens, own_hosts={settings.host, public_host} - {""})
    build_context = partial(
        GraphQLContext,
        catalog=components.catalog,
        refresh_service=components.refresh_service,
        clock=utc_now,
        stale_after=components.stale_after,
    )

    def create_context(connection: HTTPConnection, credentials: str, asks_for_cost: bool) -> GraphQLContext:
        denial = access.find_denial(credentials, connection.headers.get("Host", ""))
        may_see_cost = denial is None or not settings.is_production
        return build_context(
            public_url=_get_base_url(settings, connection),
            denial=denial,
            reports_cost=asks_for_cost and may_see_cost,
            denied_acts={COST_HEADER} if asks_for_cost and not may_see_cost else set(),
            request_id=get_request_id(connection),
            client=get_client(connection.scope),
        )

    schema = build_schema(introspection=settings.introspection, query_limits=components.query_limits)
    components.catalog.prepare = schema.measure_snapshot
    trusted_documents = _load_trusted_documents(settings, schema)
    return GraphQLEndpoint(
        schema=schema,
        create_context=create_context,
        # Cacheable responses contain no absolute URL.
        anonymous_context=build_context(public_url="", denial=ADMIN_REQUIRED),
        response_cache=ResponseCache(
            response_cache_bytes=settings.response_cache_bytes,
            cache_max_age=settings.cache_max_age,
            metrics=components.metrics,
            trusted_documents=trusted_documents,
        ),
        trusted_documents=trusted_documents,
        persisted_queries=PersistedQueries(),
        playground=_load_playground(settings) if settings.has_playground else None,
        body_limit=settings.body_limit,
        batch_limit=settings.batch_limit,
        rate_limiter=RateLimiter(*settings.rate_limit) if settings.rate_limit else None,
        request_log=request_log,
        wrong_tokens=WrongTokens(),
    )


def _load_playground(settings: Settings) -> Playground:
    return Playground.load(
        BUNDLE_FOLDER, is_token_required=settings.admin_token is not None, get_base_url=partial(_get_base_url, settings)
    )


def _load_trusted_documents(settings: Settings, schema: Schema) -> TrustedDocuments:
    only, path = settings.trusted_documents_only, settings.trusted_documents
    if path is None:
        if only:
            raise InvalidSetting("TRUSTED_DOCUMENTS_ONLY needs TRUSTED_DOCUMENTS: the manifest of the documents.")
        return TrustedDocuments(only=False)
    trusted_documents = TrustedDocuments(only=only, built_in=list_built_in_documents())
    count = trusted_documents.load(path, schema)
    logger.info("Read %d trusted documents from %s.", count, path)
    return trusted_documents


def _reread_files(components: Components, endpoint: GraphQLEndpoint) -> None:
    """Take secrets and trusted documents from their files again. What is unusable stays as it is."""
    if components.settings.secret_files:
        components.reread_secrets()
    if path := components.settings.trusted_documents:
        try:
            count = endpoint.trusted_documents.load(path, endpoint.schema)
        except InvalidSetting as error:
            logger.error("%s The documents stay as they were.", error)  # noqa: TRY400 - no defect
        else:
            endpoint.response_cache.clear()
            logger.info("Read %d trusted documents from %s again.", count, path)


def _get_base_url(settings: Settings, connection: HTTPConnection) -> str:
    """Return PUBLIC_URL, or the HTTP URL under which the client reaches the server, also over a WebSocket."""
    if settings.public_url:
        return settings.public_url
    url = connection.base_url
    scheme = url.scheme.replace("ws", "http")
    return str(url.replace(scheme=scheme, netloc=get_host(connection) or url.netloc)).rstrip("/")


def _build_site(components: Components, endpoint: GraphQLEndpoint, is_stopping: Callable[[], bool]) -> ASGIApp:
    from graphql_api.http.site.routes import build_site  # noqa: PLC0415 - imports FastAPI, which no query needs

    settings = components.settings
    return build_site(
        catalog=components.catalog,
        summary_images=components.summary_images,
        snapshot_poll=settings.snapshot_poll,
        clock=utc_now,
        stale_after=components.stale_after,
        schema_text=f"{endpoint.schema}\n" if settings.introspection else None,
        playground=endpoint.playground,
        is_stopping=is_stopping,
        sampler=components.sampler,
        wrong_tokens=endpoint.wrong_tokens,
        metrics_tokens=components.metrics_tokens,
        get_base_url=partial(_get_base_url, settings),
        is_token_required=settings.admin_token is not None,
    )
