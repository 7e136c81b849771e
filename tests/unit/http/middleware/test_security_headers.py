"""Every response has security headers and a request id, whichever part of the server sends it."""

import re
from collections.abc import Iterator

import pytest

from graphql_api.http.middleware.security_headers import SECURITY_HEADERS
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import QUERY, open_connection, request_head

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "x3JJHMbDL1EzLkh9GBhXDw==",
}
QUERY_HEAD = request_head(Content_Length=str(len(QUERY)))
REQUESTS = {
    "cached query": (QUERY_HEAD + QUERY, 200),
    "query of a page elsewhere": (
        request_head(Content_Length=str(len(QUERY)), Origin="https://a.example") + QUERY,
        200,
    ),
    "rejected query": (request_head(Content_Type="text/plain", Content_Length="0"), 415),
    "image": (request_head("GET /images/summary.png"), 200),
    "no such page": (request_head("GET /nowhere"), 404),
    "no HTTP": (b"garbage\r\n\r\n", 400),
    "late body": (request_head(Content_Length="27"), 408),
    "large head": (request_head(X="x" * 70_000)[:-4], 431),
    "malformed handshake": (request_head("GET /graphql", **HANDSHAKE | {"X": "y" * 9000}), 400),
    "handshake by POST": (request_head("POST /graphql", **HANDSHAKE, Content_Length="0"), 400),
    "old handshake": (request_head("GET /graphql", **HANDSHAKE | {"Sec_WebSocket_Version": "12"}), 400),
    "handshake elsewhere": (request_head("GET /nowhere", **HANDSHAKE), 403),
    "handshake of a page elsewhere": (request_head("GET /graphql", **HANDSHAKE, Origin="https://a.example"), 403),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server that waits half a second for a request."""
    folder = tmp_path_factory.mktemp("server")
    with running_server(folder, **BUNDLED_SOURCES, REQUEST_TIMEOUT="0.5") as process:
        process.wait_for_log("Ctrl-C stops")
        yield process


@pytest.mark.parametrize(("request_", "status"), REQUESTS.values(), ids=REQUESTS)
def test_every_response(server: Process, request_: bytes, status: int) -> None:
    """Each header is there once, and those that forbid content types and frames are strict."""
    with open_connection(server) as connection:
        connection.send(request_)
        response = connection.read_response("GET")
    assert response.status == status
    for name, value in SECURITY_HEADERS:
        assert response.headers.get_all(name.decode()) == [value.decode()]
    [request_id] = response.headers.get_all("X-Request-Id") or []
    assert re.fullmatch(r"[0-9a-f]{32}", request_id)
