"""Clients that dawdle, vanish or only connect: they are given up in time, and delay nobody."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.running import BUNDLED, Process, serving
from tests.http.wire import ANSWER, QUERY, connected, head, is_usable

pytestmark = pytest.mark.slow

LATE = "The request did not arrive within 0.5 s."
HALVES = {
    "half a line": b"POST /gra",
    "half a header": b"POST /graphql HTTP/1.1\r\nHost: he",
    "no body": head(Content_Length="27"),
    "half a body": head(Content_Length="27") + QUERY[:9],
    "half in pieces": head(Transfer_Encoding="chunked") + b"9\r\n" + QUERY[:9] + b"\r\n",
    "no body for a page": head("GET /", Content_Length="27"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Lend a server that waits half a second for a request."""
    folder = tmp_path_factory.mktemp("slow")
    with serving(folder, **BUNDLED, REQUEST_TIMEOUT="0.5", KEEP_ALIVE="1") as process:
        process.wait_until_said("Ctrl-C stops")
        yield process


def answers(server: Process) -> bool:
    """Tell whether somebody else is served."""
    return server.query("{ __typename }") == ANSWER


@pytest.mark.parametrize("sent", list(HALVES.values())[:5], ids=list(HALVES)[:5])
def test_stalled(server: Process, sent: bytes) -> None:
    """A request that stalls is answered 408 in GraphQL's shape, and the connection is closed."""
    with connected(server) as wire:
        wire.send(sent)
        assert answers(server)
        answered = wire.answer()
        assert (answered.status, answered.codes) == (408, ["BAD_USER_INPUT"])
        assert answered.json["errors"][0]["message"] == LATE
        assert wire.closed()
    assert "Traceback" not in server.said
    assert "ERROR" not in server.said


def test_stalled_body_that_nobody_wants(server: Process) -> None:
    """A request that is answered without its body is closed when that does not come."""
    with connected(server) as wire:
        wire.send(HALVES["no body for a page"])
        assert wire.answer("GET").status == 200
        assert wire.closed()


def test_stalled_after_the_answer(server: Process) -> None:
    """A body that was refused as too large, and stalls, is not waited for."""
    with connected(server) as wire:
        wire.send(head(Content_Length="1000000") + b"x")
        assert wire.answer().status == 413
        assert wire.closed()


@pytest.mark.parametrize("drop", [b"", b"\r\n"])
def test_silent(server: Process, drop: bytes) -> None:
    """A connection on which nothing comes, or nothing but empty lines, is closed without a word."""
    with connected(server) as wire:
        wire.send(drop)
        assert wire.closed()


def test_idle(server: Process) -> None:
    """A connection that asks no more is closed after KEEP_ALIVE, though empty lines come."""
    with connected(server) as wire:
        assert is_usable(wire)
        assert is_usable(wire)
        wire.send(b"\r\n")
        assert wire.closed()


def test_drips(server: Process) -> None:
    """Sending a byte now and then does not put the deadline off."""
    with connected(server) as wire:
        wire.socket.settimeout(0.1)
        wire.send(head(Content_Length="1000"))
        received = b""
        for _ in range(100):
            wire.send(b"x")
            try:
                received = wire.socket.recv(4096)
                break
            except TimeoutError:
                continue
    assert received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_200_half_open(server: Process) -> None:
    """Two hundred connections that begin a request and stop delay nobody, and are gone in time."""
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(server)) for _ in range(200)]
        for number, wire in enumerate(wires):
            wire.send(list(HALVES.values())[number % 5])
        assert all(answers(server) for _ in range(10))
        assert {wire.answer().status for wire in wires} == {408}
        assert all(wire.closed() for wire in wires)
    assert "Traceback" not in server.said


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("reset", [False, True])
def test_gone(server: Process, sent: bytes, reset: bool) -> None:
    """A client that leaves in mid-request, politely or not, leaves no error in the log."""
    with connected(server) as wire:
        wire.send(sent)
        if reset:
            linger = b"\1\0\0\0\0\0\0\0"
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert answers(server)
    assert "ERROR" not in server.said
    assert "Traceback" not in server.said


def test_gone_is_told_in_one_line(tmp_path: Path) -> None:
    """Of a request that did not arrive in full, the log has one line with its id."""
    with serving(tmp_path, **BUNDLED) as server:
        with connected(server) as wire:
            wire.send(HALVES["half a body"])
        server.wait_until_said("did not arrive in full")
        said = [line for line in server.said.splitlines() if "Request" in line]
    assert [re.sub("[0-9a-f]{32}", "ID", line[9:]) for line in said] == [
        "INFO    Request ID did not arrive in full"
    ]


def test_answer_nobody_reads(server: Process) -> None:
    """Who asks for much and reads nothing keeps nobody else from being served."""
    everything = json.dumps(
        {"query": "{ countries { edges { cursor node { id name } } } }"}
    ).encode()
    with connected(server) as wire:
        wire.send((head(Content_Length=str(len(everything))) + everything) * 100)
        assert all(answers(server) for _ in range(10))
    assert "Traceback" not in server.said


def test_pipelined(server: Process) -> None:
    """Requests that are sent without waiting are answered in their order."""
    with connected(server) as wire:
        wire.send((head(Content_Length=str(len(QUERY))) + QUERY) * 3 + head("GET /healthz"))
        assert [wire.answer().json for _ in range(3)] == [ANSWER] * 3
        assert wire.answer("GET").json == {"status": "ok"}


def test_no_more_connections_than_allowed(tmp_path: Path) -> None:
    """Beyond MAX_CONNECTIONS, the connection that has been idle longest makes room."""
    with serving(tmp_path, **BUNDLED, MAX_CONNECTIONS="3") as server, ExitStack() as stack:
        wires = [stack.enter_context(connected(server)) for _ in range(3)]
        for wire in wires:
            assert is_usable(wire)
        assert is_usable(wires[0])
        fourth = stack.enter_context(connected(server))
        assert is_usable(fourth)
        assert wires[1].closed()
        assert is_usable(wires[2])
        assert is_usable(wires[0])


def test_end_does_not_wait_for_half_a_request(tmp_path: Path) -> None:
    """Whoever has sent half a request, or nothing, does not hold up the end of the server."""
    with serving(tmp_path, **BUNDLED, REQUEST_TIMEOUT="1000") as server, ExitStack() as stack:
        server.wait_until_said("Ctrl-C stops")
        wires = [stack.enter_context(connected(server)) for _ in range(5)]
        for wire, sent in zip(wires, [b"", *HALVES.values()], strict=False):
            wire.send(sent)
        assert answers(server)
        server.send(signal.SIGTERM)
        told = [wire.answer().status for wire in wires[3:]]
        assert [wire.closed() for wire in wires] == [True] * 5
        ended = server.wait()
    assert (told, ended.code) == ([503, 503], 0)
    # What uvicorn says when it has waited as long as it may.
    assert "timeout graceful shutdown exceeded" not in ended.stderr
