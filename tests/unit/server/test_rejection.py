"""Rejections by the protocols: their headers, their one request id, and their one line in the log."""

import json
import re
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import QUERY, RawResponse, open_connection, request_head

ORIGIN = "https://app.example"
PROXY = {"X_Forwarded_For": "198.51.100.7"}
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
HANDSHAKE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
KEY = {"Sec_WebSocket_Key": "x3JJHMbDL1EzLkh9GBhXDw=="}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server that waits half a second for a request and allows one origin, with a log in JSON."""
    settings = {"REQUEST_TIMEOUT": "0.5", "CORS_ORIGINS": ORIGIN, "LOG_FORMAT": "json"}
    with running_server(tmp_path_factory.mktemp("rejections"), **BUNDLED_SOURCES, **settings) as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process
        assert "Traceback" not in process.stderr, process.stderr


def with_headers(**headers: str) -> Mapping[str, bytes]:
    """Return requests that the protocols reject, by the status of their rejection, with these headers.

    In a head that does not end, another header follows: the parser holds back the last one.
    """
    return {
        "400": request_head("GET /healthz", Host="a b", **headers),
        "400 in a body": request_head("POST /graphql", Transfer_Encoding="chunked", **headers) + b"1\r\n{\r\nzz\r\n",
        "400 in a line": request_head("GET /healthz", **headers, Accept="*/*")[:-2] + b"Broken\r\n\r\n",
        "400 handshake": request_head("GET /graphql", **HANDSHAKE, **headers),
        "405": request_head("CONNECT countries.example:443", **headers),
        "408 in a head": request_head("GET /healthz", **headers, Accept="*/*")[:-2],
        "408 in a body": request_head("POST /graphql", Content_Length="27", **headers) + QUERY[:9],
        "413": request_head("POST /graphql", Content_Length="1000000", **headers),
        "431": request_head("GET /healthz", **headers, X="x" * 70_000),
        "431 in a head": request_head("GET /healthz", **headers, X="x" * 70_000)[:-4],
    }


CASES = list(with_headers())


def reject(server: Process, case: str, **headers: str) -> RawResponse:
    """Send a request that is rejected, and return the response."""
    with open_connection(server) as connection:
        connection.send(with_headers(**headers)[case])
        response = connection.read_response()
        assert response.status == int(case.partition(" ")[0])
        return response


@pytest.mark.parametrize("case", CASES)
def test_headers(server: Process, case: str) -> None:
    """A rejection has the security headers, a date, one request id, and an error in GraphQL's shape."""
    response = reject(server, case)
    assert {name: response.headers.get_all(name) for name in SECURITY_HEADERS} == {
        name: [value] for name, value in SECURITY_HEADERS.items()
    }
    assert response.error_codes == ["BAD_USER_INPUT"]
    for name in ("X-Request-Id", "Date", "Content-Type", "Content-Length"):
        assert len(response.headers.get_all(name) or ()) == 1
    assert response.headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize("case", CASES)
def test_log(server: Process, case: str) -> None:
    """A rejection is one line of the log, with the id of its response and the client behind the proxy."""
    before = len(server.stderr)
    response = reject(server, case, **PROXY)
    server.wait_for_log(str(response.headers["X-Request-Id"]))
    lines = [json.loads(line) for line in server.stderr[before:].splitlines()]
    assert len(lines) == 1, lines
    fields = {name: lines[0][name] for name in ("level", "request_id", "client", "status")}
    assert fields == {
        "level": "info",
        "request_id": response.headers["X-Request-Id"],
        "client": "198.51.100.7",
        "status": response.status,
    }
    message = response.json["errors"][0]["message"]
    assert lines[0]["message"] == (
        f"Request {fields['request_id']} from 198.51.100.7 is refused, {response.status}: {message}"
    )


@pytest.mark.parametrize("case", [case for case in CASES if case != "400 handshake"])
def test_cors(server: Process, case: str) -> None:
    """A page of an allowed origin can read a rejection; its CORS headers are those of the application."""
    with open_connection(server) as connection:
        expected = connection.post(b"{", Origin=ORIGIN).headers
    response = reject(server, case, Origin=ORIGIN)
    names = ["Access-Control-Allow-Origin", "Access-Control-Expose-Headers"]
    assert [response.headers[name] for name in names] == [expected[name] for name in names]
    assert expected["Access-Control-Allow-Origin"] == ORIGIN
    assert "Origin" in response.headers["Vary"]
    assert response.headers["Access-Control-Allow-Credentials"] is None


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example"])
def test_other_origins(server: Process, case: str, origin: str) -> None:
    """A page of any other origin cannot read a rejection."""
    assert reject(server, case, Origin=origin).headers["Access-Control-Allow-Origin"] is None


def test_id_of_a_running_request(server: Process) -> None:
    """A request that the application has begun to read keeps the id under which it was begun."""
    before = len(server.stderr)
    with ExitStack() as stack:
        connections = [stack.enter_context(open_connection(server)) for _ in range(5)]
        for connection in connections:
            connection.send(with_headers()["408 in a body"])
        ids = {connection.read_response().headers["X-Request-Id"] for connection in connections}
    lines = [json.loads(line) for line in server.stderr[before:].splitlines()]
    assert len(ids) == 5
    assert {line["request_id"] for line in lines} == ids
    assert [line["status"] for line in lines] == [408] * 5


def test_disconnect(server: Process) -> None:
    """A client that disconnects in mid-request is one line, with its address."""
    before = len(server.stderr)
    with open_connection(server) as connection:
        connection.send(request_head("POST /graphql", Content_Length="27", **PROXY) + QUERY[:9])
    server.wait_for_log("did not arrive in full")
    [line] = [json.loads(line) for line in server.stderr[before:].splitlines()]
    assert (line["client"], line["message"]) == (
        "198.51.100.7",
        f"Request {line['request_id']} from 198.51.100.7 did not arrive in full",
    )


@pytest.mark.parametrize("path", ["/graphql", "/other"])
def test_rejected_page(server: Process, path: str) -> None:
    """A handshake that the application rejects is one line too, with the headers of other rejections."""
    before = len(server.stderr)
    with open_connection(server) as connection:
        connection.send(request_head(f"GET {path}", **HANDSHAKE, **KEY, **PROXY, Origin="https://evil.example"))
        response = connection.read_response()
    assert (response.status, response.error_codes) == (403, ["BAD_USER_INPUT"])
    assert {name: response.headers.get_all(name) for name in SECURITY_HEADERS} == {
        name: [value] for name, value in SECURITY_HEADERS.items()
    }
    assert len(response.headers.get_all("X-Request-Id") or ()) == 1
    server.wait_for_log(str(response.headers["X-Request-Id"]))
    [line] = [json.loads(line) for line in server.stderr[before:].splitlines()]
    assert (line["client"], line["status"]) == ("198.51.100.7", 403)
    assert line["request_id"] == response.headers["X-Request-Id"]


def test_rejected_while_starting(tmp_path: Path) -> None:
    """A handshake while there are no data is rejected with 503, in one line."""
    settings = {"DATABASE_URL": "mysql://root@127.0.0.1:1/countries", "LOG_FORMAT": "json"}
    with running_server(tmp_path, **BUNDLED_SOURCES, **settings) as server:
        port = int(server.wait_for_log(r"listening at http://127\.0\.0\.1:(\d+)")[1])
        with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as reader:
            sock.sendall(request_head("GET /graphql", **HANDSHAKE, **KEY, **PROXY))
            head = reader.read()
        request_id = re.search(rb"(?i)x-request-id: ([0-9a-f]{32})\r\n", head)
        assert head.startswith(b"HTTP/1.1 503 ")
        assert request_id is not None
        lines = [json.loads(line) for line in server.stderr.splitlines() if request_id[1].decode() in line]
    assert [(line["client"], line["status"]) for line in lines] == [("198.51.100.7", 503)]


@pytest.mark.slow
def test_rejected_while_stopping(tmp_path: Path) -> None:
    """A request that a stopping server gives up is told so, is readable by its page, and is one line."""
    settings = {"CORS_ORIGINS": "*", "LOG_FORMAT": "json", "REQUEST_TIMEOUT": "1000"}
    with running_server(tmp_path, **BUNDLED_SOURCES, **settings) as server:
        server.wait_for_log(r"250 countries \(0 new")
        before = len(server.stderr)
        with open_connection(server) as connection:
            connection.send(request_head(Content_Length="27", Origin=ORIGIN, **PROXY) + QUERY[:9])
            assert server.query("{ __typename }") == {"data": {"__typename": "Query"}}
            server.send_signal(signal.SIGTERM)
            response = connection.read_response()
        result = server.wait()
    assert (response.status, response.error_codes) == (503, ["INTERNAL_SERVER_ERROR"])
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    lines = [json.loads(line) for line in result.stderr[before:].splitlines()]
    [line] = [line for line in lines if "request_id" in line]
    assert (line["client"], line["status"]) == ("198.51.100.7", 503)
    assert line["request_id"] == response.headers["X-Request-Id"]
