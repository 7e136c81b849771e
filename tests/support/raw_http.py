"""Speaking to a real server byte by byte, as no client library would."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from io import BufferedReader
from typing import Any, NamedTuple

from tests.support.processes import Process
from tests.support.wait import WAIT_TIMEOUT

QUERY = b'{"query": "{ __typename }"}'
TYPENAME_RESPONSE = {"data": {"__typename": "Query"}}


class RawResponse(NamedTuple):
    """An answer as it came."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return what the body says."""
        return json.loads(self.body)

    @property
    def error_codes(self) -> list[str]:
        """Return the codes of the errors, of which the answer consists."""
        assert list(self.json) == ["errors"], self.body
        return [error["extensions"]["code"] for error in self.json["errors"]]


class _PersistentReader(BufferedReader):
    """What has come and not been read yet; it outlives the answers that are read from it."""

    def close(self) -> None:
        """Stay open."""


@dataclass(frozen=True)
class RawConnection:
    """A connection to a server."""

    socket: socket.socket
    _reader: _PersistentReader

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def read_response(self, method: str = "POST") -> RawResponse:
        """Return the next answer."""
        with HTTPResponse(self.socket, method=method) as response:
            response.fp.close()
            response.fp = self._reader
            response.begin()
            return RawResponse(response.status, response.headers, response.read())

    def post(self, body: bytes, **headers: str) -> RawResponse:
        """POST a body to /graphql, and return the answer."""
        self.send(request_head(**{"Content-Length": str(len(body)), **headers}) + body)
        return self.read_response()

    def is_closed(self) -> bool:
        """Wait until the server has nothing more to say, and tell whether it said nothing."""
        return self._reader.read(1) == b""


def request_head(request: str = "POST /graphql", **headers: str) -> bytes:
    """Return a request line and headers; their names are written with underscores."""
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    all_headers = {"Host": "here", "Content-Type": "application/json", **renamed}
    lines = [f"{name}: {value}\r\n" for name, value in all_headers.items()]
    return f"{request} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1")


@contextmanager
def open_connection(server: Process) -> Iterator[RawConnection]:
    """Lend a connection to a server."""
    with (
        closing(socket.create_connection(("127.0.0.1", server.port), WAIT_TIMEOUT)) as sock,
        closing(sock.makefile("rb", buffering=0)) as reader,
    ):
        yield RawConnection(sock, _PersistentReader(reader))


def is_usable(connection: RawConnection) -> bool:
    """Tell whether the same connection still answers a query."""
    response = connection.post(QUERY)
    return (response.status, response.json) == (200, TYPENAME_RESPONSE)
