"""CORS: lets pages of allowed origins send requests and read the responses, and logs which others tried."""

import logging

from starlette.datastructures import Headers
from starlette.middleware import cors
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api.errors import InvalidInput, graphql_error_body
from graphql_api.http.cors import EXPOSED_HEADERS, CORSPolicy, describe_blocked_page
from graphql_api.http.errors import get_client
from graphql_api.http.request_log import truncate
from graphql_api.logging import extra_fields

logger = logging.getLogger(__name__)


class CORSMiddleware(cors.CORSMiddleware):
    """Starlette's middleware, with a policy that may allow the pages of this computer, and typed errors."""

    def __init__(self, app: ASGIApp, *, policy: CORSPolicy) -> None:
        super().__init__(
            app,
            allow_origins=policy.origins,
            allow_methods=("GET", "POST"),
            # Tracing libraries add headers of their own. No header grants anything without the token.
            allow_headers=("*",),
            expose_headers=EXPOSED_HEADERS,
        )
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request. Browsers hide the response from a page that is not allowed."""
        await super().__call__(scope, receive, send)
        if scope["type"] == "http" and not self._policy.allows_connection(HTTPConnection(scope)):
            _log_blocked_page(scope)

    def is_allowed_origin(self, origin: str) -> bool:
        """Return whether the policy allows the pages of an origin."""
        return self._policy.allows(origin)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the response to a preflight. A refusal names what would be allowed."""
        response = super().preflight_response(request_headers)
        if response.status_code == Response().status_code:
            return response
        if self.is_allowed_origin(request_headers["Origin"]):
            message = f"Pages of other origins may send {' and '.join(self.allow_methods)} only."
        else:
            message = describe_blocked_page(request_headers["Origin"])
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return JSONResponse(graphql_error_body(message, InvalidInput.code), response.status_code, headers)


def _log_blocked_page(scope: Scope) -> None:
    origin = Headers(scope=scope)["Origin"]
    fields = {"client": get_client(scope), "origin": truncate(origin)}
    message = "The browser of %(client)s hides a response: %(problem)s"
    logger.info(message, {**fields, "problem": describe_blocked_page(origin)}, extra=extra_fields(**fields))
