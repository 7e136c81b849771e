"""Readiness: before there is data, requests that need it get a 503 and others are served."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager

from graphql_api.app import create_app
from graphql_api.startup import Ready, StartupEvent, WaitingForDatabase
from tests.support.app import HANGING_RESPONSE, AppClient, connect_client, make_settings, parse_errors
from tests.support.fake_providers.server import Upstream
from tests.support.html import HTMLPage
from tests.support.wait import wait_until_async

STARTING = "The server is starting: its database has not answered yet. Try again."
QUERY = "{ countries { totalCount } }"
GRAPHQL_RESPONSE = "application/graphql-response+json"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def starting_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AppClient]:
    """Run a server whose database is unreachable, and wait until it has noticed."""
    waiting = asyncio.Event()
    with Upstream() as upstream:
        # Nobody listens on port 1.
        url = "mysql://somebody:hunter2@127.0.0.1:1/countries"
        settings = make_settings(tmp_path_factory.mktemp("starting"), upstream, database_url=url)
        app = create_app(settings, on_event=lambda _: waiting.set())
        async with LifespanManager(app), connect_client(app) as server:
            await waiting.wait()
            yield server
    assert upstream.requests == ()


def is_uncacheable(response: httpx.Response) -> bool:
    """Return whether the response says when to retry, and that it is not cacheable."""
    headers = response.headers
    return (headers["Retry-After"], headers["Cache-Control"]) == ("2", "no-store")


@pytest.mark.parametrize("query", [QUERY, "{ status { version } }", "mutation { refreshCountries { id } }"])
async def test_post(starting_server: AppClient, query: str) -> None:
    """Any GraphQL operation gets a GraphQL error, never an empty list."""
    response = await starting_server.post({"query": query})
    assert (response.status_code, parse_errors(response)) == (503, [("DATABASE_UNAVAILABLE", STARTING)])
    assert response.headers["Content-Type"] == "application/json"
    assert is_uncacheable(response)


async def test_get(starting_server: AppClient) -> None:
    """A query by GET gets the error too, in the accepted media type, whatever ETag it has."""
    path = f"/graphql?query={QUERY}"
    for accept in ("application/json", GRAPHQL_RESPONSE):
        response = await starting_server.get(path, Accept=accept, If_None_Match="*")
        assert (response.status_code, parse_errors(response)) == (503, [("DATABASE_UNAVAILABLE", STARTING)])
        assert response.headers["Content-Type"] == accept
        assert is_uncacheable(response)


@pytest.mark.parametrize("path", ["/", "/graphql", "/graphql/"])
async def test_pages(starting_server: AppClient, path: str) -> None:
    """A browser gets a page that says what the server waits for, and that reloads itself."""
    response = await starting_server.get(path, Accept="text/html")
    assert (response.status_code, response.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert "Its database has not responded yet." in response.text
    assert '<meta http-equiv="refresh" content="2">' in response.text
    links = HTMLPage(response.text).find_all("link")
    assert [link["rel"] for link in links] == ["icon", "stylesheet"]
    assert [(await starting_server.get(urljoin(path, str(link["href"])))).status_code for link in links] == [200, 200]
    assert is_uncacheable(response)


@pytest.mark.parametrize("path", ["/images/summary.png", "/images/summary-1-250.png"])
async def test_pictures(starting_server: AppClient, path: str) -> None:
    """Images need data."""
    response = await starting_server.get(path)
    assert (response.status_code, response.text) == (503, f"{STARTING}\n")
    assert is_uncacheable(response)


async def test_health(starting_server: AppClient) -> None:
    """The server is live, is not ready, and says since when the database is unreachable."""
    live, ready = await starting_server.get("/healthz"), await starting_server.get("/readyz")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    body = ready.json()
    assert body.pop("unreachableSince").endswith("Z")
    assert (ready.status_code, body) == (
        503,
        {"status": "starting", "countries": 0, "version": "0-0", "database": "unreachable"},
    )


async def test_what_needs_no_data(starting_server: AppClient) -> None:
    """The schema is served, and an unknown path is 404."""
    assert (await starting_server.get("/schema.graphql")).status_code == 200
    assert (await starting_server.get("/nowhere")).status_code == 404


@contextmanager
def exclusive_lock(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold an exclusive lock on a SQLite file until the connection is closed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield connection


async def test_opened_later(tmp_path: Path, upstream: Upstream) -> None:
    """Rejected requests succeed as soon as the database responds; no 503 is cached."""
    upstream.set_responses("countries", HANGING_RESPONSE)
    path, events = tmp_path / "countries.db", list[StartupEvent]()
    app = create_app(make_settings(path, upstream, database_timeout=0.5), on_event=events.append)
    with exclusive_lock(path) as lock:
        async with LifespanManager(app), connect_client(app) as server:

            async def is_ready() -> bool:
                return (await server.get("/readyz")).status_code == 200

            async def has_waited() -> bool:
                return events != []

            assert (await server.get("/readyz")).json()["database"] == "opening"
            await wait_until_async(has_waited)
            for _ in range(2):
                assert (await server.get(f"/graphql?query={QUERY}")).status_code == 503
            lock.close()
            await wait_until_async(is_ready)
            response = await server.get(f"/graphql?query={QUERY}")
            assert response.json() == {"data": {"countries": {"totalCount": 250}}}
    reason = f"The database at sqlite:///{path} failed: database is locked."
    assert events[:2] == [WaitingForDatabase(reason), Ready()]
