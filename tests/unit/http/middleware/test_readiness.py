"""Before there is data: what needs some is refused in its own form, and the rest is served."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager

from graphql_api.app import create_app
from graphql_api.startup import Ready, StartupEvent, WaitingForDatabase
from tests.support.app import (
    HANGING_RESPONSE,
    AppClient,
    connect_client,
    make_settings,
    parse_errors,
)
from tests.support.fake_providers.server import Upstream
from tests.support.wait import wait_until_async

STARTING = "The server is starting: its database has not answered yet. Try again."
QUERY = "{ countries { totalCount } }"
GRAPHQL_RESPONSE = "application/graphql-response+json"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def starting_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AppClient]:
    """Lend a server whose database is not there, and has been found so."""
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
    """Tell whether the answer says when to ask again, and that it is not to be kept."""
    headers = response.headers
    return (headers["Retry-After"], headers["Cache-Control"]) == ("2", "no-store")


@pytest.mark.parametrize(
    "query", [QUERY, "{ status { version } }", "mutation { refreshCountries { id } }"]
)
async def test_post(starting_server: AppClient, query: str) -> None:
    """Whatever is asked of GraphQL, the answer is an error of its shape, never an empty list."""
    response = await starting_server.post({"query": query})
    assert (response.status_code, parse_errors(response)) == (
        503,
        [("DATABASE_UNAVAILABLE", STARTING)],
    )
    assert response.headers["Content-Type"] == "application/json"
    assert is_uncacheable(response)


async def test_get(starting_server: AppClient) -> None:
    """A query by GET is refused too, in the media type that is wanted, whatever tag it brings."""
    path = f"/graphql?query={QUERY}"
    for accept in ("application/json", GRAPHQL_RESPONSE):
        response = await starting_server.get(path, Accept=accept, If_None_Match="*")
        assert (response.status_code, parse_errors(response)) == (
            503,
            [("DATABASE_UNAVAILABLE", STARTING)],
        )
        assert response.headers["Content-Type"] == accept
        assert is_uncacheable(response)


@pytest.mark.parametrize("path", ["/", "/graphql"])
async def test_pages(starting_server: AppClient, path: str) -> None:
    """A browser is shown a page that says what is waited for, and looks again by itself."""
    response = await starting_server.get(path, Accept="text/html")
    assert (response.status_code, response.headers["Content-Type"]) == (
        503,
        "text/html; charset=utf-8",
    )
    assert "Its database has not responded yet." in response.text
    assert '<meta http-equiv="refresh" content="2">' in response.text
    assert is_uncacheable(response)


@pytest.mark.parametrize("path", ["/images/summary.png", "/images/summary-1-250.png"])
async def test_pictures(starting_server: AppClient, path: str) -> None:
    """There is no picture of nothing."""
    response = await starting_server.get(path)
    assert (response.status_code, response.text) == (503, f"{STARTING}\n")
    assert is_uncacheable(response)


async def test_health(starting_server: AppClient) -> None:
    """It lives, is not ready, and says since when the database does not answer."""
    live, ready = await starting_server.get("/healthz"), await starting_server.get("/readyz")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    body = ready.json()
    assert body.pop("unreachableSince").endswith("Z")
    assert (ready.status_code, body) == (
        503,
        {"status": "starting", "countries": 0, "version": "0-0", "database": "unreachable"},
    )


async def test_what_needs_no_data(starting_server: AppClient) -> None:
    """The schema is told, and what is nowhere is nowhere."""
    assert (await starting_server.get("/schema.graphql")).status_code == 200
    assert (await starting_server.get("/nowhere")).status_code == 404


@contextmanager
def exclusive_lock(path: Path) -> Iterator[sqlite3.Connection]:
    """Lend what keeps everybody else from a file until it is closed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield connection


async def test_opened_later(tmp_path: Path, upstream: Upstream) -> None:
    """What was refused is answered as soon as the database answers; nothing of before is kept."""
    upstream.set_responses("countries", HANGING_RESPONSE)
    path, events = tmp_path / "countries.db", list[StartupEvent]()
    app = create_app(make_settings(path, upstream, database_timeout=0.05), on_event=events.append)
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
    assert events == [WaitingForDatabase(reason), Ready()]
