"""Limits of one client: its connections, requests and WebSockets leave room for those of others."""

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from graphql_api.http.client_counts import ClientCounts
from tests.support.app import HANGING_RESPONSE
from tests.support.fake_providers.server import Upstream
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import is_usable, open_connection, request_head
from tests.support.ws_client import open_websocket, websocket_client

pytestmark = pytest.mark.slow

LIMIT = {"MAX_CONNECTIONS_PER_CLIENT": "4", "LOG_FORMAT": "json"}
REFRESH = json.dumps({"query": "mutation { refreshCountries { id } }"}).encode()
TOO_MANY = "There are too many {} from your address; at most {} are served (MAX_CONNECTIONS_PER_CLIENT)."


@pytest.fixture
def server(tmp_path: Path, upstream: Upstream) -> Iterator[Process]:
    """Run a server whose refreshes never end."""
    upstream.set_responses("countries", HANGING_RESPONSE)
    with running_server(tmp_path, **LIMIT, **{**BUNDLED_SOURCES, **upstream.environment}) as process:
        assert process.url
        yield process


def read_refusals(server: Process) -> list[tuple[str, int]]:
    """Return client and status of each refusal in the log."""
    lines = [json.loads(line) for line in server.stderr.splitlines()]
    return [(line["client"], line["status"]) for line in lines if "is refused" in line["message"]]


def test_connections(tmp_path: Path) -> None:
    """One connection too many closes the client's idlest one, and none of another client or of a proxy."""
    with running_server(tmp_path, **BUNDLED_SOURCES, **LIMIT) as server, ExitStack() as stack:
        proxy = [stack.enter_context(open_connection(server)) for _ in range(6)]
        other = stack.enter_context(open_connection(server, source="127.0.0.3"))
        own = [stack.enter_context(open_connection(server, source="127.0.0.2")) for _ in range(4)]
        for connection in (*proxy, other, *own, own[0]):
            assert is_usable(connection)
        assert is_usable(stack.enter_context(open_connection(server, source="127.0.0.2")))
        assert own.pop(1).is_closed()
        assert all(is_usable(connection) for connection in (*proxy, other, *own))
        assert read_refusals(server) == []


def test_requests(server: Process) -> None:
    """A client behind a proxy has a bounded number of requests at a time; those of another client are served."""
    head = {"Content_Length": str(len(REFRESH)), "X_Forwarded_For": "192.0.2.1"}
    with ExitStack() as stack:
        connections = [stack.enter_context(open_connection(server)) for _ in range(5)]
        for connection in connections[:4]:
            connection.send(request_head(**head) + REFRESH)
        refused = connections[4].post(REFRESH, X_Forwarded_For="192.0.2.1")
        assert refused.status == 429
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["X-Content-Type-Options"] == "nosniff"
        message, code = TOO_MANY.format("requests at a time", 4), "BAD_USER_INPUT"
        assert refused.json == {"errors": [{"message": message, "extensions": {"code": code}}]}
        connections[4].send(request_head("GET /healthz", X_Forwarded_For="192.0.2.2"))
        assert connections[4].read_response("GET").status == 200
    assert read_refusals(server) == [("192.0.2.1", 429)]


@pytest.mark.asyncio
async def test_websockets(server: Process) -> None:
    """A client has half as many WebSockets; those of another client, and its own requests, are served."""
    async with AsyncExitStack() as stack:
        own = [await stack.enter_async_context(websocket_client(server, X_Forwarded_For="192.0.2.1")) for _ in range(2)]
        with pytest.raises(InvalidStatus) as exc_info:
            await stack.enter_async_context(open_websocket(server, X_Forwarded_For="192.0.2.1"))
        response = exc_info.value.response
        assert (response.status_code, response.headers["X-Content-Type-Options"]) == (429, "nosniff")
        assert json.loads(response.body or b"")["errors"][0]["message"] == TOO_MANY.format("WebSockets", 2)
        await stack.enter_async_context(websocket_client(server, X_Forwarded_For="192.0.2.2"))
        await own[0].connection.close()
        await stack.enter_async_context(websocket_client(server, X_Forwarded_For="192.0.2.1"))
    assert read_refusals(server) == [("192.0.2.1", 429)]


def test_counts() -> None:
    """Counts are by address or IPv6 network, and an address that holds nothing takes no memory."""
    counts = ClientCounts(2, is_exempt=lambda address: address == "127.0.0.1")
    assert [counts.add(address) for address in ("2001:db8::1", "2001:db8::2", "2001:db8::3")] == [True, True, False]
    assert [counts.add("127.0.0.1") for _ in range(5)] == [True] * 5
    for address in ("2001:db8::3", "2001:db8::1", "127.0.0.1"):
        counts.remove(address)
    assert counts.add("2001:db8::4") is True
    for address in ("2001:db8::2", "2001:db8::4"):
        counts.remove(address)
    for index in range(1000):
        address = f"192.0.2.{index % 250}"
        assert counts.add(address)
        counts.remove(address)
    assert vars(counts)["_counts"] == {}
