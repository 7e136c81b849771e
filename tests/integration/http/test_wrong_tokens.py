"""A client that sends wrong tokens: it waits, the log stays short, and the right token is served meanwhile."""

import json
import select
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import RawConnection, open_connection, request_head
from tests.support.wait import WAIT_TIMEOUT
from tests.support.ws_client import websocket_client

TOKEN = "t0ken-SECRET-t0ken"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://countries.example",
    "ADMIN_TOKEN": TOKEN,
    "DATABASE_URL": "sqlite:///var/countries.db",
}
DELETION = 'mutation { deleteCountry(code: "FR") { code } }'
DELETION_BODY = json.dumps({"query": DELETION}).encode()
WRONG, RIGHT = "Bearer wrong", f"Bearer {TOKEN}"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server in production that fetches nothing."""
    with running_server(tmp_path_factory.mktemp("tokens"), **BUNDLED_SOURCES, **PRODUCTION) as process:
        process.wait_for_log("250 unchanged")  # after its first start it refreshes
        yield process


def send_deletion(connection: RawConnection, authorization: str) -> None:
    """Send the mutation without reading its response."""
    headers = {"Content-Length": str(len(DELETION_BODY)), "Authorization": authorization}
    connection.send(request_head(**headers) + DELETION_BODY)


@pytest.mark.asyncio
async def test_wrong_tokens(server: Process) -> None:
    """Of many wrong tokens, over HTTP, WebSocket and for metrics, one is logged, and a right token overtakes them."""
    with ExitStack() as stack:
        connections = [stack.enter_context(open_connection(server)) for _ in range(9)]
        for _ in range(8):
            assert connections[0].post(DELETION_BODY, Authorization=WRONG).json["data"] is None
        connections[0].send(request_head("GET /metrics", Authorization=WRONG))
        assert connections[0].read_response("GET").status == 401
        async with websocket_client(server.url, {"Authorization": WRONG}) as client:
            await client.subscribe(DELETION)
            error = (await client.receive())["payload"]["errors"][0]
            assert error["extensions"]["code"] == "UNAUTHENTICATED"
        # From the eleventh on they wait: 0.1, 0.2, … 10 s.
        for connection in connections[1:]:
            send_deletion(connection, WRONG)
        waiting = {connection.socket: connection for connection in connections[1:]}
        readable, _, _ = select.select(waiting, [], [], WAIT_TIMEOUT)
        assert waiting[readable[0]].read_response().json["data"] is None
        assert server.get("/readyz").json()["countries"] == 250
        deletion = connections[0].post(DELETION_BODY, Authorization=RIGHT)
        assert deletion.json == {"data": {"deleteCountry": {"code": "FR"}}}
        readable, _, _ = select.select(waiting, [], [], 0)
        assert len(readable) < 7
        lines = [line for line in server.stderr.splitlines() if "wrong token" in line]
        assert [json.loads(line)["client"] for line in lines] == ["127.0.0.1"]


def test_no_guess(server: Process) -> None:
    """A missing token, and a wrong one with a query, which needs none, are no wrong tokens."""
    with open_connection(server) as connection:
        for _ in range(12):
            assert connection.post(DELETION_BODY).json["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
            query = json.dumps({"query": "{ status { stale } }"}).encode()
            assert list(connection.post(query, Authorization=WRONG).json) == ["data"]
    assert "wrong token" not in server.stderr
