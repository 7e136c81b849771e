"""Limits of one client: concurrent requests and WebSockets, by the address that trusted proxies forward."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from graphql_api.errors import InvalidInput, graphql_error_body
from graphql_api.http.client_counts import ClientCounts
from graphql_api.http.errors import build_too_many, get_client, log_rejection


class ClientLimitsMiddleware:
    """Rejects the requests and the WebSockets of a client that has too many of them.

    The protocol cannot count clients behind a proxy, whose connections serve all of them.
    """

    def __init__(self, app: ASGIApp, *, max_connections_per_client: int) -> None:
        """Allow as many requests, and half as many WebSockets, so that requests keep the other half."""
        self._app = app
        self._counts = {
            "http": ClientCounts(max_connections_per_client),
            "websocket": ClientCounts(max(max_connections_per_client // 2, 1)),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket."""
        counts, client = self._counts.get(scope["type"]), get_client(scope)
        if counts is None:
            await self._app(scope, receive, send)
            return
        try:
            if counts.add(client):
                await self._app(scope, receive, send)
            else:
                await _reject(counts.maximum, scope, receive, send)
        finally:
            counts.remove(client)


async def _reject(maximum: int, scope: Scope, receive: Receive, send: Send) -> None:
    is_websocket = scope["type"] == "websocket"
    rejection = build_too_many("WebSockets" if is_websocket else "requests at a time", maximum)
    log_rejection(scope["state"]["request_id"], get_client(scope), rejection.status, str(rejection))
    body = graphql_error_body(str(rejection), InvalidInput.code)
    response = JSONResponse(body, rejection.status, {**rejection.headers, "Cache-Control": "no-store"})
    if is_websocket:
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)
