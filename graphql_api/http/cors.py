"""CORS headers of responses that the server sends in place of the application."""

from collections.abc import Collection, Sequence

from graphql_api.http.raw_response import Header

EXPOSED_HEADERS = ("ETag", "Retry-After", "Server-Timing", "X-Request-Id")
"""Response headers that pages of other origins may read, besides those that browsers always expose."""


def build_cors_headers(request_headers: Sequence[Header], cors_origins: Collection[str]) -> list[Header]:
    """Return the headers that the CORS middleware adds to the response to a request with these headers."""
    if not cors_origins:
        return []
    headers: list[Header] = [(b"vary", b"Origin")]
    origin = next((value for name, value in request_headers if name == b"origin"), None)
    if origin is None:
        return headers
    allowed = b"*" if "*" in cors_origins else origin if origin.decode("latin-1") in cors_origins else None
    if allowed is not None:
        headers += [
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode()),
        ]
    return headers
