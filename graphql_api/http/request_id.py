"""A name for every request, in its answer's header and in the log's lines about it."""

import logging
from collections.abc import Callable
from itertools import count

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

HEADER = b"x-request-id"


def new_ids(process: str) -> Callable[[], str]:
    """Return what makes ids of 32 characters: `process`, which has 16, and a number.

    They name requests and keep no secret: drawing each at random costs more than sending an answer.
    """
    numbers = count()
    return lambda: f"{process}{next(numbers):016x}"


class RequestIdMiddleware:
    """Gives each request an id, sent as X-Request-Id; an error that nobody caught becomes a 500."""

    def __init__(self, app: ASGIApp, new_id: Callable[[], str]) -> None:
        """Wrap `app`."""
        self._app = app
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        answering = False

        async def send_named(message: Message) -> None:
            nonlocal answering
            if message["type"] == "http.response.start":
                answering = True
                named = (HEADER, request_id.encode())
                message = {**message, "headers": [*message["headers"], named]}
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except ClientDisconnect:
            logger.info("Request %s did not arrive in full", request_id)
        except Exception:
            logger.exception("Request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if answering:
                raise
            await _internal_error(request_id)(scope, receive, send_named)


def request_id_of(request: Request) -> str:
    """Return the id that the middleware gave the request."""
    request_id: str = request.state.request_id
    return request_id


def _internal_error(request_id: str) -> JSONResponse:
    message = f"Something went wrong here; the server's log has it as request {request_id}."
    extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}
    return JSONResponse({"errors": [{"message": message, "extensions": extensions}]}, 500)
