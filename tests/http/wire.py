"""Speaking to a real server byte by byte, as no client library would."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPMessage, HTTPResponse
from io import BufferedReader, RawIOBase
from typing import Any, NamedTuple, Self, cast

from tests.cli.running import PATIENCE, Process

QUERY = b'{"query": "{ __typename }"}'
ANSWER = {"data": {"__typename": "Query"}}


class Answered(NamedTuple):
    """An answer as it came."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return what the body says."""
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """Return the codes of the errors, of which the answer consists."""
        assert list(self.json) == ["errors"], self.body
        return [error["extensions"]["code"] for error in self.json["errors"]]


class _Bytes(RawIOBase):
    """What a socket receives; it stays the connection's to close."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        return self._connection.recv_into(buffer)


class _Answers(BufferedReader):
    """All that a server says: what is read ahead of one answer is there for the next."""

    def close(self) -> None:
        """Stay open, though an answer is at its end."""

    def makefile(self, _: str) -> Self:
        """Return what an answer is read from."""
        return self


class Wire:
    """A connection to a server."""

    def __init__(self, connection: socket.socket) -> None:
        """Speak over an open connection."""
        self.socket = connection
        self._answers = _Answers(_Bytes(connection))

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def answer(self, method: str = "POST") -> Answered:
        """Return the next answer."""
        with HTTPResponse(cast("socket.socket", self._answers), method=method) as response:
            response.begin()
            return Answered(response.status, response.headers, response.read())

    def post(self, body: bytes, **headers: str) -> Answered:
        """POST a body to /graphql, and return the answer."""
        self.send(head(**{"Content-Length": str(len(body)), **headers}) + body)
        return self.answer()

    def closed(self) -> bool:
        """Wait until the server has nothing more to say, and tell whether it said nothing."""
        return self.socket.recv(1) == b""


def head(request: str = "POST /graphql", **headers: str) -> bytes:
    """Return a request line and headers; their names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"Host": "here", "Content-Type": "application/json", **named}
    lines = [f"{name}: {value}\r\n" for name, value in sent.items()]
    return f"{request} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1")


@contextmanager
def connected(server: Process) -> Iterator[Wire]:
    """Lend a connection to a server."""
    port = int(server.url.rpartition(":")[2])
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE)) as connection:
        yield Wire(connection)


def is_usable(wire: Wire) -> bool:
    """Tell whether the same connection still answers a query."""
    answered = wire.post(QUERY)
    return (answered.status, answered.json) == (200, ANSWER)
