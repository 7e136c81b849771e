"""The fast path responds like the application, or hands on the request that it has parsed."""

import asyncio
import gc
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import uvicorn
import websockets
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.typing import Subprotocol

from graphql_api.execution.limits import Budget
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
from graphql_api.server.known_heads import KnownHeads
from graphql_api.server.rejection import Rejector
from graphql_api.server.websocket_protocol import WebSocketProtocol
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
    """A query is executed if its document is known and execution is allowed, and cached the second time."""
    request = parse(fast_path, 1)
    assert request is not None
    assert fast_path.respond(request, may_execute=True) is None
    expected = await server.post(build_body(2))
    await asyncio.sleep(0)  # this turn of the event loop may have done enough
    assert fast_path.respond(request, may_execute=False) is None
    response = fast_path.respond(request, may_execute=True)
    assert response is not None
    assert (response.status, response.body) == (200, expected.content)
    assert fast_path.respond(request, may_execute=False) is None
    assert fast_path.respond(request, may_execute=True) == response
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
    app = build_app(server, fast_path, parsed_requests)
    with pytest.MonkeyPatch.context() as patch:
        async with running_uvicorn(app) as url, httpx.AsyncClient(trust_env=False) as client:
            patch.delattr(endpoint_module, "read_request")
            response = await client.post(f"{url}/graphql", json=build_body("x"))
    [request] = parsed_requests
    assert json.loads(request.key.text) == build_body("x")
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize(
    ("head", "is_known"),
    [
        ("POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{length}", True),
        ("POST /graphql/ HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{length}", True),
        ("POST /graphql HTTP/1.1\r\nX-Request-Id: 7\r\nHost: a\r\nContent-Type: application/json\r\n{length}", True),
        ("GET /graphql?query={{__typename}} HTTP/1.1\r\nHost: a", True),
        ("GET /graphql?query={{__typename}} HTTP/1.1\r\nHost: a\r\n{length}", True),
        ("POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nX-Long: {long}\r\n{length}", False),
        ("POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nOrigin: b\r\n{length}", False),
        ("POST /other HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{length}", False),
    ],
)
async def test_known_head(server: AppClient, fast_path: FastPath, head: str, is_known: bool) -> None:
    """A request whose head is known needs no parser, and gets the same response, on any connection."""
    await server.post(build_body(5))
    await server.post({"query": "{__typename}"})
    body = json.dumps(build_body(5)).encode()
    data = head.format(length=f"Content-Length: 0{len(body)}", long="x" * 2_000).encode() + b"\r\n\r\n"
    data += body if b"Length" in data else b""
    with pytest.MonkeyPatch.context() as patch:
        parsed = count_parsed(patch)
        async with running_uvicorn(build_app(server, fast_path, [])) as url:
            port = int(url.rpartition(":")[2])
            responses = [await exchange(port, data) for _ in range(3)]
    # The first connection shows the parser a head for the first time.
    assert parsed == [data] * (1 if is_known else 6)
    assert len({response for pair in responses for response in pair}) == 1


@pytest.mark.parametrize(
    "pieces", [lambda data: [data[:40], data[40:]], lambda data: [data + data], lambda data: [data[:-1], data[-1:]]]
)
async def test_known_head_in_pieces(
    server: AppClient, fast_path: FastPath, pieces: Callable[[bytes], list[bytes]]
) -> None:
    """The parser reads what is not exactly one request: parts of it, and several at once."""
    await server.post(build_body(6))
    body = json.dumps(build_body(6)).encode()
    head = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    data = head % len(body) + body
    with pytest.MonkeyPatch.context() as patch:
        parsed = count_parsed(patch)
        async with running_uvicorn(build_app(server, fast_path, [])) as url:
            port = int(url.rpartition(":")[2])
            await exchange(port, data)
            assert parsed == [data]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for piece in pieces(data):
                writer.write(piece)
                await asyncio.sleep(0.05)
            responses = [await read_response(reader) for _ in range(b"".join(pieces(data)).count(b"POST"))]
            writer.close()
    assert parsed == [data, *pieces(data)]
    assert {body for _, body in responses} == {(await server.post(build_body(6))).content}


async def test_known_head_of_new_query(server: AppClient, fast_path: FastPath) -> None:
    """The application gets a request whose head is known and whose query is not, parsed."""
    parsed_requests: list[ParsedRequest] = []
    known, new = (json.dumps({"query": f"{{{alias}:__typename}}"}).encode() for alias in "ab")
    await server.post(json.loads(known))
    head = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    async with running_uvicorn(build_app(server, fast_path, parsed_requests)) as url:
        port = int(url.rpartition(":")[2])
        await exchange(port, head % len(known) + known)
        responses = await exchange(port, head % len(new) + new)
    assert [request.key.text for request in parsed_requests] == [new]
    assert [body for _, body in responses] == [b'{"data":{"b":"Query"}}'] * 2


async def test_closed_connection(server: AppClient, fast_path: FastPath) -> None:
    """A closed connection is freed at once, served by the fast path or by the application."""
    await server.post(build_body(7))
    bodies = [json.dumps(body).encode() for body in (build_body(7), {"query": "{ status { version } }"})]
    head = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    async with running_uvicorn(build_app(server, fast_path, [])) as url:
        gc.disable()
        try:
            for body in bodies:
                await exchange(int(url.rpartition(":")[2]), head % len(body) + body)
            await asyncio.sleep(0.05)
            assert [value for value in gc.get_objects() if isinstance(value, FastPathProtocol)] == []
        finally:
            gc.enable()


async def test_closed_websocket(server: AppClient, fast_path: FastPath) -> None:
    """A closed WebSocket is freed at once, with the operations that it had."""
    async with running_uvicorn(build_app(server, fast_path, [])) as url:
        gc.disable()
        try:
            await subscribe_and_leave(url)
            await asyncio.sleep(0.1)
            classes = (FastPathProtocol, WebSocketProtocol, Budget)
            assert [value for value in gc.get_objects() if type(value) in classes] == []
        finally:
            gc.enable()


async def subscribe_and_leave(url: str) -> None:
    """Start a subscription and finish a query over a WebSocket."""
    address = f"{url.replace('http', 'ws')}/graphql"
    async with websockets.connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as client:
        await client.send('{"type": "connection_init"}')
        assert await client.recv() == '{"type":"connection_ack"}'
        for query in ("subscription { refreshProgress { phase } }", "{ status { stale } }"):
            payload = {"id": query, "type": "subscribe", "payload": {"query": query}}
            await client.send(json.dumps(payload))
        while "complete" not in str(await client.recv()):
            pass


def count_parsed(patch: pytest.MonkeyPatch) -> list[bytes]:
    """Return a list to which all that connections parse is added."""
    parsed: list[bytes] = []
    parse_data = FastPathProtocol._parse

    def record(protocol: FastPathProtocol, data: bytes) -> None:
        parsed.append(bytes(data))
        parse_data(protocol, data)

    patch.setattr(FastPathProtocol, "_parse", record)
    return parsed


async def exchange(port: int, data: bytes) -> list[tuple[bytes, bytes]]:
    """Send a request twice over one connection, and return the responses without what changes in them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    responses = []
    for _ in range(2):
        writer.write(data)
        responses.append(await read_response(reader))
    writer.close()
    return responses


async def read_response(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head of a response, without generated ids, dates and timings, and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = re.findall(rb"content-length: (\d+)", head)
    head = re.sub(rb"(x-request-id: [0-9a-f]{16}|date: |server-timing: )[^\r]*\r\n", b"", head)
    return b"\n".join(sorted(head.splitlines())), await reader.readexactly(int(length))


def build_app(server: AppClient, fast_path: FastPath, parsed_requests: list[ParsedRequest]) -> ASGIApp:
    """Return the server's application, with the fast path in its state. It adds requests that it is handed."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"][FAST_PATH_KEY] = fast_path
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            if PARSED_REQUEST_KEY in scope["state"]:
                parsed_requests.append(scope["state"][PARSED_REQUEST_KEY])
            await server.app(scope, receive, send)

    return app


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
        known_heads=KnownHeads(),
    )
    ws_protocol = partial(
        WebSocketProtocol, metrics=MetricsRecorder.standalone(), rejector=protocol.keywords["rejector"]
    )
    config = uvicorn.Config(app, http=protocol, ws=ws_protocol, log_config=None, access_log=False)  # type: ignore[arg-type]  # as in `serve`
    uvicorn_server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(uvicorn_server.serve([listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        uvicorn_server.should_exit = True
        await serving
