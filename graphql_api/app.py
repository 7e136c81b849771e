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
from graphql_api.http.answers import Answers
from graphql_api.http.authorization import is_authorized
from graphql_api.http.connections import WRITE, Write
from graphql_api.http.graphql import GraphQLEndpoint
from graphql_api.http.graphql_ws import WebSocketEndpoint
from graphql_api.http.persisted import PersistedQueries
from graphql_api.http.playground import INSTALLED, Playground
from graphql_api.http.recording import Recorder
from graphql_api.http.repeating import PATH, Repeater, RepeatingMiddleware
from graphql_api.http.request_id import RequestIdMiddleware, new_ids
from graphql_api.http.security import SecurityHeadersMiddleware
from graphql_api.http.starting import StartingMiddleware
from graphql_api.later import Later
from graphql_api.metrics.meter import Meter
from graphql_api.metrics.sampling import Sampler
from graphql_api.opening import Failed, Opened, Tell, open_patiently
from graphql_api.refresh import session
from graphql_api.refresh.run import RefreshOrder, Sources
from graphql_api.refresh.schedule import refresh_regularly
from graphql_api.refresh.service import Bounds, RefreshService
from graphql_api.refresh.watching import Watch
from graphql_api.schema.building import Schema, build_schema
from graphql_api.schema.context import Context
from graphql_api.schema.limits import Limits
from graphql_api.settings import Settings
from graphql_api.sources import countries, rates
from graphql_api.sources.choosing import choose
from graphql_api.sources.reference import load_reference
from graphql_api.sources.web import Web
from graphql_api.storage.engine import Database
from graphql_api.storage.migrations import migrate

logger = logging.getLogger(__name__)

_LOOK = 0.05
"""Seconds after which an application that starts looks whether it is to stop."""
_CLOSING = 4.0
"""Seconds for the tail of a refresh, and for closing connections, when the server stops."""
_BEFORE_CANCELLING_AGAIN = 0.5
"""Seconds that a cancelled task has to end by itself."""
_OF_APOLLO = (
    "Apollo-Require-Preflight",
    "Apollographql-Client-Name",
    "Apollographql-Client-Version",
)
"""Headers that Apollo's clients add when a page asks them to; nothing here reads them."""


class Parts:
    """What a server and the `refresh` command have in common."""

    def __init__(self, settings: Settings, meter: Meter | None = None) -> None:
        """Build the parts; nothing is opened yet. What they do is counted by the meter, if any.

        Raises:
            InvalidSetting: a setting is not one that the parts can work with.
        """
        self.meter = meter or Meter.alone()
        self.limits = Limits.changed(settings.query_limits)
        self.database = _database(settings)
        self.catalog = Catalog(self.database, load_reference(), clock=_now)
        self.web = Web(f"graphql-api/{__version__}")
        self.refreshes = RefreshService(
            database=self.database,
            catalog=self.catalog,
            web=self.web,
            sources=_sources(settings, self.meter),
            bounds=Bounds(
                pause=timedelta(seconds=settings.least_between_refreshes),
                callers=settings.refresh_max_waiting,
            ),
            holder=_new_id(),
            clock=_now,
            new_id=_new_id,
            watch=self.meter.attempted,
        )
        self.sampler = Sampler(
            self.meter, self.refreshes, stale_after=timedelta(seconds=settings.stale_after)
        )

    async def open(self) -> None:
        """Bring the database up to date, and load what it holds; may be tried again.

        Raises:
            DatabaseUnavailable: it cannot be used.
        """
        with self.catalog.looking():
            if await migrate(self.database):
                logger.info("Migrated the database at %s", self.database)
            await self.catalog.sync()

    async def open_filled(self) -> None:
        """Do the same, and fill an empty database from the bundled data.

        Several processes may do so at once on the same database.

        Raises:
            DatabaseUnavailable: it cannot be used.
            RefreshInProgress: another process was in the way.
        """
        await self.open()
        if not self.catalog.snapshot.rows:
            try:
                with self.catalog.looking():
                    await self.refreshes.load_bundled()
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
        await self.refreshes.close()
        await self.web.close()
        await self.database.dispose()


async def migrate_database(settings: Settings) -> bool:
    """Bring the database to the tables of this version, and tell whether there was work to do.

    Raises:
        InvalidSetting: DATABASE_URL is not one that the project can work with.
        DatabaseUnavailable: the database cannot be used.
    """
    database = _database(settings)
    try:
        return await migrate(database)
    finally:
        await database.dispose()


def create_app(
    settings: Settings,
    *,
    tell: Tell = lambda _: None,
    is_stopping: Callable[[], bool] = lambda: False,
    start_opened: bool = False,
    meter: Meter | None = None,
) -> "Application":
    """Return the server's application, which opens its database once it has started.

    It tells how the opening goes; after `Failed` it is of no use. While it `is_stopping`, it says
    so to whoever asks whether it is ready. To `start_opened` is to have started only when that has
    come to an end. It counts with a worker's meter, or with one of its own.

    Raises:
        InvalidSetting: a setting is not one that the parts can work with.
    """
    parts = Parts(settings, meter)
    answers = _answers(parts, settings)
    new_id = new_ids(secrets.token_hex(8))
    recorder = Recorder(meter=parts.meter, log_all=settings.access_log)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Write]]:
        async with _running(
            parts, settings, tell, site, waits=lambda: start_opened and not is_stopping()
        ):
            # The shortest way logs nothing.
            yield {} if settings.access_log else {WRITE: repeater.write}

    schema = build_schema(introspection=settings.has_introspection, limits=parts.limits)
    naming = Middleware(RequestIdMiddleware, new_id=new_id, recorder=recorder)
    endpoint = _graphql(parts, settings, schema, answers, recorder)
    repeater = _repeater(parts, endpoint, new_id)
    site = Later(lambda: _site(parts, settings, endpoint, is_stopping))
    app = Application(
        lifespan=lifespan,
        routes=[_websocket(settings, endpoint, new_id)],
        middleware=_middleware(settings, parts.catalog, naming),
    )
    app.router.default = _served_by(site)
    app.graphql = RepeatingMiddleware(app.router, repeater=repeater, endpoint=endpoint)
    for around in reversed(app.user_middleware):
        app.graphql = around.cls(app.graphql, *around.args, **around.kwargs)
    return app


def _answers(parts: Parts, settings: Settings) -> Answers:
    return Answers(
        limit=settings.response_cache_bytes,
        max_age=settings.cache_max_age,
        meter=parts.meter,
        cross_origin=bool(settings.cors_origins),
    )


def _playground(settings: Settings) -> Playground | None:
    if not settings.has_playground:
        return None
    return Playground.load(INSTALLED, token_needed=settings.admin_token is not None)


class Application(Starlette):
    """Starlette, but what it does for each request GraphQL does without."""

    graphql: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["path"] == PATH:
            await self.graphql(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _middleware(settings: Settings, catalog: Catalog, naming: Middleware) -> list[Middleware]:
    """Return what every request goes through, the outermost first."""
    cross_origin = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=("GET", "POST"),
        allow_headers=("Authorization", "Content-Type", *_OF_APOLLO),
        expose_headers=("X-Request-Id",),
    )
    return [
        Middleware(SecurityHeadersMiddleware),
        *([cross_origin] if settings.cors_origins else []),
        naming,
        Middleware(StartingMiddleware, catalog=catalog),
    ]


def _graphql(
    parts: Parts, settings: Settings, schema: Schema, answers: Answers, recorder: Recorder
) -> GraphQLEndpoint:
    return GraphQLEndpoint(
        schema=schema,
        create_context=_contexts(parts, settings),
        # The data have no address of this server in them.
        context_of_data=_context(parts, settings, "", authorized=False),
        answers=answers,
        persisted=PersistedQueries(),
        playground=_playground(settings),
        body_limit=settings.body_limit,
        recorder=recorder,
    )


def _repeater(parts: Parts, endpoint: GraphQLEndpoint, new_id: Callable[[], str]) -> Repeater:
    return Repeater(
        catalog=parts.catalog,
        answers=endpoint.answers,
        new_id=new_id,
        meter=parts.meter,
        answer_at_once=endpoint.answer_at_once,
    )


def _contexts(parts: Parts, settings: Settings) -> Callable[[HTTPConnection, str], Context]:
    """Return what makes the context of a connection that has these credentials."""
    token = _token(settings)

    def create_context(connection: HTTPConnection, credentials: str) -> Context:
        url = settings.public_url or _address(connection)
        return _context(parts, settings, url, authorized=is_authorized(credentials, token))

    return create_context


def _context(parts: Parts, settings: Settings, public_url: str, *, authorized: bool) -> Context:
    return Context(
        catalog=parts.catalog,
        refreshes=parts.refreshes,
        clock=_now,
        stale_after=timedelta(seconds=settings.stale_after),
        public_url=public_url,
        authorized=authorized,
    )


def _address(connection: HTTPConnection) -> str:
    """Return how the client reaches the server, for whoever reads it by HTTP."""
    url = str(connection.base_url).rstrip("/")
    return f"http{url.removeprefix('ws')}" if connection.scope["type"] == "websocket" else url


def _websocket(
    settings: Settings, endpoint: GraphQLEndpoint, new_id: Callable[[], str]
) -> BaseRoute:
    own = urlsplit(settings.public_url or "")
    sockets = WebSocketEndpoint(
        over_http=endpoint,
        origins={*settings.cors_origins, f"{own.scheme}://{own.netloc}".lower()},
        patience=settings.request_timeout,
        new_id=new_id,
    )
    return WebSocketRoute(PATH, sockets.serve)


def _site(
    parts: Parts, settings: Settings, endpoint: GraphQLEndpoint, is_stopping: Callable[[], bool]
) -> ASGIApp:
    from graphql_api.http.site import Site  # noqa: PLC0415 - it brings FastAPI

    return Site(
        catalog=parts.catalog,
        clock=_now,
        stale_after=timedelta(seconds=settings.stale_after),
        schema_text=f"{endpoint.schema}\n" if settings.has_introspection else None,
        playground=endpoint.playground,
        is_stopping=is_stopping,
        meter=parts.meter,
        sampler=parts.sampler,
        metrics_token=_token(settings) if settings.in_production else None,
    ).build()


def _served_by(site: Later[ASGIApp]) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await (await site.get())(scope, receive, send)

    return serve


def _token(settings: Settings) -> str | None:
    return settings.admin_token.get_secret_value() if settings.admin_token else None


@asynccontextmanager
async def _running(
    parts: Parts,
    settings: Settings,
    tell: Tell,
    site: Later[ASGIApp],
    *,
    waits: Callable[[], bool],
) -> AsyncIterator[None]:
    """Open the parts, and have them do what they do by themselves; wait for it while it `waits`."""
    background: set[asyncio.Task[None]] = set()
    background.add(asyncio.create_task(parts.sampler.keep()))
    opening = asyncio.create_task(_live(parts, settings, tell, site, background))
    background.add(opening)
    while waits() and not opening.done():
        await asyncio.wait([opening], timeout=_LOOK)
    try:
        yield
    finally:
        await end(background)
        await _close(parts)


async def _live(
    parts: Parts,
    settings: Settings,
    tell: Tell,
    site: Later[ASGIApp],
    background: set[asyncio.Task[None]],
) -> None:
    """Open the database, however long it takes, and begin what runs as long as the server does."""
    try:
        await open_patiently(parts.open_filled, tell)
    except Exception as error:  # noqa: BLE001 - whoever is told raises it where it is seen
        tell(Failed(error))
        return
    tell(Opened())
    watch = Watch(
        parts.refreshes.progress,
        database=parts.database,
        catalog=parts.catalog,
        holder=parts.refreshes.holder,
        clock=_now,
    )
    works = [
        parts.catalog.poll(settings.snapshot_poll),
        watch.run(settings.snapshot_poll),
        _freshen(parts, settings, site),
    ]
    if settings.refresh_interval:
        works.append(
            refresh_regularly(
                parts.refreshes, parts.catalog, interval=settings.refresh_interval, clock=_now
            )
        )
    background.update(map(asyncio.create_task, works))


async def _close(parts: Parts) -> None:
    """Close the parts, as long as the database does not keep them from it."""
    closing = asyncio.create_task(parts.close())
    await asyncio.wait([closing], timeout=_CLOSING)
    if not closing.done():
        logger.warning("The database does not answer; leaving without taking leave of it.")
    await end([closing])


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until each has ended, those that are added meanwhile too.

    Once is not always enough: while it gives up a connection that died, SQLAlchemy takes a
    cancellation for its own.
    """
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=_BEFORE_CANCELLING_AGAIN)


async def _freshen(parts: Parts, settings: Settings, site: Later[ASGIApp]) -> None:
    """Make what was left for later, then try a refresh if what is served is stale or bundled."""
    with suppress(DatabaseUnavailable):  # who polls tells of it
        await parts.database.warm(session.CONNECTIONS, session.rehearse)
    await site.get()
    await parts.web.client.get()
    after = timedelta(seconds=settings.stale_after)
    if parts.catalog.snapshot.is_stale(now=_now(), after=after):
        with suppress(CountriesError):  # the service logs it, and what is served stays
            await parts.refreshes.refresh(RefreshOrder(trigger=Trigger.START))


def _database(settings: Settings) -> Database:
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


def _sources(settings: Settings, meter: Meter) -> Sources:
    keys = settings.provider_keys
    return Sources(
        countries=choose(
            "COUNTRIES_SOURCES", settings.countries_sources, countries.PROVIDERS, keys
        ),
        rates=choose("RATES_SOURCES", settings.rates_sources, rates.PROVIDERS, keys),
        seconds_each=settings.api_timeout,
        seconds_together=settings.refresh_timeout,
        heard=meter.heard,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return uuid.uuid4().hex
