"""Request ids: one per request, in the response's X-Request-Id and in its log lines. The trace, in the lines only."""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable
from itertools import count

from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_api.errors import INTERNAL_ERROR_CODE, graphql_error_body
from graphql_api.http.errors import STOPPING_MESSAGE, STOPPING_RETRY_AFTER, get_client
from graphql_api.http.request_log import RequestLog, truncate
from graphql_api.logging import extra_fields, request_fields

logger = logging.getLogger(__name__)

REQUEST_ID_HEADER = b"x-request-id"
REQUEST_ID_KEY = "request_id"
REJECTED_KEY = "is_rejected"
"""Keys of `scope["state"]`: the id of a request, and whether the server has rejected it and logged that."""
_RESPONSE_START_TYPES = ("http.response.start", "websocket.accept", "websocket.http.response.start")


_REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
"""An id that a proxy or a client has made: 1 to 128 characters that need no quotes in any log."""
_TRACE_PARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
"""The header traceparent of W3C Trace Context, with the id of the trace."""


def create_id_generator(prefix: str) -> Callable[[], str]:
    """Return a function that makes ids: `prefix`, then a counter of 16 hexadecimal digits.

    Ids are no secrets. Drawing each at random costs more than sending a cached response.
    """
    numbers = count()
    return lambda: f"{prefix}{next(numbers):016x}"


class RequestIdMiddleware:
    """Gives each request an id unless it brings one, records its response, and turns unexpected errors into a 500."""

    def __init__(self, app: ASGIApp, *, new_id: Callable[[], str], request_log: RequestLog) -> None:
        self._app = app
        self._new_id = new_id
        self._request_log = request_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket, whose errors its endpoint handles."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = scope["headers"]
        request_id = find_request_id(headers) or self._new_id()
        scope.setdefault("state", {})[REQUEST_ID_KEY] = request_id
        trace_id = find_trace_id(headers)
        request_fields.set({"request_id": request_id, **({"trace_id": trace_id} if trace_id else {})})
        if scope["type"] == "http":
            await self._serve_http(request_id, scope, receive, send)
        else:

            async def send_with_id(message: Message) -> None:
                await send(_add_request_id(message, request_id))

            await self._app(scope, receive, send_with_id)

    async def _serve_http(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        started_at, status, is_recorded = time.perf_counter(), 0, False

        async def send_recorded(message: Message) -> None:
            nonlocal status, is_recorded
            if message["type"] == "http.response.start":
                status = message["status"]
            elif not is_recorded:
                # Before sending: a client that has the response finds it counted. A stream counts when it begins.
                is_recorded = True
                seconds = time.perf_counter() - started_at
                size = len(message.get("body", b""))
                self._request_log.record_response(scope, status=status, size=size, seconds=seconds)
            await send(_add_request_id(message, request_id))

        try:
            await self._app(scope, receive, send_recorded)
        except ClientDisconnect:
            if REJECTED_KEY not in scope["state"]:
                fields = {"request_id": request_id, "client": get_client(scope)}
                message = "Request %(request_id)s from %(client)s did not arrive in full"
                logger.info(message, fields, extra=extra_fields(**fields))
        except asyncio.CancelledError:
            # Servers cancel requests that outlast a shutdown.
            if not status:
                await _build_stopping_response(request_id)(scope, receive, send)
            raise
        except Exception as error:
            _log_failure(request_id, scope, error)
            if status:
                raise
            await _build_internal_error(request_id)(scope, receive, send_recorded)


def find_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the id that a request brings, or None if it has none, several, or one that is not well-formed."""
    values = [value for name, value in headers if name == REQUEST_ID_HEADER]
    return values[0].decode() if len(values) == 1 and _REQUEST_ID.fullmatch(values[0]) else None


def find_trace_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the id of the trace that a request belongs to, or None without a valid `traceparent`."""
    values = [value for name, value in headers if name == b"traceparent"]
    match = _TRACE_PARENT.fullmatch(values[0]) if len(values) == 1 else None
    return match[1].decode() if match else None


def get_request_id(connection: HTTPConnection) -> str:
    """Return the id that the middleware gave a request or a WebSocket."""
    request_id: str = connection.scope["state"][REQUEST_ID_KEY]
    return request_id


def _add_request_id(message: Message, request_id: str) -> Message:
    if message["type"] not in _RESPONSE_START_TYPES:
        return message
    headers = [*message.get("headers", ()), (REQUEST_ID_HEADER, request_id.encode())]
    return {**message, "headers": headers}


def _log_failure(request_id: str, scope: Scope, error: Exception) -> None:
    fields = {"request_id": request_id, "method": scope["method"], "path": truncate(scope["path"])}
    message = "Request %(request_id)s failed: %(method)s %(path)s"
    logger.error(message, fields, exc_info=error, extra=extra_fields(**fields))


def _build_internal_error(request_id: str) -> JSONResponse:
    message = f"Something went wrong here; the server's log has it as request {request_id}."
    body = graphql_error_body(message, INTERNAL_ERROR_CODE, requestId=request_id)
    return JSONResponse(body, 500)


def _build_stopping_response(request_id: str) -> JSONResponse:
    body = graphql_error_body(STOPPING_MESSAGE, INTERNAL_ERROR_CODE)
    headers = {"Retry-After": STOPPING_RETRY_AFTER, REQUEST_ID_HEADER.decode(): request_id}
    return JSONResponse(body, 503, headers)
