"""Refusing what only data can answer as long as there is none: an empty list would look true."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from graphql_api.catalog import Catalog
from graphql_api.errors import DatabaseUnavailable
from graphql_api.http.assets import Asset
from graphql_api.http.negotiation import GRAPHQL_RESPONSE, HTML, JSON, preferred
from graphql_api.http.security import policy_of
from graphql_api.http.templating import fill

_SECONDS = 2
"""After how many to ask again."""
_HEADERS = {"Retry-After": str(_SECONDS), "Cache-Control": "no-store", "Vary": "Accept"}
_TOLD = "The server is starting: its database has not answered yet. Try again."

_STYLE = Asset.ours("landing.css")


class StartingMiddleware:
    """Lets through what needs no data, and everything once data has been loaded."""

    def __init__(self, app: ASGIApp, *, catalog: Catalog) -> None:
        """Wrap `app`."""
        self._app = app
        self._catalog = catalog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._catalog.loaded or scope["type"] == "lifespan" or not _needs_data(scope["path"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(_refuse_graphql(JSON))
        else:
            await _refuse(Request(scope))(scope, receive, send)


def _needs_data(path: str) -> bool:
    return path in ("/", "/graphql") or path.startswith("/images/")


def _refuse(request: Request) -> Response:
    """Return the answer in the form that was asked for."""
    path, is_read = request.url.path, request.method in ("GET", "HEAD")
    offered = (HTML,) if path == "/" else (JSON, GRAPHQL_RESPONSE, HTML)
    wanted = preferred(request, offered)
    if path.startswith("/images/"):
        return PlainTextResponse(f"{_TOLD}\n", 503, _HEADERS)
    if is_read and wanted == HTML:
        page = fill("starting.html", seconds=_SECONDS, style=_STYLE.address)
        return HTMLResponse(page, 503, {**_HEADERS, "Content-Security-Policy": policy_of()})
    return _refuse_graphql(GRAPHQL_RESPONSE if wanted == GRAPHQL_RESPONSE else JSON)


def _refuse_graphql(media_type: str) -> Response:
    error = {"message": _TOLD, "extensions": {"code": DatabaseUnavailable.code}}
    return JSONResponse({"errors": [error]}, 503, _HEADERS, media_type)
