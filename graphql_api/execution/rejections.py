"""Rejections: the responses to requests that are not executed."""

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError

from graphql_api.errors import CountriesError, InvalidInput, QueryTooComplex, RateLimited, graphql_error_body
from graphql_api.execution.document import PreparedOperation
from graphql_api.execution.errors import format_error, truncate_message
from graphql_api.execution.executor import MAX_ERRORS
from graphql_api.execution.messages import GraphQLResponse


class RequestRejected(Exception):
    """The request is rejected: its response has errors and no data."""

    def __init__(self, operation: PreparedOperation, errors: Iterable[GraphQLError], code: str) -> None:
        """Reject an operation for errors that have this code, unless they have one of their own."""
        super().__init__()
        response = build_rejected_response(format_error(error, code) for error in errors)
        self.response = response._replace(operation=operation.info)


REJECTIONS = (RequestRejected, GraphQLSyntaxError, InvalidInput, QueryTooComplex, RateLimited, RecursionError)
"""The errors of a request that is not executed."""


def build_rejection(error: Exception) -> GraphQLResponse:
    """Return the response to a request with one of `REJECTIONS`."""
    match error:
        case RequestRejected():
            return error.response
        case GraphQLSyntaxError():
            return build_rejected_response([format_error(error, "GRAPHQL_PARSE_FAILED")])
        case CountriesError():
            return build_error_response(error)
    return build_error_response(InvalidInput("The document or its variables are nested too deeply."))


def build_error_response(error: CountriesError) -> GraphQLResponse:
    """Return the response to a request that is rejected before its execution."""
    extensions = {"retryAfter": error.retry_after} if isinstance(error, RateLimited) else {}
    body = graphql_error_body(truncate_message(error.public_message), error.code, **extensions)
    return GraphQLResponse(body, executed=False)


def build_rejected_response(errors: Iterable[Mapping[str, Any]]) -> GraphQLResponse:
    """Return a response that has these errors and no data."""
    return GraphQLResponse({"errors": list(errors)[:MAX_ERRORS]}, executed=False)
