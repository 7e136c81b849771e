"""Readiness: 503 for requests that need data, until there is some.

An empty list would look like a valid response.
"""

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from graphql_api.catalog import Catalog
from graphql_api.errors import DatabaseUnavailable, graphql_error_body
from graphql_api.http.content_negotiation import GRAPHQL_RESPONSE, HTML, JSON, negotiate_response_type
from graphql_api.http.errors import get_client, log_rejection
from graphql_api.http.graphql.request import GRAPHQL_PATHS
from graphql_api.http.middleware.security_headers import build_csp
from graphql_api.http.site.static_files import relative_root
from graphql_api.http.site.templates import render_template

_RETRY_AFTER = 2
"""Seconds after which clients should retry, and after which the page reloads itself."""
_HEADERS = {"Retry-After": str(_RETRY_AFTER), "Cache-Control": "no-store", "Vary": "Accept"}
_MESSAGE = "The server is starting: its database has not answered yet. Try again."

_DATA_PREFIXES = ("/images/", "/countries")
"""Starts of the other paths at which there is data."""


class ReadinessMiddleware:
    """Rejects requests that need data until the catalog has loaded it."""

    def __init__(self, app: ASGIApp, *, catalog: Catalog) -> None:
        self._app = app
        self._catalog = catalog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket handshake."""
        path = scope.get("path", "")  # a lifespan has none
        needs_data = path in ("/", *GRAPHQL_PATHS) or path.startswith(_DATA_PREFIXES)
        if self._catalog.is_loaded or not needs_data:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            log_rejection(scope["state"]["request_id"], get_client(scope), 503, _MESSAGE)
            response = _build_graphql_rejection(JSON)
            await WebSocket(scope, receive, send).send_denial_response(response)
        else:
            await _build_rejection(Request(scope))(scope, receive, send)


def _build_rejection(request: Request) -> Response:
    """Return the 503 in the media type that the client prefers."""
    path, is_read = request.url.path, request.method in ("GET", "HEAD")
    offered = (HTML,) if path == "/" else (JSON, GRAPHQL_RESPONSE, HTML)
    media_type = negotiate_response_type(request, offered)
    if path.startswith("/images/"):
        return PlainTextResponse(f"{_MESSAGE}\n", 503, _HEADERS)
    if is_read and media_type == HTML:
        page = render_template("starting.html", root=relative_root(path), retry_after=_RETRY_AFTER)
        headers = {**_HEADERS, "Content-Security-Policy": build_csp()}
        return HTMLResponse(page, 503, headers)
    return _build_graphql_rejection(GRAPHQL_RESPONSE if media_type == GRAPHQL_RESPONSE else JSON)


def _build_graphql_rejection(media_type: str) -> Response:
    body = graphql_error_body(_MESSAGE, DatabaseUnavailable.code)
    return JSONResponse(body, 503, _HEADERS, media_type)
