"""WebSocket bytes: handshakes and frames that no client sends, and clients that never read."""

import re
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import TYPENAME_RESPONSE, RawConnection, open_connection

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
INIT = b'{"type": "connection_init"}'
ACK = b'{"type":"connection_ack"}'
HANDSHAKE = {
    "Host": "localhost",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
    "Sec-WebSocket-Protocol": "graphql-transport-ws",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server of the bundled data, and check its log at the end."""
    with running_server(tmp_path_factory.mktemp("sockets"), **BUNDLED_SOURCES) as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process
        assert "Traceback" not in process.stderr, process.stderr
        assert "ERROR" not in process.stderr, process.stderr


def handshake(start: str = "GET /graphql HTTP/1.1", **changes: str | None) -> bytes:
    """Return a handshake with these headers replaced, or left out if None."""
    overrides = {name.replace("_", "-"): value for name, value in changes.items()}
    headers = {name: value for name, value in (HANDSHAKE | overrides).items() if value is not None}
    lines = [start, *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def frame(
    payload: bytes = b"", opcode: int = TEXT, *, final: bool = True, reserved: int = 0, masked: bool = True
) -> bytes:
    """Return a client's frame, masked by zeros."""
    first = final << 7 | reserved << 4 | opcode
    size, mask = len(payload), masked << 7
    if size < 126:
        header = struct.pack("!BB", first, mask | size)
    elif size < 65536:
        header = struct.pack("!BBH", first, mask | 126, size)
    else:
        header = struct.pack("!BBQ", first, mask | 127, size)
    return header + (bytes(4) if masked else b"") + payload


def read_bytes(connection: RawConnection, size: int) -> bytes:
    """Return the next `count` bytes, or fewer at the end."""
    return connection._reader.read(size)


def read_frame(connection: RawConnection) -> tuple[int, bytes]:
    """Return opcode and payload of the server's next frame; (0, b"") at the end."""
    header = read_bytes(connection, 2)
    if len(header) < 2:
        return 0, b""
    size = header[1]
    if size == 126:
        (size,) = struct.unpack("!H", read_bytes(connection, 2))
    return header[0] & 15, read_bytes(connection, size)


def open_websocket(connection: RawConnection) -> None:
    """Open a WebSocket and send connection_init."""
    connection.send(handshake())
    assert connection._reader.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
    while connection._reader.readline() != b"\r\n":
        pass
    connection.send(frame(INIT))
    assert read_frame(connection) == (TEXT, ACK)


def read_close_code(connection: RawConnection) -> int:
    """Return the close code of the server; 0 if it closes without one."""
    opcode, payload = read_frame(connection)
    if opcode == CLOSE:
        (code,) = struct.unpack("!H", payload[:2])
        assert read_frame(connection) == (0, b"")
        return int(code)
    assert opcode == 0
    return 0


def is_serving(server: Process) -> bool:
    """Return whether the server responds to another client."""
    return server.query("{ __typename }") == TYPENAME_RESPONSE


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (handshake(Sec_WebSocket_Version="12"), 400),
        (handshake(Sec_WebSocket_Version=None), 400),
        (handshake(Sec_WebSocket_Key=None), 400),
        (handshake(Sec_WebSocket_Key="short"), 400),
        (handshake(Sec_WebSocket_Protocol=", ,"), 400),
        (handshake(**{f"X_{number}": "x" for number in range(200)}), 400),
        (handshake(X="y" * 9000), 400),
        (handshake("GET /" + "x" * 9000 + " HTTP/1.1"), 400),
        (handshake(X="\xff\xfe"), 101),
        (handshake(Connection="keep-alive, Upgrade"), 101),
        (handshake(Upgrade="WebSocket"), 101),
        (handshake("GET /graphql?query={a} HTTP/1.1"), 101),
        (handshake("GET /%ff%00 HTTP/1.1"), 403),
        # Not an upgrade to WebSocket alone: a plain HTTP request, of which this is the status.
        (handshake("POST /graphql HTTP/1.1", Content_Length="0"), 415),
        (handshake("GET /graphql HTTP/1.0"), 400),
        (handshake(Upgrade="h2c, websocket"), 400),
        (handshake(Upgrade="h2c"), 400),
        (handshake(Connection="close"), 400),
    ],
)
def test_handshakes(server: Process, sent: bytes, status: int) -> None:
    """A malformed handshake gets an HTTP response with the status that fits."""
    with open_connection(server) as connection:
        connection.send(sent)
        line = connection._reader.readline()
        assert line.startswith(f"HTTP/1.1 {status} ".encode()), line
    assert is_serving(server)


FRAMES: dict[str, tuple[bytes, int]] = {
    "not masked": (frame(INIT, masked=False), 1002),
    "a reserved bit": (frame(INIT, reserved=4), 1002),
    "an unknown opcode": (frame(opcode=3), 1002),
    "a long ping": (frame(b"x" * 126, PING), 1002),
    "a ping in pieces": (frame(opcode=PING, final=False), 1002),
    "goes on with nothing": (frame(opcode=0), 1002),
    "begins anew in the middle": (frame(b"x", final=False) + frame(b"x"), 1002),
    "no UTF-8": (frame(b"\xff\xfe"), 1007),
    "no UTF-8 in pieces": (frame(b"\xc3", final=False) + frame(b"\x28", 0), 1007),
    "an overlong form": (frame(b"\xc0\x80"), 1007),
    "too large": (frame(b"x" * 100_001), 1009),
    "too large in pieces": (frame(b"x" * 60_000, final=False) + frame(b"x" * 60_000, 0, final=False), 1009),
    "announced too large": (struct.pack("!BBQ", 129, 255, 2**62), 1009),
    "announced beyond all": (struct.pack("!BBQ", 129, 255, 2**64 - 1), 1009),
    "a thousand empty pieces": (frame(b"x", final=False) + frame(opcode=0, final=False) * 2000, 1009),
    "a farewell": (frame(struct.pack("!H", 1000), CLOSE), 1000),
    "a farewell without a word": (frame(opcode=CLOSE), 1005),
    "a farewell of one byte": (frame(b"x", CLOSE), 1002),
    "a farewell by no code": (frame(struct.pack("!H", 999), CLOSE), 1002),
    "a farewell without UTF-8": (frame(struct.pack("!H", 1000) + b"\xff", CLOSE), 1007),
    "more after the farewell": (frame(struct.pack("!H", 1000), CLOSE) + frame(INIT) * 9 + b"\xff" * 99, 1000),
}


@pytest.mark.parametrize(("sent", "code"), FRAMES.values(), ids=FRAMES)
def test_frames(server: Process, sent: bytes, code: int) -> None:
    """Forbidden frames close the connection with the code of RFC 6455."""
    with open_connection(server) as connection:
        open_websocket(connection)
        connection.send(sent)
        if code == 1005:
            assert read_frame(connection) == (CLOSE, b"")
        else:
            assert read_close_code(connection) == code
    assert is_serving(server)


def test_fragments(server: Process) -> None:
    """A message in fragments, with pings between them, is one message."""
    with open_connection(server) as connection:
        open_websocket(connection)
        text = b'{"type": "ping"}'
        connection.send(frame(text[:3], final=False) + frame(b"now", PING) + frame(opcode=PONG))
        connection.send(frame(text[3:9], 0, final=False) + frame(text[9:], 0))
        assert read_frame(connection) == (PONG, b"now")
        assert read_frame(connection) == (TEXT, b'{"type":"pong"}')


@pytest.mark.parametrize("farewell", [b"", frame(INIT)[:-5], frame(b"x", final=False)])
def test_disconnect(server: Process, farewell: bytes) -> None:
    """A client that disconnects without a close frame, or within a frame, leaves no error."""
    with open_connection(server) as connection:
        open_websocket(connection)
        connection.send(frame(b'{"type":"subscribe","id":"1","payload":{"query":"{__typename}"}}'))
        connection.send(farewell)
    assert is_serving(server)


@pytest.mark.slow
@pytest.mark.parametrize(
    "message",
    [
        frame(b"x" * 125, PING),
        frame(
            b'{"type":"subscribe","id":"1","payload":{"query":"{countries{nodes{id name code '
            b'alpha3 capital region subregion flagUrl}}}"}}'
        ),
    ],
    ids=["pings", "queries"],
)
def test_never_reads(tmp_path: Path, message: bytes) -> None:
    """A client that sends and never reads costs little memory, and does not delay the shutdown."""
    with running_server(tmp_path, **BUNDLED_SOURCES) as process:
        process.wait_for_log(r"250 countries \(0 new")
        with open_connection(process) as connection:
            open_websocket(connection)
            assert is_serving(process)
            before = resident_memory(process)
            connection.socket.setblocking(False)
            deadline = time.monotonic() + 3
            sent_bytes = 0
            while time.monotonic() < deadline and sent_bytes < 60_000_000:
                with suppress(BlockingIOError):
                    sent_bytes += connection.socket.send(message * 500)
            assert is_serving(process)
            assert resident_memory(process) - before < 40_000_000
            result = process.stop(signal.SIGTERM)
    assert result.exit_code == 0
    assert "Traceback" not in result.stderr
    assert "ERROR" not in result.stderr


def resident_memory(process: Process) -> int:
    """Return the resident memory of a process in bytes."""
    pid = process._process.pid
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("utf-8"))
    assert match is not None
    return int(match[1]) * 1024
