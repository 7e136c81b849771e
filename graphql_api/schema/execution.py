"""Running one request against the schema, and telling its errors as clients know them."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError, ValueNode
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from graphql_api.errors import CountriesError, DatabaseUnavailable, InvalidInput
from graphql_api.schema.building import Schema
from graphql_api.schema.context import Context

logger = logging.getLogger(__name__)

_MOST_ERRORS = 20
"""Errors of one answer; what comes after them is left out."""
_LONGEST_MESSAGE = 500
"""Characters of an error's message, which may quote the client."""

READING = frozenset({OperationType.QUERY})
EVERYTHING = frozenset(OperationType)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLRequest:
    """What a client asks."""

    query: str
    """The document; not empty."""
    variables: Mapping[str, Any] | None
    operation_name: str | None


@dataclass(frozen=True, slots=True)
class GraphQLResponse:
    """What it is answered."""

    body: Mapping[str, Any]
    """`data` and `errors`, ready to be written as JSON."""
    executed: bool
    """False when the request was refused as a whole; `data` is then absent."""


async def execute(
    schema: Schema,
    request: GraphQLRequest,
    *,
    context: Context,
    allowed: Iterable[OperationType],
    request_id: str,
) -> GraphQLResponse:
    """Answer a request; an error is an answer too.

    Raises:
        InvalidOperationTypeError: the operation is of a kind that is not `allowed`.
    """
    try:
        result = await schema.execute(
            request.query,
            variable_values=dict(request.variables or {}),
            operation_name=request.operation_name,
            context_value=context,
            allowed_operation_types=allowed,
        )
    except CannotGetOperationTypeError as error:
        named = error.operation_name
        wrong = f"no operation named {named!r}" if named is not None else "no operation"
        return refuse(InvalidInput(f"The document has {wrong}."))
    except RecursionError:
        return refuse(InvalidInput("The document or its variables are nested too deeply."))
    if isinstance(result, PreExecutionError):
        errors = [
            _present_refusal(error, request_id) for error in (result.errors or ())[:_MOST_ERRORS]
        ]
        return GraphQLResponse({"errors": errors}, executed=False)
    if result.errors and all(error.path is None for error in result.errors):
        errors = [_with_code(error, InvalidInput.code) for error in result.errors[:_MOST_ERRORS]]
        return GraphQLResponse({"errors": errors}, executed=False)
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        shown = result.errors[:_MOST_ERRORS]
        body["errors"] = [_present_failure(error, request_id) for error in shown]
    return GraphQLResponse(body, executed=True)


def refuse(error: CountriesError) -> GraphQLResponse:
    """Return the answer to a request that is refused before it reaches the schema."""
    return GraphQLResponse(
        {"errors": [{"message": _clip(error.public), "extensions": {"code": error.code}}]},
        executed=False,
    )


def _present_refusal(error: GraphQLError, request_id: str) -> Mapping[str, Any]:
    """Present an error of parsing or validation."""
    if isinstance(error, GraphQLSyntaxError):
        return _with_code(error, "GRAPHQL_PARSE_FAILED")
    if error.original_error is not None and error.nodes is None:
        return _present_failure(error, request_id)
    return _with_code(error, "GRAPHQL_VALIDATION_FAILED")


def _present_failure(error: GraphQLError, request_id: str) -> Mapping[str, Any]:
    """Present an error of a resolver; what nobody raised on purpose is logged and masked."""
    cause = error.original_error
    if isinstance(cause, DatabaseUnavailable):
        logger.error("Request %s: %s", request_id, cause)
    if isinstance(cause, CountriesError):
        return {**_with_code(error, cause.code), "message": _clip(cause.public)}
    if isinstance(cause, GraphQLError) and _blames_value(cause):
        return _with_code(error, InvalidInput.code)
    logger.error("Request %s failed at %s", request_id, error.path, exc_info=cause)
    return {
        **_with_code(error, "INTERNAL_SERVER_ERROR", requestId=request_id),
        "message": f"Something went wrong here; the server's log has it as request {request_id}.",
    }


def _blames_value(error: GraphQLError) -> bool:
    """Tell whether the executor refused an argument that only the variables made wrong."""
    return any(isinstance(node, ValueNode) for node in error.nodes or ())


def _with_code(error: GraphQLError, code: str, **extensions: str) -> Mapping[str, Any]:
    message = _clip(error.message)
    return {**error.formatted, "message": message, "extensions": {"code": code, **extensions}}


def _clip(message: str) -> str:
    if len(message) <= _LONGEST_MESSAGE:
        return message
    return f"{message[:_LONGEST_MESSAGE]}…"
