"""Cross-origin requests: which pages of other origins may send them, and the headers that tell browsers so."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from graphql_api.http.forwarded import get_host
from graphql_api.http.raw_response import Header
from graphql_api.http.request_log import truncate

EXPOSED_HEADERS = ("ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "Server-Timing", "X-Request-Id")
"""Response headers that pages of other origins may read, besides those that browsers always expose."""

_LOOPBACK_ORIGIN = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class CORSPolicy:
    """The pages of other origins that may send requests, read the responses and connect by WebSocket."""

    origins: Collection[str]
    """`*` allows all."""
    allows_loopback: bool
    """True if pages of localhost, 127.0.0.1 and ::1 may too, on every port."""
    own_origin: str = ""
    """The origin of PUBLIC_URL. Empty if there is none."""

    def allows(self, origin: str) -> bool:
        """Return whether the pages of an origin may."""
        return (
            "*" in self.origins
            or origin in self.origins
            or (self.allows_loopback and _LOOPBACK_ORIGIN.fullmatch(origin) is not None)
        )

    def allows_connection(self, connection: HTTPConnection) -> bool:
        """Return whether a client is no browser, or its page is allowed or of the server's own origin."""
        origin = connection.headers.get("Origin")
        if origin is None or origin == self.own_origin or self.allows(origin):
            return True
        return origin.partition("://")[2].lower() == get_host(connection).lower() != ""

    def build_headers(self, request_headers: Sequence[Header]) -> list[Header]:
        """Return the headers that the CORS middleware adds to the response to a request with these headers."""
        headers: list[Header] = [(b"vary", b"Origin")]
        origin = next((value for name, value in request_headers if name == b"origin"), None)
        if origin is not None and self.allows(origin.decode("latin-1")):
            headers += [
                (b"access-control-allow-origin", b"*" if "*" in self.origins else origin),
                (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode()),
            ]
        return headers


def describe_blocked_page(origin: str) -> str:
    """Return why pages of an origin may not send requests, and which setting allows it."""
    return f"Pages of {truncate(origin)} may not send requests here; CORS_ORIGINS names the origins whose pages may."
