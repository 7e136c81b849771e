"""Errors in the form that clients know."""

import logging
from collections.abc import Mapping
from typing import Any

from graphql import GraphQLError, ValueNode

from graphql_api.errors import CountriesError, DatabaseUnavailable, InvalidInput
from graphql_api.schema.scalars import format_instant

logger = logging.getLogger(__name__)

_MAX_MESSAGE_LENGTH = 500
"""Characters of an error message, which may quote the client. The rest is cut off."""


def format_resolver_error(error: GraphQLError, request_id: str) -> Mapping[str, Any]:
    """Format an error of a resolver. Unexpected errors are logged, and masked for the client."""
    cause = error.original_error or error
    if isinstance(cause, DatabaseUnavailable):
        logger.error("Request %s: %s", request_id, cause)
    if isinstance(cause, CountriesError):
        details = {_to_camel_case(name): format_instant(value) for name, value in cause.details.items()}
        return {**format_error(error, cause.code, **details), "message": truncate_message(cause.public_message)}
    if isinstance(cause, GraphQLError) and any(isinstance(node, ValueNode) for node in cause.nodes or ()):
        # An argument was rejected because of its variables.
        return format_error(error, InvalidInput.code)
    logger.error("Request %s failed at %s", request_id, error.path, exc_info=cause)
    return {
        **format_error(error, "INTERNAL_SERVER_ERROR", requestId=request_id),
        "message": f"Something went wrong here; the server's log has it as request {request_id}.",
    }


def _to_camel_case(name: str) -> str:
    first, *other_words = name.split("_")
    return first + "".join(word.capitalize() for word in other_words)


def format_error(error: GraphQLError, code: str, **extensions: str) -> Mapping[str, Any]:
    """Format an error with its code."""
    message = truncate_message(error.message)
    return {**error.formatted, "message": message, "extensions": {"code": code, **extensions}}


def truncate_message(message: str) -> str:
    """Return a message without what is too long of it."""
    cut_off = len(message) > _MAX_MESSAGE_LENGTH
    return f"{message[:_MAX_MESSAGE_LENGTH]}…" if cut_off else message
