"""A name for every request, in its answer's header and in the log's lines about it."""

import logging
import time
from collections.abc import Callable
from itertools import count

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_api.http.request_log import RequestLog
from graphql_api.logging import extra_fields

logger = logging.getLogger(__name__)

HEADER = b"x-request-id"


def create_id_generator(prefix: str) -> Callable[[], str]:
    """Return what makes ids of 32 characters: `process`, which has 16, and a number.

    They name requests and keep no secret: drawing each at random costs more than sending an answer.
    """
    numbers = count()
    return lambda: f"{prefix}{next(numbers):016x}"


class RequestIdMiddleware:
    """Gives each request an id, sent as X-Request-Id; an error that nobody caught becomes a 500."""

    def __init__(self, app: ASGIApp, *, new_id: Callable[[], str], request_log: RequestLog) -> None:
        """Wrap `app`."""
        self._app = app
        self._new_id = new_id
        self._request_log = request_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        started_at, status, size = time.perf_counter(), 0, 0

        async def send_with_id(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                header = (HEADER, request_id.encode())
                message = {**message, "headers": [*message["headers"], header]}
            else:
                size += len(message.get("body", b""))
                if not message.get("more_body"):
                    # Before it is sent: who has the answer finds it counted.
                    seconds = time.perf_counter() - started_at
                    self._request_log.record_response(
                        scope, status=status, size=size, seconds=seconds
                    )
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            log_fields = extra_fields(request_id=request_id)
            logger.info("Request %s did not arrive in full", request_id, extra=log_fields)
        except Exception:
            log_fields = extra_fields(
                request_id=request_id, method=scope["method"], path=scope["path"]
            )
            logger.exception(
                "Request %s failed: %s %s",
                request_id,
                scope["method"],
                scope["path"],
                extra=log_fields,
            )
            if status:
                raise
            await _build_internal_error(request_id)(scope, receive, send_with_id)


def get_request_id(request: Request) -> str:
    """Return the id that the middleware gave the request."""
    request_id: str = request.state.request_id
    return request_id


def _build_internal_error(request_id: str) -> JSONResponse:
    message = f"Something went wrong here; the server's log has it as request {request_id}."
    extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}
    return JSONResponse({"errors": [{"message": message, "extensions": extensions}]}, 500)
