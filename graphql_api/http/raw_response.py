"""HTTP/1.1 responses as bytes, for what the server sends without ASGI."""

from collections.abc import Iterable
from http import HTTPStatus

import orjson

from graphql_api.errors import graphql_error_body
from graphql_api.http.middleware.request_id import REQUEST_ID_HEADER
from graphql_api.http.middleware.security_headers import SECURITY_HEADERS

Header = tuple[bytes, bytes]
"""Name, in lower case, and value."""

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def encode_headers(headers: Iterable[Header]) -> bytes:
    """Return header lines."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def encode_head(status: int, headers: Iterable[Header]) -> bytes:
    """Return status line and headers, without the empty line that ends them."""
    return _STATUS_LINES[status] + encode_headers(headers)


def encode_error_response(
    status: int, message: str, code: str, *, request_id: str, headers: Iterable[Header] = ()
) -> bytes:
    """Return a whole response with one GraphQL error, after which the connection is closed."""
    body = orjson.dumps(graphql_error_body(message, code))
    all_headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        (REQUEST_ID_HEADER, request_id.encode()),
        *SECURITY_HEADERS,
        *headers,
    ]
    return encode_head(status, all_headers) + b"\r\n" + body
