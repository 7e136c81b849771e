"""Rejections of HTTP requests before GraphQL executes them."""

import logging
from collections.abc import Mapping

from graphql_api.errors import InvalidInput
from graphql_api.logging import extra_fields

logger = logging.getLogger(__name__)

STOPPING_MESSAGE = "The server is stopping; try again."
STOPPING_RETRY_AFTER = "1"
"""Seconds after which another replica, or the restarted server, may be ready."""


class HTTPRejection(InvalidInput):
    """The request gets a status from 400 to 499. The message says what to send instead."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def log_rejection(request_id: str, status: int | None, message: str) -> None:
    """Log a rejected request at level info. A status of None stands for the usual one.

    `message` must not quote the client.
    """
    suffix = "" if status is None else f", {status}"
    fields = extra_fields(request_id=request_id, status=status)
    logger.info("Request %s is refused%s: %s", request_id, suffix, message, extra=fields)
