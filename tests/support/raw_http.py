"""HTTP on a raw socket: requests that no client library would send."""

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
    """A response as it came."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return the body, parsed."""
        return json.loads(self.body)

    @property
    def error_codes(self) -> list[str]:
        """Return the codes of the errors; the body must hold nothing else."""
        assert list(self.json) == ["errors"], self.body
        return [error["extensions"]["code"] for error in self.json["errors"]]


class _PersistentReader(BufferedReader):
    """Bytes received and not read yet. They outlive the response that was read before them."""

    def close(self) -> None:
        """Do nothing: the next response is read from the same buffer."""


@dataclass(frozen=True)
class RawConnection:
    """A raw connection to a server."""

    socket: socket.socket
    _reader: _PersistentReader

    def send(self, data: bytes) -> None:
        """Send bytes unchanged."""
        self.socket.sendall(data)

    def read_response(self, method: str = "POST") -> RawResponse:
        """Return the next response."""
        with HTTPResponse(self.socket, method=method) as response:
            response.fp.close()
            response.fp = self._reader
            response.begin()
            return RawResponse(response.status, response.headers, response.read())

    def post(self, body: bytes, **headers: str) -> RawResponse:
        """POST a body to /graphql, and return the response."""
        self.send(request_head(**{"Content-Length": str(len(body)), **headers}) + body)
        return self.read_response()

    def is_closed(self) -> bool:
        """Wait for the next byte or the server's close, and return whether it is the close."""
        return self._reader.read(1) == b""


def request_head(request: str = "POST /graphql", **headers: str) -> bytes:
    """Return a request line and headers; header names are written with underscores."""
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    all_headers = {"Host": "localhost", "Content-Type": "application/json", **renamed}
    lines = [f"{name}: {value}\r\n" for name, value in all_headers.items()]
    return f"{request} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1")


@contextmanager
def open_connection(server: Process, *, source: str = "127.0.0.1") -> Iterator[RawConnection]:
    """Return a connection to a server, from an address of this machine."""
    address, source_address = ("127.0.0.1", server.port), (source, 0)
    with (
        closing(socket.create_connection(address, WAIT_TIMEOUT, source_address)) as sock,
        closing(sock.makefile("rb", buffering=0)) as reader,
    ):
        yield RawConnection(sock, _PersistentReader(reader))


def is_usable(connection: RawConnection) -> bool:
    """Return whether a connection still serves a query."""
    response = connection.post(QUERY)
    return (response.status, response.json) == (200, TYPENAME_RESPONSE)
