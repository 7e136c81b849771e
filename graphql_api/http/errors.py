"""Refusing a request before GraphQL has anything to do with it."""

import logging
from collections.abc import Mapping

from graphql_api.logging import extra_fields

logger = logging.getLogger(__name__)


class HTTPRejection(Exception):
    """The request is answered with an HTTP status of its own; the message says what would do."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Refuse with a status from 400 to 499, and these headers."""
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def log_rejection(request_id: str, status: int | None, message: str) -> None:
    """Log that a request is refused, with a message of ours; None: with its usual status."""
    logger.info(
        "Request %s is refused%s: %s",
        request_id,
        "" if status is None else f", {status}",
        message,
        extra=extra_fields(request_id=request_id, status=status),
    )
