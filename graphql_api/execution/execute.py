"""Execution of one request: its result, or its errors in the form that clients know."""

import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLSyntaxError, ValueNode
from graphql import OperationType as CoreOperationType
from graphql.execution import create_source_event_stream
from graphql.execution.values import VariableValues
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from graphql_api.errors import CountriesError, DatabaseUnavailable, InvalidInput, QueryTooComplex, graphql_error_body
from graphql_api.execution import document
from graphql_api.execution.engine import Schema
from graphql_api.execution.executor import BulkExecutor
from graphql_api.schema.context import GraphQLContext
from graphql_api.schema.scalars import format_instant

logger = logging.getLogger(__name__)

_MAX_ERRORS = 20
"""Errors in one response. Further ones are dropped."""
_MAX_MESSAGE_LENGTH = 500
"""Characters of an error message, which may quote the client. The rest is cut off."""

MAX_SYNC_COST = 5_000
"""Cost up to which a query is executed synchronously: a few milliseconds."""

QUERIES_ONLY = frozenset({OperationType.QUERY})
QUERIES_AND_MUTATIONS = frozenset({OperationType.QUERY, OperationType.MUTATION})
"""The operations with a single result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLRequest:
    """A parsed request."""

    query: str
    """The document, not empty."""
    variables: Mapping[str, Any] | None
    operation_name: str | None


@dataclass(frozen=True, slots=True)
class GraphQLResponse:
    """A response, before it is serialized."""

    body: Mapping[str, Any]
    """`data` and `errors`, as JSON values."""
    executed: bool
    """False if the request was rejected as a whole. The body then has no `data`."""
    cacheable: bool = False
    """True if every caller gets the same response until the data changes."""
    operation: document.OperationInfo = document.NO_OPERATION

    @property
    def error_codes(self) -> list[str]:
        """`extensions.code` of each error."""
        return [error["extensions"]["code"] for error in self.body.get("errors", ())]


async def execute(
    schema: Schema,
    request: GraphQLRequest,
    *,
    context: GraphQLContext,
    allowed_operations: Iterable[OperationType],
    request_id: str,
) -> GraphQLResponse:
    """Execute a query or mutation. A rejected request is a response too.

    Raises:
        InvalidOperationTypeError: The operation's type is not in `allowed_operations`.
    """
    try:
        return await _run(_prepare(schema, request, context, allowed_operations), request_id)
    except _REJECTIONS as error:
        return _build_rejection(error)


async def execute_or_subscribe(
    schema: Schema, request: GraphQLRequest, *, context: GraphQLContext, request_id: str
) -> GraphQLResponse | AsyncGenerator[GraphQLResponse, None]:
    """Execute any operation. A subscription returns a generator of its responses."""
    try:
        prepared = _prepare(schema, request, context, OperationType)
        if prepared.operation.node.operation is CoreOperationType.SUBSCRIPTION:
            return await _subscribe(prepared, request_id)
        return await _run(prepared, request_id)
    except _REJECTIONS as error:
        return _build_rejection(error)


def execute_sync_if_cheap(
    schema: Schema, request: GraphQLRequest, *, context: GraphQLContext
) -> GraphQLResponse | None:
    """Execute a cacheable query of low cost whose document is cached.

    Returns None for every other request, and for every request with an error: `execute` handles them.
    """
    if request.query not in schema.document_cache:
        return None
    try:
        prepared = _prepare(schema, request, context, QUERIES_ONLY)
    except (*_REJECTIONS, InvalidOperationTypeError):
        return None
    if prepared.cost > MAX_SYNC_COST or not prepared.plan.cacheable:
        return None
    data, errors = prepared.create_executor().run_sync()
    if errors:
        return None
    return GraphQLResponse({"data": data}, executed=True, cacheable=True, operation=prepared.operation.info)


class _RequestRejected(Exception):
    """The request is rejected: its response has errors and no data."""

    def __init__(self, operation: document.PreparedOperation, errors: Iterable[GraphQLError], code: str) -> None:
        super().__init__()
        response = _build_rejected_response(_format_error(error, code) for error in errors)
        self.response = replace(response, operation=operation.info)


@dataclass(frozen=True, slots=True)
class _PreparedExecution:
    """An allowed and valid operation, with its plan and variables."""

    operation: document.PreparedOperation
    plan: document.ExecutionPlan
    variables: VariableValues
    context: GraphQLContext
    cost: int

    def create_executor(self, event: object = None) -> BulkExecutor:
        """Create the executor of a query, or of one `event` of a subscription."""
        return BulkExecutor(self.operation, self.plan, self.variables, self.context, event=event)


_REJECTIONS = (_RequestRejected, GraphQLSyntaxError, InvalidInput, QueryTooComplex, RecursionError)


def _build_rejection(error: Exception) -> GraphQLResponse:
    match error:
        case _RequestRejected():
            return error.response
        case GraphQLSyntaxError():
            return _build_rejected_response([_format_error(error, "GRAPHQL_PARSE_FAILED")])
        case CountriesError():
            return build_error_response(error)
    return build_error_response(InvalidInput("The document or its variables are nested too deeply."))


def _prepare(
    schema: Schema, request: GraphQLRequest, context: GraphQLContext, allowed_operations: Iterable[OperationType]
) -> _PreparedExecution:
    parsed = schema.document_cache.get_or_parse(request.query)
    raw_variables, rows = request.variables or {}, context.catalog.snapshot.rows
    cost = parsed.query_cost.check(raw_variables, country_count=len(rows))
    operation = parsed.get_operation(request.operation_name)
    operation_type = OperationType(operation.node.operation.value)
    if operation_type not in allowed_operations:
        raise InvalidOperationTypeError(operation_type)
    if parsed.validation_errors:
        raise _RequestRejected(operation, parsed.validation_errors, "GRAPHQL_VALIDATION_FAILED")
    variables = operation.coerce_variables(raw_variables)
    if isinstance(variables, list):
        raise _RequestRejected(operation, variables, InvalidInput.code)
    try:
        plan = operation.get_plan(variables)
    except GraphQLError as error:
        raise _RequestRejected(operation, [error], InvalidInput.code) from None
    return _PreparedExecution(operation, plan, variables, context, cost)


async def _run(prepared: _PreparedExecution, request_id: str, event: object = None) -> GraphQLResponse:
    data, errors = await prepared.create_executor(event).run()
    body: dict[str, Any] = {"data": data}
    cacheable = prepared.plan.cacheable and not errors
    if errors:
        body["errors"] = [_format_resolver_error(error, request_id) for error in errors[:_MAX_ERRORS]]
    return GraphQLResponse(body, executed=True, cacheable=cacheable, operation=prepared.operation.info)


async def _subscribe(
    prepared: _PreparedExecution, request_id: str
) -> GraphQLResponse | AsyncGenerator[GraphQLResponse, None]:
    event_stream = create_source_event_stream(prepared.create_executor())
    if isawaitable(event_stream):
        event_stream = await event_stream
    if isinstance(event_stream, ExecutionResult):
        errors = [_format_resolver_error(error, request_id) for error in event_stream.errors or ()]
        return replace(_build_rejected_response(errors), operation=prepared.operation.info)

    async def stream_responses() -> AsyncGenerator[GraphQLResponse, None]:
        async for event in event_stream:
            yield await _run(prepared, request_id, event)

    return stream_responses()


def _build_rejected_response(errors: Iterable[Mapping[str, Any]]) -> GraphQLResponse:
    return GraphQLResponse({"errors": list(errors)[:_MAX_ERRORS]}, executed=False)


def build_error_response(error: CountriesError) -> GraphQLResponse:
    """Build the response to a request that is rejected before its execution."""
    body = graphql_error_body(_truncate(error.public_message), error.code)
    return GraphQLResponse(body, executed=False)


def _format_resolver_error(error: GraphQLError, request_id: str) -> Mapping[str, Any]:
    """Format an error of a resolver. Unexpected errors are logged, and masked for the client."""
    cause = error.original_error
    if isinstance(cause, DatabaseUnavailable):
        logger.error("Request %s: %s", request_id, cause)
    if isinstance(cause, CountriesError):
        details = {_to_camel_case(name): format_instant(value) for name, value in cause.details.items()}
        return {**_format_error(error, cause.code, **details), "message": _truncate(cause.public_message)}
    if isinstance(cause, GraphQLError) and any(isinstance(node, ValueNode) for node in cause.nodes or ()):
        # The executor rejected an argument because of its variables.
        return _format_error(error, InvalidInput.code)
    logger.error("Request %s failed at %s", request_id, error.path, exc_info=cause)
    return {
        **_format_error(error, "INTERNAL_SERVER_ERROR", requestId=request_id),
        "message": f"Something went wrong here; the server's log has it as request {request_id}.",
    }


def _to_camel_case(name: str) -> str:
    first, *other_words = name.split("_")
    return first + "".join(word.capitalize() for word in other_words)


def _format_error(error: GraphQLError, code: str, **extensions: str) -> Mapping[str, Any]:
    message = _truncate(error.message)
    return {**error.formatted, "message": message, "extensions": {"code": code, **extensions}}


def _truncate(message: str) -> str:
    cut_off = len(message) > _MAX_MESSAGE_LENGTH
    return f"{message[:_MAX_MESSAGE_LENGTH]}…" if cut_off else message
