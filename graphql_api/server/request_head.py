"""Heads of HTTP requests, as the parser has read them."""

from collections.abc import Sequence
from typing import NamedTuple

import httptools

from graphql_api.http.errors import HTTPRejection
from graphql_api.http.host import is_valid_host
from graphql_api.http.raw_response import Header, encode_headers

MAX_HEAD_BYTES = 65_536
"""Maximum bytes of a request's line and headers."""
_UPGRADE = b"upgrade"


class RequestHead(NamedTuple):
    """The head of a request. Names of headers are in lower case."""

    method: bytes
    url: bytes
    http_version: str
    headers: Sequence[Header]

    @property
    def is_websocket_handshake(self) -> bool:
        """Return whether this head, which has `Connection: Upgrade`, asks for a WebSocket and for no other protocol."""
        protocols = b",".join([value for name, value in self.headers if name == _UPGRADE])
        is_websocket = protocols.strip().lower() == b"websocket"
        return is_websocket and self.method == b"GET" and self.http_version == "1.1"

    def without_upgrade(self) -> "RequestHead":
        """Return the head of the same request in the protocol that it is sent in."""
        return self._replace(headers=[header for header in self.headers if header[0] != _UPGRADE])

    def encode(self) -> bytes:
        """Return the bytes of this head."""
        line = b"%b %b HTTP/%b\r\n" % (self.method, self.url, self.http_version.encode())
        return line + encode_headers(self.headers) + b"\r\n"


def measure_head(url: bytes, headers: Sequence[Header]) -> int:
    """Return the bytes of a head, without white space that is not part of a value."""
    return len(url) + sum(len(name) + len(value) + len(": \r\n") for name, value in headers)


def build_head_too_large() -> HTTPRejection:
    """Return the rejection of a head that exceeds `MAX_HEAD_BYTES`."""
    return HTTPRejection(431, f"Send at most {MAX_HEAD_BYTES} bytes of address and headers.")


def check_hosts(hosts: Sequence[bytes], http_version: str) -> None:
    """Check the values of a request's Host headers. Only HTTP/1.0 may leave it out.

    https://www.rfc-editor.org/rfc/rfc9112#section-3.2

    Raises:
        HTTPRejection: There is none, more than one, or one that is not valid.
    """
    is_optional = not hosts and http_version == "1.0"
    if not is_optional and not (len(hosts) == 1 and is_valid_host(hosts[0].decode("latin-1").strip())):
        problem = "not valid" if len(hosts) == 1 else f"given {len(hosts)} times" if hosts else "missing"
        message = f"The Host header is {problem}. Send one, for example Host: countries.example.org:8000."
        raise HTTPRejection(400, message)


def create_parser(protocol: object) -> httptools.HttpRequestParser:
    """Return a parser like uvicorn's."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
