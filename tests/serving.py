"""The whole application in this process, over a real file and the sources that `upstream` plays."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from asgi_lifespan import LifespanManager
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from starlette.applications import Starlette

from graphql_api.app import create_app
from graphql_api.opening import Event, Failed, Opened
from graphql_api.settings import Settings
from tests.upstream.server import Answer, Upstream

HELD = Answer(until=lambda: False)
"""A source that accepts the question and never answers."""
ORIGIN = "http://countries.example:8000"
"""Where clients here believe the server to be."""
_NEVER = 3600.0
"""Seconds that no test here lasts."""
_PATIENCE = 120.0
"""Seconds after which a wait is a failure of the test; no test that passes waits so long."""


class Given(Settings):
    """Settings that are what a test says, whatever the environment and `.env` say."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - its name is the base's
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what the test says alone."""
        return (init_settings,)


def given(path: Path, upstream: Upstream, **changes: Any) -> Settings:  # noqa: ANN401 - any setting
    """Return settings for the database at `path` that ask the upstream, then the bundled data."""
    values = {
        "database_url": f"sqlite:///{path}",
        "countries_sources": (("geonames", upstream.countries_url), ("bundled", None)),
        "rates_sources": (("er-api", upstream.rates_url), ("bundled", None)),
        "api_timeout": _NEVER,
        "refresh_timeout": _NEVER,
        "snapshot_poll": _NEVER,
        **changes,
    }
    return Given(**values)


@dataclass(frozen=True)
class Server:
    """A running application, and a client of it."""

    app: Starlette
    client: httpx.AsyncClient

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """GET a path; header names are written with underscores."""
        return await self.client.get(path, headers=_headers(headers))

    async def post(self, content: object, **headers: str) -> httpx.Response:
        """POST to /graphql: bytes and text as they are, anything else as JSON."""
        sent = _headers({"Content_Type": "application/json", **headers})
        if isinstance(content, bytes | str):
            return await self.client.post("/graphql", content=content, headers=sent)
        return await self.client.post("/graphql", json=content, headers=sent)

    async def ask(self, query: str, **headers: str) -> dict[str, Any]:
        """Return the data of a query that has no errors."""
        body = (await self.post({"query": query}, **headers)).json()
        assert list(body) == ["data"], body
        data: dict[str, Any] = body["data"]
        return data

    async def version(self) -> str:
        """Return the version of what is served."""
        return str((await self.ask("{ status { version } }"))["status"]["version"])

    async def reach(self, version: str) -> None:
        """Wait until that version is served."""

        async def reached() -> bool:
            return await self.version() == version

        await until(reached)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Server]:
    """Run the application of these settings, from its start to its end."""
    async with opened(settings) as app, asking(app) as server:
        yield server


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Starlette]:
    """Run the application of these settings, once it has data to serve."""
    opening = asyncio.get_running_loop().create_future()

    def hear(event: Event) -> None:
        if isinstance(event, Failed):
            opening.set_exception(event.error)
        elif isinstance(event, Opened):
            opening.set_result(None)

    app = create_app(settings, tell=hear)
    async with LifespanManager(app, startup_timeout=_PATIENCE, shutdown_timeout=_PATIENCE):
        await opening
        yield app


@asynccontextmanager
async def asking(app: Starlette) -> AsyncIterator[Server]:
    """Lend a client of an application that runs."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield Server(app, client)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something has come true."""
    async with asyncio.timeout(_PATIENCE):
        while not await true():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.005)


def told(response: httpx.Response) -> list[tuple[str, str]]:
    """Return code and message of each error; there is nothing else in the answer."""
    body = response.json()
    assert list(body) == ["errors"], body
    return [(error["extensions"]["code"], error["message"]) for error in body["errors"]]


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in given.items()}
