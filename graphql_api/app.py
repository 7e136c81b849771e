"""The one place that knows every part: it builds them from the settings and runs them."""

import asyncio
import logging
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api import __version__
from graphql_api.catalog import Catalog
from graphql_api.domain.report import Trigger
from graphql_api.errors import CountriesError, DatabaseUnavailable, SourceUnavailable
from graphql_api.execution.engine import Schema, build_schema
from graphql_api.execution.limits import QueryLimits
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
from graphql_api.metrics.sampler import Sampler
from graphql_api.refresh import lease_session
from graphql_api.refresh.pipeline import RefreshOptions, SourceConfig
from graphql_api.refresh.remote import RemoteRefreshWatcher
from graphql_api.refresh.scheduler import refresh_periodically
from graphql_api.refresh.service import RefreshLimits, RefreshService
from graphql_api.schema.context import GraphQLContext
from graphql_api.settings import Settings
from graphql_api.sources import countries, rates
from graphql_api.sources.lazy_http_client import LazyHTTPClient
from graphql_api.sources.reference import load_reference
from graphql_api.sources.registry import select_providers
from graphql_api.startup import Ready, StartupFailed, StartupListener, open_with_retry
from graphql_api.storage.database import Database
from graphql_api.storage.migrations import migrate
from graphql_api.utils.lazy import Lazy

logger = logging.getLogger(__name__)

_STARTUP_POLL_INTERVAL = 0.05
"""Seconds after which an application that starts looks whether it is to stop."""
_SHUTDOWN_TIMEOUT = 4.0
"""Seconds for the tail of a refresh, and for closing connections, when the server stops."""
CANCEL_GRACE_PERIOD = 0.5
"""Seconds that a cancelled task has to end by itself."""
_APOLLO_HEADERS = (
    "Apollo-Require-Preflight",
    "Apollographql-Client-Name",
    "Apollographql-Client-Version",
)
"""Headers that Apollo's clients add when a page asks them to; nothing here reads them."""


class Components:
    """What a server and the `refresh` command have in common."""

    def __init__(self, settings: Settings, metrics: MetricsRecorder | None = None) -> None:
        """Build the parts; nothing is opened yet. What they do is counted by the meter, if any.

        Raises:
            InvalidSetting: a setting is not one that the parts can work with.
        """
        self.metrics = metrics or MetricsRecorder.standalone()
        self.query_limits = QueryLimits.with_overrides(settings.query_limits)
        self.database = _build_database(settings)
        self.catalog = Catalog(self.database, load_reference(), clock=_now)
        self.http_client = LazyHTTPClient(f"graphql-api/{__version__}")
        self.refresh_service = RefreshService(
            database=self.database,
            catalog=self.catalog,
            http_client=self.http_client,
            sources=_build_source_config(settings, self.metrics),
            limits=RefreshLimits(
                min_interval=timedelta(seconds=settings.effective_refresh_min_interval),
                max_waiting=settings.refresh_max_waiting,
            ),
            holder=_new_id(),
            clock=_now,
            new_id=_new_id,
            on_attempt=self.metrics.record_refresh,
        )
        self.sampler = Sampler(
            self.metrics, self.refresh_service, stale_after=timedelta(seconds=settings.stale_after)
        )

    async def open(self) -> None:
        """Bring the database up to date, and load what it holds; may be tried again.

        Raises:
            DatabaseUnavailable: it cannot be used.
        """
        with self.catalog.tracking_availability():
            if await migrate(self.database):
                logger.info("Migrated the database at %s", self.database)
            await self.catalog.sync()

    async def open_and_seed(self) -> None:
        """Do the same, and fill an empty database from the bundled data.

        Several processes may do so at once on the same database.

        Raises:
            DatabaseUnavailable: it cannot be used.
            RefreshInProgress: another process was in the way.
        """
        await self.open()
        if not self.catalog.snapshot.rows:
            try:
                with self.catalog.tracking_availability():
                    await self.refresh_service.load_bundled()
            except SourceUnavailable:
                # Another process that started on the same database was faster, and has live data.
                if not self.catalog.snapshot.rows:
                    raise

    async def __aenter__(self) -> Self:
        """Open, as `open` does."""
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close, as `close` does."""
        await self.close()

    async def close(self) -> None:
        """Finish what runs, and close every connection."""
        await self.refresh_service.close()
        await self.http_client.close()
        await self.database.dispose()


async def migrate_database(settings: Settings) -> bool:
    """Bring the database to the tables of this version, and tell whether there was work to do.

    Raises:
        InvalidSetting: DATABASE_URL is not one that the project can work with.
        DatabaseUnavailable: the database cannot be used.
    """
    database = _build_database(settings)
    try:
        return await migrate(database)
    finally:
        await database.dispose()


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
        clock=_now,
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
    from graphql_api.http.site.routes import Site  # noqa: PLC0415 - it brings FastAPI

    return Site(
        catalog=components.catalog,
        clock=_now,
        stale_after=timedelta(seconds=settings.stale_after),
        schema_text=f"{endpoint.schema}\n" if settings.has_introspection else None,
        playground=endpoint.playground,
        is_stopping=is_stopping,
        metrics=components.metrics,
        sampler=components.sampler,
        metrics_token=_admin_token(settings) if settings.is_production else None,
    ).build()


def _lazy_asgi(site: Lazy[ASGIApp]) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await (await site.get())(scope, receive, send)

    return serve


def _admin_token(settings: Settings) -> str | None:
    return settings.admin_token.get_secret_value() if settings.admin_token else None


@asynccontextmanager
async def run_app(
    components: Components,
    settings: Settings,
    on_event: StartupListener,
    site: Lazy[ASGIApp],
    *,
    should_wait: Callable[[], bool],
) -> AsyncIterator[None]:
    """Open the parts, and have them do what they do by themselves; wait for it while it `waits`."""
    background_tasks: set[asyncio.Task[None]] = set()
    background_tasks.add(asyncio.create_task(components.sampler.run_forever()))
    startup_task = asyncio.create_task(
        _start_background_tasks(components, settings, on_event, site, background_tasks)
    )
    background_tasks.add(startup_task)
    while should_wait() and not startup_task.done():
        await asyncio.wait([startup_task], timeout=_STARTUP_POLL_INTERVAL)
    try:
        yield
    finally:
        await cancel_all(background_tasks)
        await _close(components)


async def _start_background_tasks(
    components: Components,
    settings: Settings,
    on_event: StartupListener,
    site: Lazy[ASGIApp],
    background_tasks: set[asyncio.Task[None]],
) -> None:
    """Open the database, however long it takes, and begin what runs as long as the server does."""
    try:
        await open_with_retry(components.open_and_seed, on_event)
    except Exception as error:  # noqa: BLE001 - whoever is told raises it where it is seen
        on_event(StartupFailed(error))
        return
    on_event(Ready())
    watcher = RemoteRefreshWatcher(
        components.refresh_service.progress,
        database=components.database,
        catalog=components.catalog,
        holder=components.refresh_service.holder,
        clock=_now,
    )
    coroutines = [
        components.catalog.poll(settings.snapshot_poll),
        watcher.run(settings.snapshot_poll),
        _warm_up_and_refresh(components, settings, site),
    ]
    if settings.refresh_interval:
        coroutines.append(
            refresh_periodically(
                components.refresh_service,
                components.catalog,
                refresh_interval=settings.refresh_interval,
                clock=_now,
            )
        )
    background_tasks.update(map(asyncio.create_task, coroutines))


async def _close(components: Components) -> None:
    """Close the parts, as long as the database does not keep them from it."""
    close_task = asyncio.create_task(components.close())
    await asyncio.wait([close_task], timeout=_SHUTDOWN_TIMEOUT)
    if not close_task.done():
        logger.warning("The database does not answer; leaving without taking leave of it.")
    await cancel_all([close_task])


async def cancel_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until each has ended, those that are added meanwhile too.

    Once is not always enough: while it gives up a connection that died, SQLAlchemy takes a
    cancellation for its own.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=CANCEL_GRACE_PERIOD)


async def _warm_up_and_refresh(
    components: Components, settings: Settings, site: Lazy[ASGIApp]
) -> None:
    """Make what was left for later, then try a refresh if what is served is stale or bundled."""
    with suppress(DatabaseUnavailable):  # who polls tells of it
        await components.database.warm_pool(
            lease_session.WARM_CONNECTIONS, lease_session.prepare_statements
        )
    await site.get()
    await components.http_client.client.get()
    stale_after = timedelta(seconds=settings.stale_after)
    if components.catalog.snapshot.is_stale(now=_now(), stale_after=stale_after):
        with suppress(CountriesError):  # the service logs it, and what is served stays
            await components.refresh_service.refresh(RefreshOptions(trigger=Trigger.START))


def _build_database(settings: Settings) -> Database:
    database = Database(
        settings.database_url,
        timeout=settings.database_timeout,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_max_overflow,
        ssl_ca=settings.database_ssl_ca,
    )
    if settings.log_sql:
        database.log_statements()
    return database


def _build_source_config(settings: Settings, metrics: MetricsRecorder) -> SourceConfig:
    provider_keys = settings.provider_keys
    return SourceConfig(
        countries=select_providers(
            "COUNTRIES_SOURCES", settings.countries_sources, countries.PROVIDERS, provider_keys
        ),
        rates=select_providers(
            "RATES_SOURCES", settings.rates_sources, rates.PROVIDERS, provider_keys
        ),
        api_timeout=settings.api_timeout,
        refresh_timeout=settings.refresh_timeout,
        on_fetch=metrics.record_fetch,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return uuid.uuid4().hex
