"""Clients that stall, disconnect or only connect: they are closed in time and delay no others."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import QUERY, TYPENAME_RESPONSE, is_usable, open_connection, request_head

pytestmark = pytest.mark.slow

TIMEOUT_MESSAGE = "The request did not arrive within 0.5 s."
PARTIAL_REQUESTS = {
    "half a line": b"POST /gra",
    "half a header": b"POST /graphql HTTP/1.1\r\nHost: he",
    "no body": request_head(Content_Length="27"),
    "half a body": request_head(Content_Length="27") + QUERY[:9],
    "half in pieces": request_head(Transfer_Encoding="chunked") + b"9\r\n" + QUERY[:9] + b"\r\n",
    "no body for a page": request_head("GET /", Content_Length="27"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server that waits half a second for a request."""
    folder = tmp_path_factory.mktemp("slow")
    with running_server(folder, **BUNDLED_SOURCES, REQUEST_TIMEOUT="0.5", KEEP_ALIVE="1") as process:
        process.wait_for_log("Ctrl-C stops")
        yield process


def is_serving(server: Process) -> bool:
    """Return whether another client is served."""
    return server.query("{ __typename }") == TYPENAME_RESPONSE


@pytest.mark.parametrize("sent", list(PARTIAL_REQUESTS.values())[:5], ids=list(PARTIAL_REQUESTS)[:5])
def test_stalled(server: Process, sent: bytes) -> None:
    """A stalled request gets a 408 in GraphQL's shape, and the connection is closed."""
    with open_connection(server) as connection:
        connection.send(sent)
        assert is_serving(server)
        response = connection.read_response()
        assert (response.status, response.error_codes) == (408, ["BAD_USER_INPUT"])
        assert response.json["errors"][0]["message"] == TIMEOUT_MESSAGE
        assert connection.is_closed()
    assert "Traceback" not in server.stderr
    assert "ERROR" not in server.stderr


def test_stalled_body_that_nobody_wants(server: Process) -> None:
    """A request that gets its response before its body is closed if the body never comes."""
    with open_connection(server) as connection:
        connection.send(PARTIAL_REQUESTS["no body for a page"])
        assert connection.read_response("GET").status == 200
        assert connection.is_closed()


def test_stalled_after_the_answer(server: Process) -> None:
    """The server does not wait for a stalled body that it rejected as too large."""
    with open_connection(server) as connection:
        connection.send(request_head(Content_Length="1000000") + b"x")
        assert connection.read_response().status == 413
        assert connection.is_closed()


@pytest.mark.parametrize("drop", [b"", b"\r\n"])
def test_silent(server: Process, drop: bytes) -> None:
    """A connection that sends nothing, or only empty lines, is closed without a response."""
    with open_connection(server) as connection:
        connection.send(drop)
        assert connection.is_closed()


def test_idle(server: Process) -> None:
    """An idle connection is closed after KEEP_ALIVE, even if it sends empty lines."""
    with open_connection(server) as connection:
        assert is_usable(connection)
        assert is_usable(connection)
        connection.send(b"\r\n")
        assert connection.is_closed()


def test_drips(server: Process) -> None:
    """Sending a byte now and then does not extend the deadline."""
    with open_connection(server) as connection:
        connection.socket.settimeout(0.1)
        connection.send(request_head(Content_Length="1000"))
        received = b""
        for _ in range(100):
            connection.send(b"x")
            try:
                received = connection.socket.recv(4096)
                break
            except TimeoutError:
                continue
    assert received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_200_half_open(server: Process) -> None:
    """Two hundred half-open requests delay no others, and are closed in time."""
    with ExitStack() as stack:
        connections = [stack.enter_context(open_connection(server)) for _ in range(200)]
        for number, connection in enumerate(connections):
            connection.send(list(PARTIAL_REQUESTS.values())[number % 5])
        assert all(is_serving(server) for _ in range(10))
        assert {connection.read_response().status for connection in connections} == {408}
        assert all(connection.is_closed() for connection in connections)
    assert "Traceback" not in server.stderr


@pytest.mark.parametrize("sent", PARTIAL_REQUESTS.values(), ids=PARTIAL_REQUESTS)
@pytest.mark.parametrize("reset", [False, True])
def test_gone(server: Process, sent: bytes, reset: bool) -> None:
    """A client that disconnects in mid-request, by FIN or reset, leaves no error in the log."""
    with open_connection(server) as connection:
        connection.send(sent)
        if reset:
            linger = b"\1\0\0\0\0\0\0\0"
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert is_serving(server)
    assert "ERROR" not in server.stderr
    assert "Traceback" not in server.stderr


def test_gone_is_told_in_one_line(tmp_path: Path) -> None:
    """A request that did not arrive in full is one log line with its id."""
    with running_server(tmp_path, **BUNDLED_SOURCES) as server:
        with open_connection(server) as connection:
            connection.send(PARTIAL_REQUESTS["half a body"])
        server.wait_for_log("did not arrive in full")
        log_lines = [line for line in server.stderr.splitlines() if "Request" in line]
    assert [re.sub("[0-9a-f]{32}", "ID", line[9:]) for line in log_lines] == [
        "INFO    Request ID from 127.0.0.1 did not arrive in full"
    ]


def test_answer_nobody_reads(server: Process) -> None:
    """A client that requests much and reads nothing does not delay others."""
    body = json.dumps({"query": "{ countries { edges { cursor node { id name } } } }"}).encode()
    with open_connection(server) as connection:
        connection.send((request_head(Content_Length=str(len(body))) + body) * 100)
        assert all(is_serving(server) for _ in range(10))
    assert "Traceback" not in server.stderr


def test_pipelined(server: Process) -> None:
    """Pipelined requests get their responses in order."""
    with open_connection(server) as connection:
        connection.send((request_head(Content_Length=str(len(QUERY))) + QUERY) * 3 + request_head("GET /healthz"))
        assert [connection.read_response().json for _ in range(3)] == [TYPENAME_RESPONSE] * 3
        assert connection.read_response("GET").json == {"status": "ok"}


def test_no_more_connections_than_allowed(tmp_path: Path) -> None:
    """Beyond MAX_CONNECTIONS, the connection that has been idle longest is closed."""
    with running_server(tmp_path, **BUNDLED_SOURCES, MAX_CONNECTIONS="3") as server, ExitStack() as stack:
        connections = [stack.enter_context(open_connection(server)) for _ in range(3)]
        for connection in connections:
            assert is_usable(connection)
        assert is_usable(connections[0])
        fourth = stack.enter_context(open_connection(server))
        assert is_usable(fourth)
        assert connections[1].is_closed()
        assert is_usable(connections[2])
        assert is_usable(connections[0])


def test_end_does_not_wait_for_half_a_request(tmp_path: Path) -> None:
    """Half a request, or a silent connection, does not delay the shutdown."""
    with running_server(tmp_path, **BUNDLED_SOURCES, REQUEST_TIMEOUT="1000") as server, ExitStack() as stack:
        server.wait_for_log("Ctrl-C stops")
        connections = [stack.enter_context(open_connection(server)) for _ in range(5)]
        for connection, request in zip(connections, [b"", *PARTIAL_REQUESTS.values()], strict=False):
            connection.send(request)
        assert is_serving(server)
        server.send_signal(signal.SIGTERM)
        statuses = [connection.read_response().status for connection in connections[3:]]
        assert [connection.is_closed() for connection in connections] == [True] * 5
        result = server.wait()
    assert (statuses, result.exit_code) == ([503, 503], 0)
    # What uvicorn says when it has waited as long as it may.
    assert "timeout graceful shutdown exceeded" not in result.stderr
