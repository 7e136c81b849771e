"""The fast path responds like the application, or hands on the request that it has parsed."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api.http.client_counts import ClientCounts
from graphql_api.http.cors import CORSPolicy
from graphql_api.http.forwarded import TrustedProxies
from graphql_api.http.graphql import endpoint as endpoint_module
from graphql_api.http.graphql.fast_path import FAST_PATH_KEY, FastPath
from graphql_api.http.graphql.request import PARSED_REQUEST_KEY, ParsedRequest
from graphql_api.http.middleware.request_id import create_id_generator
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.server.connection_limits import ConnectionLimits
from graphql_api.server.fast_path_protocol import FastPathProtocol
from graphql_api.server.rejection import Rejector
from tests.support.app import AppClient, find_endpoint

pytestmark = pytest.mark.asyncio(loop_scope="module")
HEADERS = [(b"content-type", b"application/json")]
DOCUMENT = "query fastPath($n: Int) { countries(first: $n) { totalCount } }"


@pytest.fixture
def fast_path(server: AppClient) -> FastPath:
    """Return the fast path over the server's endpoint."""
    return FastPath(find_endpoint(server.app).http_endpoint)


def build_body(number: object) -> dict[str, object]:
    """Return a request with a variable."""
    return {"query": DOCUMENT, "variables": {"n": number}}


def parse(fast_path: FastPath, number: object, url: bytes = b"/graphql") -> ParsedRequest | None:
    """Parse a POST with a variable."""
    return fast_path.parse(b"POST", url, HEADERS, json.dumps(build_body(number)).encode())


async def test_respond(server: AppClient, fast_path: FastPath) -> None:
    """A query is executed if its document is known and execution is allowed, and then cached."""
    request = parse(fast_path, 1)
    assert request is not None
    assert fast_path.respond(request, may_execute=True) is None
    expected = await server.post(build_body(2))
    await asyncio.sleep(0)  # this turn of the event loop may have done enough
    assert fast_path.respond(request, may_execute=False) is None
    response = fast_path.respond(request, may_execute=True)
    assert response is not None
    assert (response.status, response.body) == (200, expected.content)
    assert fast_path.respond(request, may_execute=False) == response


async def test_declined(fast_path: FastPath) -> None:
    """Other paths, and invalid variables of a known document, are left to the application."""
    assert parse(fast_path, 1, b"/graphql//") is None
    assert parse(fast_path, 1, b"/") is None
    request = parse(fast_path, "x")
    assert request is not None
    assert fast_path.respond(request, may_execute=True) is None


async def test_paths(fast_path: FastPath) -> None:
    """Both paths, with any query string, are one endpoint."""
    expected = parse(fast_path, 1)
    assert expected is not None
    for url in (b"/graphql/", b"/graphql?a=1", b"/graphql/?a=1"):
        assert parse(fast_path, 1, url) == expected


@pytest.mark.parametrize(
    "url", [b"/graphql?query=%7Ba%7D#b", b"/graphql#?query=%7Ba%7D", "/graphql?query={é}".encode()]
)
async def test_unusual_urls(fast_path: FastPath, url: bytes) -> None:
    """A fragment, and what is not ASCII, is left to the application, which reads or rejects it."""
    assert fast_path.parse(b"GET", url, [], b"") is None


async def test_origin(server: AppClient, fast_path: FastPath) -> None:
    """A cached response to a page elsewhere needs CORS headers, which the application adds."""
    await server.post(build_body(3))
    request = parse(fast_path, 3)
    assert request is not None
    assert fast_path.respond(request, may_execute=True) is not None
    cross_origin = request._replace(has_origin=True)
    assert fast_path.respond(cross_origin, may_execute=True) is None


async def test_handed_on(server: AppClient, fast_path: FastPath) -> None:
    """The protocol hands the parsed request on, and the endpoint uses it without reading again."""
    parsed_requests: list[ParsedRequest] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"][FAST_PATH_KEY] = fast_path
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            parsed_requests.append(scope["state"][PARSED_REQUEST_KEY])
            await server.app(scope, receive, send)

    with pytest.MonkeyPatch.context() as patch:
        async with running_uvicorn(app) as url, httpx.AsyncClient(trust_env=False) as client:
            patch.delattr(endpoint_module, "read_request")
            response = await client.post(f"{url}/graphql", json=build_body("x"))
    [request] = parsed_requests
    assert json.loads(request.key.text) == build_body("x")
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


@asynccontextmanager
async def running_uvicorn(app: ASGIApp) -> AsyncIterator[str]:
    """Run an application in uvicorn with the protocol of `serve`, and return its URL."""
    protocol = partial(
        FastPathProtocol,
        request_timeout=10.0,
        limits=ConnectionLimits(10, ClientCounts(10)),
        metrics=MetricsRecorder.standalone(),
        rejector=Rejector(
            new_id=create_id_generator("0" * 16),
            trusted_proxies=TrustedProxies("127.0.0.1"),
            cors_policy=CORSPolicy((), allows_loopback=False),
        ),
    )
    config = uvicorn.Config(app, http=protocol, log_config=None, access_log=False)  # type: ignore[arg-type]  # as in `serve`
    uvicorn_server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(uvicorn_server.serve([listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        uvicorn_server.should_exit = True
        await serving
