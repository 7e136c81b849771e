"""Responses that the server writes without ASGI: the exact bytes."""

from graphql_api.http.raw_response import encode_error_response, encode_head, encode_headers


def test_head() -> None:
    """A head is the status line and the headers in order, without the empty line."""
    headers = [(b"content-length", b"2"), (b"vary", b"Accept")]
    assert encode_headers(headers) == b"content-length: 2\r\nvary: Accept\r\n"
    assert encode_head(200, headers) == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nvary: Accept\r\n"
    assert encode_head(431, []) == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"


def test_error_response() -> None:
    """An error has GraphQL's shape, its id, the security headers, and ends the connection."""
    retry_after = (b"retry-after", b"1")
    response = encode_error_response(503, "é", "A_CODE", request_id="r1", headers=[retry_after])
    assert response == (
        b"HTTP/1.1 503 Service Unavailable\r\n"
        b"content-type: application/json\r\n"
        b"content-length: 60\r\n"
        b"connection: close\r\n"
        b"x-request-id: r1\r\n"
        b"x-content-type-options: nosniff\r\n"
        b"x-frame-options: DENY\r\n"
        b"referrer-policy: no-referrer\r\n"
        b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
        b"retry-after: 1\r\n"
        b"\r\n"
        b'{"errors":[{"message":"\xc3\xa9","extensions":{"code":"A_CODE"}}]}'
    )
