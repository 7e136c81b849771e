"""Execution of one request: its result, or its errors in the form that clients know."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import Any, TypeVar

import graphql
import orjson
from graphql import DocumentNode, ExecutionResult
from strawberry.execution.is_awaitable import optimized_is_awaitable
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.errors import InvalidInput, QueryTooComplex
from graphql_api.execution.document import Document, PreparedOperation
from graphql_api.execution.encoders import Encoder, ExecutionState, Pieces
from graphql_api.execution.engine import Schema
from graphql_api.execution.errors import format_resolver_error
from graphql_api.execution.executor import MAX_ERRORS, BoundedExecutor
from graphql_api.execution.extensions import add_cost, build_extensions
from graphql_api.execution.limits import Budget
from graphql_api.execution.messages import CompiledResponse, GraphQLRequest, GraphQLResponse, OperationFields
from graphql_api.execution.query_cost import UNCOMPILED_FACTOR
from graphql_api.execution.rejections import (
    REJECTIONS,
    RequestRejected,
    build_error_response,
    build_rejected_response,
    build_rejection,
)
from graphql_api.schema.context import GraphQLContext
from graphql_api.utils.named_tuples import new_tuple
from graphql_api.utils.slices import end_slice

T = TypeVar("T")

MAX_SYNC_COST = 5_000
"""Cost up to which a query is executed synchronously: a few milliseconds."""
_MAX_SYNC_LENGTH = 1_000
"""Characters up to which a new document is parsed and validated synchronously: a few milliseconds."""

QUERIES_ONLY = (OperationType.QUERY,)
QUERIES_AND_MUTATIONS = (OperationType.QUERY, OperationType.MUTATION)
"""The operations with a single result. Tuples, because the hash of an enum is a Python function."""


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
        prepared = await _prepare_in_turn(schema, request, context, allowed_operations)
        return await prepared.run(request_id)
    except REJECTIONS as error:
        return build_rejection(error)


async def execute_or_subscribe(
    schema: Schema,
    request: GraphQLRequest,
    *,
    context: GraphQLContext,
    request_id: str,
    allowed_operations: Iterable[OperationType] = OperationType,
) -> GraphQLResponse | AsyncGenerator[GraphQLResponse, None]:
    """Execute an operation, or raise as `execute` does. A subscription returns a generator of its responses."""
    try:
        prepared = await _prepare_in_turn(schema, request, context, allowed_operations)
        if prepared.operation.type is OperationType.SUBSCRIPTION:
            return await prepared.subscribe(request_id)
        return await prepared.run(request_id)
    except REJECTIONS as error:
        return build_rejection(error)


def execute_sync_if_cheap(
    schema: Schema, query: str, fields: OperationFields, budget: Budget, context: GraphQLContext
) -> CompiledResponse | None:
    """Execute a cacheable query of low cost whose document is cached.

    Returns None for every other request, for every request with an error, and once this turn of the event loop has
    done enough: `execute` handles them.
    """
    document, turns = schema.document_cache.find(query), schema.turns
    if document is None or not turns.has_time:
        return None
    started_at = turns.clock()
    response = _run_compiled_if_cheap(schema, document, fields, budget, context)
    turns.spend(turns.clock() - started_at)  # not `run`, whose closure and calls take a microsecond
    return response


def _run_compiled_if_cheap(
    schema: Schema, document: Document, fields: OperationFields, budget: Budget, context: GraphQLContext
) -> CompiledResponse | None:
    try:
        operation, variables, cost = _validate(schema, document, fields, context, QUERIES_ONLY)
        encoder = operation.compile(variables)
        if cost > MAX_SYNC_COST or encoder is None:
            return None
        budget.begin_operation(cost)
        reader = SnapshotReader(context.catalog.snapshot, budget.check_time)
        data = _run_compiled(encoder, reader, variables, budget)
        extensions = build_extensions(reader)
    except (*REJECTIONS, InvalidOperationTypeError):
        return None
    if data is None:
        return None
    end = b"," + orjson.dumps(extensions)[1:] if extensions else b"}"
    return new_tuple(CompiledResponse, (b"".join((b'{"data":', *data, end)), operation.info))


def _run_compiled(
    encoder: Encoder, reader: SnapshotReader, variables: Mapping[str, Any], budget: Budget
) -> Pieces | None:
    """Return the JSON of the data of a compiled operation. None if a value is not what its type says.

    Raises:
        QueryTooComplex: The operation exceeds the limit of milliseconds or of bytes.
    """
    data: Pieces = []
    try:
        encoder.write(reader, new_tuple(ExecutionState, (reader, variables, reader.snapshot.derived, budget)), data)
    except QueryTooComplex:
        raise
    except Exception:  # noqa: BLE001 - the stock executor reports it
        return None
    budget.spend_bytes(sum(map(len, data)))
    return data


@dataclass(slots=True, kw_only=True)
class _PreparedExecution:
    """An allowed and valid operation with its variables. It is not frozen: that takes three times as long to make."""

    schema: Schema
    document: DocumentNode
    operation: PreparedOperation
    raw_variables: Mapping[str, Any]
    variables: Mapping[str, Any]
    """Coerced."""
    encoder: Encoder | None
    """Makes the JSON of the data. None if the operation cannot be compiled."""
    context: GraphQLContext
    client: str
    cost: int
    budget: Budget

    @property
    def is_query(self) -> bool:
        """Return whether this is a query. Others wait for sources and database, which have their own timeouts."""
        return self.operation.type is OperationType.QUERY

    @property
    def reader(self) -> SnapshotReader:
        """Return the root object of a query."""
        return SnapshotReader(self.context.catalog.snapshot, self.budget.check_time)

    def _run_compiled(self, encoder: Encoder) -> tuple[Pieces | None, Mapping[str, Any]]:
        """Return the JSON of the data, and the extensions of the response. None if the stock executor has to run it."""
        reader = self.reader
        return _run_compiled(encoder, reader, self.variables, self.budget), build_extensions(reader)

    async def run(self, request_id: str) -> GraphQLResponse:
        """Execute a query or a mutation. The data of a query that exceeds its budget is null.

        Raises:
            QueryTooComplex: A value is not what its type says, and the query costs too much when that is reported.
        """
        return self._report_cost(await self._run(request_id))

    async def _run(self, request_id: str) -> GraphQLResponse:
        try:
            if self.is_query:
                self.budget.check_time()
            if self.encoder is not None:
                work = partial(self._run_compiled, self.encoder)
                data, extensions = await self._run_in_turn(work, self.cost)
                if data is not None:
                    body = {"data": orjson.Fragment(b"".join(data)), **extensions}
                    return GraphQLResponse(body, executed=True, cacheable=True, operation=self.operation.info)
        except QueryTooComplex as error:
            return self._build_aborted_response(error)
        if self.is_query:
            if self.encoder is not None:
                self.budget.spend_cost(self.cost * (UNCOMPILED_FACTOR - 1))
            return await self._run_stock(request_id)
        with self.budget.paused():
            return await self._run_stock(request_id)

    async def _run_in_turn(self, work: Callable[[], T], cost: int) -> T:
        turns = self.schema.turns
        if not self.is_query:
            return turns.run(work)
        if cost <= MAX_SYNC_COST:
            return await turns.run_short(work, self.client, self.budget.paused)
        return await turns.run_long(work, self.client, self.budget.paused)

    async def _run_stock(self, request_id: str) -> GraphQLResponse:
        reader = self.reader
        try:
            start = partial(graphql.execute, root_value=reader, **self._stock_arguments)
            result = await self._run_in_turn(start, self.budget.operation_cost)
        except QueryTooComplex as error:
            return self._build_aborted_response(error)
        if isawaitable(result):
            result = await result
        for located_error in result.errors or ():
            if isinstance(located_error.original_error, QueryTooComplex):
                return self._build_aborted_response(located_error.original_error)
        try:
            extensions = build_extensions(reader)
        except QueryTooComplex as error:
            return self._build_aborted_response(error)
        response = self._build_response(result, request_id)
        is_cacheable = self.operation.reads_schema_only and not result.errors
        return response._replace(body={**response.body, **extensions}, cacheable=is_cacheable)

    async def subscribe(self, request_id: str) -> GraphQLResponse | AsyncGenerator[GraphQLResponse, None]:
        """Start a subscription. Returns its responses, or the error."""
        results = graphql.subscribe(**self._stock_arguments)
        if isawaitable(results):
            results = await results
        if isinstance(results, ExecutionResult):
            errors = [format_resolver_error(error, request_id) for error in results.errors or ()]
            return build_rejected_response(errors)._replace(operation=self.operation.info)

        async def stream_responses() -> AsyncGenerator[GraphQLResponse, None]:
            async for result in results:
                yield self._report_cost(self._build_response(result, request_id))

        return stream_responses()

    @property
    def _stock_arguments(self) -> dict[str, Any]:
        """Arguments of graphql-core's functions, for Strawberry's executor."""
        return {
            "schema": self.schema.executable,
            "document": self.document,
            "context_value": self.context,
            "variable_values": self.raw_variables,
            "operation_name": self.operation.info.name,
            "executor_class": BoundedExecutor,
            "budget": self.budget if self.is_query else None,
            "is_awaitable": optimized_is_awaitable,
            "hide_suggestions": self.operation.hide_suggestions,
        }

    def _report_cost(self, response: GraphQLResponse) -> GraphQLResponse:
        """Add the cost to a response whose client wants it. Others do not get it from a cache."""
        if not self.context.reports_cost:
            return response
        body = add_cost(response.body, self.budget.operation_cost, self.budget.limits.cost)
        return response._replace(body=body, cacheable=False)

    def _build_aborted_response(self, error: QueryTooComplex) -> GraphQLResponse:
        self.budget.discard_bytes()
        body = {"data": None, **build_error_response(error).body}
        return GraphQLResponse(body, executed=True, operation=self.operation.info)

    def _build_response(self, result: ExecutionResult, request_id: str) -> GraphQLResponse:
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = [format_resolver_error(error, request_id) for error in result.errors[:MAX_ERRORS]]
        return GraphQLResponse(body, executed=True, operation=self.operation.info)


async def _prepare_in_turn(
    schema: Schema, request: GraphQLRequest, context: GraphQLContext, allowed_operations: Iterable[OperationType]
) -> _PreparedExecution:
    budget = request.budget or schema.create_budget()
    if budget is request.budget:
        budget.check_time()  # other requests of a batch may have used it up
    prepare = partial(_prepare, schema, request, context, allowed_operations, budget)
    is_known = request.query in schema.document_cache
    if not is_known:
        budget.charge(len(request.query))  # parsing and validating a character takes as long as a field
    if not is_known and len(request.query) > _MAX_SYNC_LENGTH:
        prepared = await schema.turns.run_long(prepare, request.client, budget.paused)
    else:
        if not schema.turns.has_time:
            with budget.paused():
                await schema.turns.wait()
        prepared = await schema.turns.run_short(prepare, request.client, budget.paused)
    budget.begin_operation(prepared.cost)
    return prepared


def _validate(
    schema: Schema,
    document: Document,
    fields: OperationFields,
    context: GraphQLContext,
    allowed_operations: Iterable[OperationType],
) -> tuple[PreparedOperation, Mapping[str, Any], int]:
    """Return the operation that a request executes of its document, the coerced variables and the cost.

    Raises:
        InvalidOperationTypeError: The operation's type is not in `allowed_operations`.
        Exception: One of `REJECTIONS`.
    """
    operation = document.get_operation(fields.operation_name)
    if operation.type not in allowed_operations:
        raise InvalidOperationTypeError(operation.type)
    raw_variables = fields.variables or {}
    cost = operation.cost.check(raw_variables, schema.measure_data(context.catalog))
    end_slice()
    if errors := document.validate(operation):
        raise RequestRejected(operation, errors, "GRAPHQL_VALIDATION_FAILED")
    variables = operation.coerce_variables(raw_variables)
    if isinstance(variables, list):
        raise RequestRejected(operation, variables, InvalidInput.code)
    return operation, variables, cost


def _prepare(
    schema: Schema,
    request: GraphQLRequest,
    context: GraphQLContext,
    allowed_operations: Iterable[OperationType],
    budget: Budget,
) -> _PreparedExecution:
    document = schema.document_cache.get_or_parse(request.query)
    operation, variables, cost = _validate(schema, document, request, context, allowed_operations)
    encoder = operation.compile(variables)
    is_query = operation.type is OperationType.QUERY
    return _PreparedExecution(
        schema=schema,
        document=document.node,
        operation=operation,
        raw_variables=request.variables or {},
        variables=variables,
        encoder=encoder,
        context=context,
        client=request.client,
        cost=cost if encoder is not None or not is_query else cost * UNCOMPILED_FACTOR,
        budget=budget,
    )
