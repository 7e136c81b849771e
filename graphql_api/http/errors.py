"""Rejections of HTTP requests before GraphQL executes them."""

import logging
from collections.abc import Mapping

from starlette.types import Scope

from graphql_api.errors import InvalidInput
from graphql_api.logging import extra_fields

logger = logging.getLogger(__name__)

STOPPING_MESSAGE = "The server is stopping; try again."
STOPPING_RETRY_AFTER = "1"
"""Seconds after which another replica, or the restarted server, may be ready."""


class HTTPRejection(InvalidInput):
    """The request gets this status and is not served. The message says what to send instead."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def build_unavailable(message: str) -> HTTPRejection:
    """Return the rejection of a request that may be served a little later, or by another replica."""
    return HTTPRejection(503, message, {"Retry-After": STOPPING_RETRY_AFTER})


def build_get_rejection() -> HTTPRejection:
    """Return the rejection of a GET that would change data."""
    return HTTPRejection(405, "GET is for queries; send everything else by POST.", {"Allow": "POST"})


def build_too_many(things: str, maximum: int) -> HTTPRejection:
    """Return the rejection of what a client has too many of."""
    message = (
        f"There are too many {things} from your address; at most {maximum} are served (MAX_CONNECTIONS_PER_CLIENT)."
    )
    return HTTPRejection(429, message, {"Retry-After": STOPPING_RETRY_AFTER})


def log_rejection(request_id: str, client: str | None, status: int | None, message: str) -> None:
    """Log a rejected request at level info. A status of None stands for the usual one.

    `message` must not quote the client, except for its origin.
    """
    suffix = "" if status is None else f", {status}"
    fields = extra_fields(request_id=request_id, client=client, status=status)
    logger.info("Request %s from %s is refused%s: %s", request_id, client, suffix, message, extra=fields)


def get_client(scope: Scope) -> str | None:
    """Return the address of the client of a request or a WebSocket, or None if it has none."""
    client: tuple[str, int] | None = scope.get("client")
    return client and client[0]
