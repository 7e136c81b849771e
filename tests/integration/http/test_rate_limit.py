"""RATE_LIMIT of a real server: behind a proxy, on the fast path and over WebSocket."""

import json
from collections.abc import Iterator

import pytest

from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import open_connection
from tests.support.ws_client import websocket_client

pytestmark = pytest.mark.slow
QUERY = "{ countries(first: 10) { nodes { name } } }"
BODY = json.dumps({"query": QUERY}).encode()
COST = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server whose buckets are refilled by one unit in 1000 seconds."""
    folder = tmp_path_factory.mktemp("rate_limit")
    with running_server(folder, **BUNDLED_SOURCES, RATE_LIMIT="1000/999999", LOG_FORMAT="json") as process:
        with open_connection(process) as connection:
            for _ in range(2):  # from then on the response is cached
                connection.post(BODY, X_Forwarded_For="203.0.113.1")
        yield process
        assert "Traceback" not in process.stderr, process.stderr


def test_clients_behind_a_proxy(server: Process) -> None:
    """Clients of a trusted proxy have buckets of their own; headers of any other client move no one into another."""
    with open_connection(server) as proxy, open_connection(server, source="127.0.0.2") as direct:
        first = proxy.post(BODY, X_Forwarded_For="192.0.2.1")
        assert first.headers["RateLimit-Policy"] == '"cost";q=1000;w=999999'
        assert first.headers["RateLimit"].startswith('"cost";r=999;t=')
        remaining = []
        for address in ("2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.2", "203.0.113.9, 192.0.2.2"):
            response = proxy.post(BODY, X_Forwarded_For=address)
            assert (response.status, response.body) == (200, first.body)
            remaining.append(int(response.headers["RateLimit"].split(";")[1].removeprefix("r=")))
        assert remaining == [999, 998, 997, 999, 998]
        spent = [direct.post(BODY, X_Forwarded_For=f"198.51.100.{number}").headers["RateLimit"] for number in (1, 2)]
        assert [header.split(";")[1] for header in spent] == ["r=999", "r=998"]


def test_fast_path(server: Process) -> None:
    """A client that has spent its quota is refused before ASGI, and goes on over the same connection."""
    with open_connection(server, source="127.0.0.3") as connection:
        statuses = [connection.post(BODY).status for _ in range(1001)]
        refused = connection.post(BODY)
        assert [*statuses, refused.status] == [200] * 1000 + [429] * 2
        assert refused.error_codes == ["RATE_LIMITED"]
        retry_after = int(refused.headers["Retry-After"])
        assert 0 < retry_after <= 1000
        assert refused.json["errors"][0]["extensions"]["retryAfter"] == retry_after
        assert int(refused.headers["RateLimit"].split("t=")[1]) <= retry_after
        assert (refused.headers["X-Content-Type-Options"], refused.headers["Cache-Control"]) == ("nosniff", "no-store")
    warnings = [line for line in server.stderr.splitlines() if "has spent its quota" in line]
    assert [json.loads(line)["client"] for line in warnings if "127.0.0.3" in line] == ["127.0.0.3"]


@pytest.mark.asyncio
async def test_websocket(server: Process) -> None:
    """Operations over WebSocket take from the bucket that HTTP takes from, and are refused one by one."""
    headers = {"X_Forwarded_For": "192.0.2.7"}
    async with websocket_client(server, {"GraphQL-Cost": "report"}, **headers) as client:
        costs = []
        for number in range(40):
            await client.subscribe(QUERY, str(number))
            message = await client.receive()
            if message["type"] == "error":
                break
            costs.append(message["payload"]["extensions"]["cost"]["requested"])
            assert (await client.receive())["type"] == "complete"
        assert set(costs) == {COST}
        assert len(costs) == 1000 // (COST + 1)
        [error] = message["payload"]
        assert (message["id"], error["extensions"]["code"]) == ("32", "RATE_LIMITED")
        assert error["extensions"]["retryAfter"] > 1000
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}
    with open_connection(server) as connection:
        response = connection.post(json.dumps({"query": QUERY, "variables": {"x": 1}}).encode(), **headers)
        assert (response.status, response.error_codes) == (429, ["RATE_LIMITED"])
