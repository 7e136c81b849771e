"""Running one request against the schema, and telling its errors as clients know them."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Iterable, Mapping
from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import Any, TypeVar

from graphql import ExecutionResult, GraphQLError, GraphQLSyntaxError, ValueNode
from graphql import OperationType as CoreOperationType
from graphql.execution import create_source_event_stream
from graphql.execution.values import VariableValues
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from graphql_api.errors import CountriesError, DatabaseUnavailable, InvalidInput, QueryTooComplex
from graphql_api.schema.building import Schema
from graphql_api.schema.context import Context
from graphql_api.schema.executing import BulkExecutor
from graphql_api.schema.plans import NO_OPERATION, Operation, OperationInfo, Plan
from graphql_api.schema.scalars import format_instant

logger = logging.getLogger(__name__)

_MOST_ERRORS = 20
"""Errors of one answer; what comes after them is left out."""
_LONGEST_MESSAGE = 500
"""Characters of an error's message, which may quote the client."""

_SHORT = 5_000
"""The cost up to which a query is answered at once: some milliseconds of work."""

_INVALID = "GRAPHQL_VALIDATION_FAILED"

READING = frozenset({OperationType.QUERY})
EVERYTHING = frozenset({OperationType.QUERY, OperationType.MUTATION})
"""All that is answered once."""

T = TypeVar("T")


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
    """Answer a request once; an error is an answer too.

    Raises:
        InvalidOperationTypeError: the operation is of a kind that is not `allowed`.
    """

    async def answer() -> GraphQLResponse:
        ready = _prepare(schema, request, context, allowed)
        return await _run(ready, request_id)

    return await _or_refusal(answer())


async def start(
    schema: Schema, request: GraphQLRequest, *, context: Context, request_id: str
) -> GraphQLResponse | AsyncGenerator[GraphQLResponse, None]:
    """Answer a request over a connection that stays: a subscription again and again."""

    async def answer() -> GraphQLResponse | AsyncGenerator[GraphQLResponse, None]:
        ready = _prepare(schema, request, context, OperationType)
        if ready.operation.node.operation is CoreOperationType.SUBSCRIPTION:
            return await _subscribe(ready, request_id)
        return await _run(ready, request_id)

    return await _or_refusal(answer())


def execute_at_once(
    schema: Schema, request: GraphQLRequest, *, context: Context
) -> GraphQLResponse | None:
    """Answer a query of the data that is known and short; None leaves it to `execute`.

    Whatever is wrong with it is left, too.
    """
    if request.query not in schema.documents:
        return None
    try:
        ready = _prepare(schema, request, context, READING)
    except (_Refused, InvalidInput, QueryTooComplex, InvalidOperationTypeError, RecursionError):
        return None
    if ready.cost > _SHORT or not ready.plan.of_data:
        return None
    data, errors = ready.executor().run_at_once()
    if errors:
        return None
    return GraphQLResponse(
        {"data": data}, executed=True, of_data=True, operation=ready.operation.info
    )


class _Refused(Exception):
    """The request is answered by errors alone."""

    def __init__(self, operation: Operation, errors: Iterable[GraphQLError], code: str) -> None:
        super().__init__()
        refusal = _refuse_all(_with_code(one, code) for one in errors)
        self.response = replace(refusal, operation=operation.info)


@dataclass(frozen=True, slots=True)
class _Ready:
    """An operation that is allowed, valid and planned."""

    operation: Operation
    plan: Plan
    variables: VariableValues
    context: Context
    cost: int

    def executor(self, event: object = None) -> BulkExecutor:
        """Return what executes it once."""
        return BulkExecutor(self.operation, self.plan, self.variables, self.context, event=event)


async def _or_refusal(answering: Awaitable[T]) -> T | GraphQLResponse:
    try:
        return await answering
    except _Refused as refused:
        return refused.response
    except GraphQLSyntaxError as error:
        return _refuse_all([_with_code(error, "GRAPHQL_PARSE_FAILED")])
    except (InvalidInput, QueryTooComplex) as error:
        return refuse(error)
    except RecursionError:
        return refuse(InvalidInput("The document or its variables are nested too deeply."))


def _prepare(
    schema: Schema, request: GraphQLRequest, context: Context, allowed: Iterable[OperationType]
) -> _Ready:
    document = schema.documents.read(request.query)
    given, rows = request.variables or {}, context.catalog.snapshot.rows
    cost = document.prepared.measures.check(given, countries=len(rows))
    operation = document.operation(request.operation_name)
    kind = OperationType(operation.node.operation.value)
    if kind not in allowed:
        raise InvalidOperationTypeError(kind)
    if document.problems:
        raise _Refused(operation, document.problems, _INVALID)
    variables = operation.read_variables(given)
    if isinstance(variables, list):
        raise _Refused(operation, variables, InvalidInput.code)
    try:
        plan = operation.plan(variables)
    except GraphQLError as error:
        raise _Refused(operation, [error], InvalidInput.code) from None
    return _Ready(operation, plan, variables, context, cost)


async def _run(ready: _Ready, request_id: str, event: object = None) -> GraphQLResponse:
    data, errors = await ready.executor(event).run()
    asked = ready.operation.info
    if not errors:
        of_data = ready.plan.of_data
        return GraphQLResponse({"data": data}, executed=True, of_data=of_data, operation=asked)
    shown = [_present_failure(error, request_id) for error in errors[:_MOST_ERRORS]]
    return GraphQLResponse({"data": data, "errors": shown}, executed=True, operation=asked)


async def _subscribe(
    ready: _Ready, request_id: str
) -> GraphQLResponse | AsyncGenerator[GraphQLResponse, None]:
    source = create_source_event_stream(ready.executor())
    if isawaitable(source):
        source = await source
    if isinstance(source, ExecutionResult):
        errors = [_present_failure(error, request_id) for error in source.errors or ()]
        return replace(_refuse_all(errors), operation=ready.operation.info)

    async def respond() -> AsyncGenerator[GraphQLResponse, None]:
        async for event in source:
            yield await _run(ready, request_id, event)

    return respond()


def _refuse_all(errors: Iterable[Mapping[str, Any]]) -> GraphQLResponse:
    return GraphQLResponse({"errors": list(errors)[:_MOST_ERRORS]}, executed=False)


def refuse(error: CountriesError) -> GraphQLResponse:
    """Return the answer to a request that is refused before it reaches the schema."""
    return GraphQLResponse(
        {"errors": [{"message": _clip(error.public_message), "extensions": {"code": error.code}}]},
        executed=False,
    )


def _present_failure(error: GraphQLError, request_id: str) -> Mapping[str, Any]:
    """Present an error of a resolver; what nobody raised on purpose is logged and masked."""
    cause = error.original_error
    if isinstance(cause, DatabaseUnavailable):
        logger.error("Request %s: %s", request_id, cause)
    if isinstance(cause, CountriesError):
        facts = {_camel(name): format_instant(at) for name, at in cause.details.items()}
        return {**_with_code(error, cause.code, **facts), "message": _clip(cause.public_message)}
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
