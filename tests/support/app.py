"""The whole application in this process, over a SQLite file and fake sources."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from asgi_lifespan import LifespanManager
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from starlette.routing import Route, Router

from graphql_api.app import create_app
from graphql_api.components import Components
from graphql_api.http.graphql.event_stream import EventStreamEndpoint
from graphql_api.settings import Settings
from graphql_api.startup import Ready, StartupEvent, StartupFailed
from tests.support.fake_providers.server import FakeResponse, Upstream
from tests.support.wait import WAIT_TIMEOUT, wait_until_async

HANGING_RESPONSE = FakeResponse(hold_until=lambda: False)
"""A source that accepts the request and never responds."""
BASE_URL = "http://countries.localhost:8000"
"""The server's URL as clients here see it."""
_LONG_TIMEOUT = 3600.0
"""Seconds; longer than any test."""


class ExplicitSettings(Settings):
    """Settings from the test alone: neither the environment nor `.env` is read."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - its name is the base's
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but the arguments."""
        return (init_settings,)


def make_settings(path: Path, upstream: Upstream, **changes: Any) -> Settings:  # noqa: ANN401 - any setting
    """Return settings for the database at `path`: fake sources first, then the bundled data."""
    values = {
        "database_url": f"sqlite:///{path}",
        "countries_sources": (("geonames", upstream.countries_url), ("bundled", None)),
        "rates_sources": (("er-api", upstream.rates_url), ("bundled", None)),
        "statistics_sources": (("world-bank", upstream.statistics_url), ("bundled", None)),
        "api_timeout": _LONG_TIMEOUT,
        "refresh_timeout": _LONG_TIMEOUT,
        "snapshot_poll": _LONG_TIMEOUT,
        **changes,
    }
    return ExplicitSettings(**values)


@dataclass(frozen=True)
class AppClient:
    """A running application and a client of it."""

    app: Router
    client: httpx.AsyncClient

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """GET a path; header names are written with underscores."""
        return await self.client.get(path, headers=_normalize_headers(headers))

    async def post(self, content: object, **headers: str) -> httpx.Response:
        """POST to /graphql: bytes and text unchanged, anything else as JSON."""
        request_headers = _normalize_headers({"Content_Type": "application/json", **headers})
        if isinstance(content, bytes | str):
            return await self.client.post("/graphql", content=content, headers=request_headers)
        return await self.client.post("/graphql", json=content, headers=request_headers)

    async def query(self, query: str, **headers: str) -> dict[str, Any]:
        """Return the data of a query; it must have no errors."""
        body = (await self.post({"query": query}, **headers)).json()
        assert "errors" not in body, body
        data: dict[str, Any] = body["data"]
        return data

    async def version(self) -> str:
        """Return the version of the data served."""
        return str((await self.query("{ status { version } }"))["status"]["version"])

    async def wait_for_version(self, version: str) -> None:
        """Wait until `version` is served."""

        async def is_served() -> bool:
            return await self.version() == version

        await wait_until_async(is_served)


@asynccontextmanager
async def running_client(settings: Settings) -> AsyncIterator[AppClient]:
    """Run the application with these settings, and return a client of it."""
    async with running_app(settings) as app, connect_client(app) as client:
        yield client


@asynccontextmanager
async def running_app(settings: Settings) -> AsyncIterator[Router]:
    """Run the application with these settings; yields it once it has data to serve."""
    startup = asyncio.get_running_loop().create_future()

    def on_event(event: StartupEvent) -> None:
        if isinstance(event, StartupFailed):
            startup.set_exception(event.error)
        elif isinstance(event, Ready):
            startup.set_result(None)

    app = create_app(settings, on_event=on_event)
    async with LifespanManager(app, startup_timeout=WAIT_TIMEOUT, shutdown_timeout=WAIT_TIMEOUT):
        await startup
        yield app


@asynccontextmanager
async def opened_components(settings: Settings) -> AsyncIterator[Components]:
    """Open the components with these settings, and close them at the end."""
    components = Components(settings)
    try:
        await components.open()
        yield components
    finally:
        await components.close()


@asynccontextmanager
async def connect_client(app: Router) -> AsyncIterator[AppClient]:
    """Return a client of a running application."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        yield AppClient(app, client)


def find_endpoint(app: Router) -> EventStreamEndpoint:
    """Return what serves /graphql over HTTP."""
    endpoint = next(route.endpoint for route in app.routes if isinstance(route, Route))
    assert isinstance(endpoint, EventStreamEndpoint)
    return endpoint


def parse_errors(response: httpx.Response) -> list[tuple[str, str]]:
    """Return code and message of each error; the body must hold nothing else."""
    body = response.json()
    assert list(body) == ["errors"], body
    return [(error["extensions"]["code"], error["message"]) for error in body["errors"]]


def _normalize_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
