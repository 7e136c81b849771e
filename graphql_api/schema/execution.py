"""Running one request against the schema, and telling its errors as clients know them."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError, ValueNode
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from graphql_api.errors import CountriesError, DatabaseUnavailable, InvalidInput, QueryTooComplex
from graphql_api.schema.building import Schema
from graphql_api.schema.context import Context
from graphql_api.schema.executing import BulkExecutor
from graphql_api.schema.plans import NO_OPERATION, Document, Operation, OperationInfo
from graphql_api.schema.scalars import format_instant

logger = logging.getLogger(__name__)

_MOST_ERRORS = 20
"""Errors of one answer; what comes after them is left out."""
_LONGEST_MESSAGE = 500
"""Characters of an error's message, which may quote the client."""

_INVALID = "GRAPHQL_VALIDATION_FAILED"

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
    of_data: bool = False
    """Whether it stays the same, for every caller, until the data changes."""
    operation: OperationInfo = NO_OPERATION

    @property
    def codes(self) -> list[str]:
        """Return the code of each error."""
        return [error["extensions"]["code"] for error in self.body.get("errors", ())]


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
        return await _execute(schema, request, context, allowed, request_id)
    except GraphQLSyntaxError as error:
        return _refuse_all([_with_code(error, "GRAPHQL_PARSE_FAILED")])
    except (InvalidInput, QueryTooComplex) as error:
        return refuse(error)
    except RecursionError:
        return refuse(InvalidInput("The document or its variables are nested too deeply."))


async def _execute(
    schema: Schema,
    request: GraphQLRequest,
    context: Context,
    allowed: Iterable[OperationType],
    request_id: str,
) -> GraphQLResponse:
    document = schema.documents.read(request.query)
    given, rows = request.variables or {}, context.catalog.snapshot.rows
    document.prepared.measures.check(given, countries=len(rows))
    operation = document.operation(request.operation_name)
    kind = OperationType(operation.node.operation.value)
    if kind not in allowed:
        raise InvalidOperationTypeError(kind)
    answer = await _perform(document, operation, given, context, request_id)
    return replace(answer, operation=operation.info)


async def _perform(
    document: Document,
    operation: Operation,
    given: Mapping[str, Any],
    context: Context,
    request_id: str,
) -> GraphQLResponse:
    if document.problems:
        return _refuse_all(_with_code(one, _INVALID) for one in document.problems)
    variables = operation.read_variables(given)
    if isinstance(variables, list):
        return _refuse_all(_with_code(one, InvalidInput.code) for one in variables)
    try:
        plan = operation.plan(variables)
    except GraphQLError as error:
        return _refuse_all([_with_code(error, InvalidInput.code)])
    data, errors = await BulkExecutor(operation, plan, variables, context).run()
    if not errors:
        return GraphQLResponse({"data": data}, executed=True, of_data=plan.of_data)
    shown = [_present_failure(error, request_id) for error in errors[:_MOST_ERRORS]]
    return GraphQLResponse({"data": data, "errors": shown}, executed=True)


def _refuse_all(errors: Iterable[Mapping[str, Any]]) -> GraphQLResponse:
    return GraphQLResponse({"errors": list(errors)[:_MOST_ERRORS]}, executed=False)


def refuse(error: CountriesError) -> GraphQLResponse:
    """Return the answer to a request that is refused before it reaches the schema."""
    return GraphQLResponse(
        {"errors": [{"message": _clip(error.public), "extensions": {"code": error.code}}]},
        executed=False,
    )


def _present_failure(error: GraphQLError, request_id: str) -> Mapping[str, Any]:
    """Present an error of a resolver; what nobody raised on purpose is logged and masked."""
    cause = error.original_error
    if isinstance(cause, DatabaseUnavailable):
        logger.error("Request %s: %s", request_id, cause)
    if isinstance(cause, CountriesError):
        facts = {_camel(name): format_instant(at) for name, at in cause.facts.items()}
        return {**_with_code(error, cause.code, **facts), "message": _clip(cause.public)}
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


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _with_code(error: GraphQLError, code: str, **extensions: str) -> Mapping[str, Any]:
    message = _clip(error.message)
    return {**error.formatted, "message": message, "extensions": {"code": code, **extensions}}


def _clip(message: str) -> str:
    if len(message) <= _LONGEST_MESSAGE:
        return message
    return f"{message[:_LONGEST_MESSAGE]}…"
