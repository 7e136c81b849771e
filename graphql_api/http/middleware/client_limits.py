"""Limits of one client: concurrent requests and WebSockets, by the address that trusted proxies forward."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from graphql_api.errors import InvalidInput, graphql_error_body
from graphql_api.http.client_counts import ConcurrencyLimits
from graphql_api.http.errors import HTTPRejection, get_client, log_rejection


class ClientLimitsMiddleware:
    """Rejects the requests and the WebSockets of a client that has too many of them.

    The protocol cannot count clients behind a proxy, whose connections serve all of them.
    """

    def __init__(self, app: ASGIApp, *, request_limits: ConcurrencyLimits, stream_limits: ConcurrencyLimits) -> None:
        self._app = app
        self._limits = {"http": (request_limits, "requests at a time"), "websocket": (stream_limits, "WebSockets")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket."""
        if scope["type"] not in self._limits:
            await self._app(scope, receive, send)
            return
        limits, things = self._limits[scope["type"]]
        client = get_client(scope)
        try:
            limits.add(client, things)
        except HTTPRejection as rejection:
            await _reject(rejection, scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            limits.remove(client)


async def _reject(rejection: HTTPRejection, scope: Scope, receive: Receive, send: Send) -> None:
    log_rejection(scope["state"]["request_id"], get_client(scope), rejection.status, str(rejection))
    body = graphql_error_body(str(rejection), InvalidInput.code)
    response = JSONResponse(body, rejection.status, {**rejection.headers, "Cache-Control": "no-store"})
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)
