"""GraphQL over WebSocket: the graphql-transport-ws protocol, for every kind of operation.

Messages and close codes: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from graphql_api import tracing
from graphql_api.errors import InvalidInput, graphql_error_body
from graphql_api.execution.document import OperationInfo
from graphql_api.execution.execute import execute_or_subscribe
from graphql_api.execution.messages import GraphQLRequest, GraphQLResponse
from graphql_api.execution.rejections import build_error_response
from graphql_api.http.cors import CORSPolicy, describe_blocked_page
from graphql_api.http.errors import HTTPRejection, get_client, log_rejection
from graphql_api.http.forwarded import group_address
from graphql_api.http.graphql.endpoint import REJECTIONS, GraphQLEndpoint, encode_json
from graphql_api.http.graphql.request import (
    COST_HEADER,
    GRAPHQL_PATHS,
    RequestFields,
    asks_for_cost,
    parse_fields,
    parse_json,
)
from graphql_api.http.middleware.request_id import get_request_id
from graphql_api.metrics.definitions import NO_KIND, SUBSCRIPTIONS
from graphql_api.schema.context import GraphQLContext

logger = logging.getLogger(__name__)

SUBPROTOCOL = "graphql-transport-ws"

_MAX_OPERATIONS = 20
"""Concurrent operations of one connection."""
_MAX_ID_LENGTH = 200
"""Characters of an operation's id, which each of its messages repeats."""
_MAX_REASON_BYTES = 123
"""Bytes of a close reason, by RFC 6455."""

_ANONYMOUS_SUBSCRIPTION = OperationInfo("subscription", None)

_FORBIDDEN = 403
_INTERNAL_ERROR = 1011
_BAD_REQUEST = 4400
_UNAUTHORIZED = 4401
_SUBPROTOCOL_NOT_ACCEPTABLE = 4406
_INIT_TIMED_OUT = 4408
_SUBSCRIBER_ALREADY_EXISTS = 4409
_TOO_MANY_INIT_REQUESTS = 4429


class _CloseConnection(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketEndpoint:
    """The endpoint at /graphql, for WebSockets."""

    http_endpoint: GraphQLEndpoint
    """The endpoint for HTTP, whose schema, contexts and persisted queries this one shares."""
    cors_policy: CORSPolicy
    request_timeout: float
    """Seconds that a client has to send `connection_init`."""
    new_id: Callable[[], str]
    """Makes the ids of operations, like those of requests."""

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection until it is closed."""
        connection_id = get_request_id(websocket)
        if not self.cors_policy.allows_connection(websocket):
            await _reject(websocket, describe_blocked_page(websocket.headers["Origin"]))
            return
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None
        await websocket.accept(subprotocol)
        handler = _ConnectionHandler(self, websocket, connection_id)
        try:
            await handler.run()
        except Exception:
            logger.exception("WebSocket %s failed", connection_id)
            await handler.close(_INTERNAL_ERROR, "Something went wrong here")


@dataclass(slots=True, eq=False)
class _ActiveOperation:
    id: str
    task: asyncio.Task[None] | None = None
    """Executes the operation. None if it was rejected, or has ended."""
    is_stream: bool = False
    """True once a subscription has started. Only subscriptions are cancelled."""
    started_at: float = field(default_factory=time.perf_counter)

    def forget_task(self, _: object) -> None:  # the traceback of a cancelled task refers to this object
        self.task = None


@dataclass(slots=True)
class _ConnectionHandler:
    endpoint: WebSocketEndpoint
    websocket: WebSocket
    id: str
    context: GraphQLContext | None = None
    """Set once the client has sent `connection_init`."""
    operations: dict[str, _ActiveOperation] = field(default_factory=dict)
    """Operations whose results the client expects, by id."""
    detached_tasks: set[asyncio.Task[None]] = field(default_factory=set)
    """Operations that the client has completed and that still run: they are executed to their end."""
    send_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_closed: bool = False

    async def run(self) -> None:
        """Handle messages until the connection is closed, then wait for running mutations."""
        async with asyncio.TaskGroup() as tasks:
            try:
                await self._receive_loop(tasks)
            except (_CloseConnection, HTTPRejection) as error:
                code = error.code if isinstance(error, _CloseConnection) else _BAD_REQUEST
                logger.info("WebSocket %s is closed, %d: %r", self.id, code, str(error))
                await self.close(code, str(error))
            except WebSocketDisconnect:
                self.is_closed = True
            finally:
                for operation in list(self.operations.values()):
                    self._cancel_operation(operation)

    async def close(self, code: int, reason: str) -> None:
        if not self.is_closed:
            self.is_closed = True
            truncated = reason.encode(errors="replace")[:_MAX_REASON_BYTES]
            with suppress(WebSocketDisconnect):
                await self.websocket.close(code, truncated.decode(errors="ignore"))

    async def _receive_loop(self, tasks: asyncio.TaskGroup) -> None:
        if SUBPROTOCOL not in self.websocket.scope["subprotocols"]:
            raise _CloseConnection(_SUBPROTOCOL_NOT_ACCEPTABLE, f"Speak {SUBPROTOCOL}")
        try:
            async with asyncio.timeout(self.endpoint.request_timeout) as init_timeout:
                while True:
                    await self._handle_message(await self._receive(), tasks)
                    if self.context is not None:
                        init_timeout.reschedule(None)
        except TimeoutError:
            raise _CloseConnection(_INIT_TIMED_OUT, "Connection initialisation timeout") from None

    async def _receive(self) -> Mapping[str, Any]:
        message = await self.websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        if message.get("text") is None:
            raise _CloseConnection(_BAD_REQUEST, "Send text")
        parsed = parse_json(message["text"], "The message")
        if not isinstance(parsed, dict):
            raise _CloseConnection(_BAD_REQUEST, "The message must be an object")
        return parsed

    async def _handle_message(self, message: Mapping[str, Any], tasks: asyncio.TaskGroup) -> None:
        match message.get("type"):
            case "connection_init":
                await self._handle_connection_init(_read_payload(message))
            case "ping":
                _read_payload(message)
                await self._send({"type": "pong"})
            case "pong":
                _read_payload(message)
            case "subscribe":
                await self._handle_subscribe(message, tasks)
            case "complete":
                operation = self.operations.get(_read_id(message))
                if operation is not None:
                    self._cancel_operation(operation)
            case _:
                raise _CloseConnection(_BAD_REQUEST, "The message is of no known type")

    async def _handle_connection_init(self, payload: Mapping[str, Any]) -> None:
        if self.context is not None:
            raise _CloseConnection(_TOO_MANY_INIT_REQUESTS, "Too many initialisation requests")
        credentials = self._find_header("Authorization", payload)
        is_asking = asks_for_cost(self._find_header(COST_HEADER, payload))
        self.context = self.endpoint.http_endpoint.create_context(self.websocket, credentials, is_asking)
        await self._send({"type": "connection_ack"})

    def _find_header(self, name: str, payload: Mapping[str, Any]) -> str:
        """Return a header of the payload, or else of the handshake."""
        value = _find_payload_header(name, payload)
        return self.websocket.headers.get(name, "") if value is None else value

    async def _handle_subscribe(self, message: Mapping[str, Any], tasks: asyncio.TaskGroup) -> None:
        if self.context is None:
            raise _CloseConnection(_UNAUTHORIZED, "Unauthorized")
        operation = _ActiveOperation(_read_id(message))
        if operation.id in self.operations:
            raise _CloseConnection(_SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {operation.id} already exists")
        self.operations[operation.id] = operation
        fields = parse_fields(message.get("payload"))
        try:
            request = self._build_request(fields)
        except (InvalidInput, *REJECTIONS) as error:
            await self._send_result(operation, build_error_response(error))
        else:
            while len(self.operations) + len(self.detached_tasks) > _MAX_OPERATIONS:
                await asyncio.wait(self.detached_tasks, return_when=asyncio.FIRST_COMPLETED)
            operation.task = tasks.create_task(self._execute(operation, fields, request, self.context))
            operation.task.add_done_callback(self.detached_tasks.discard)
            operation.task.add_done_callback(operation.forget_task)

    def _build_request(self, fields: RequestFields) -> GraphQLRequest:
        if len(self.operations) > _MAX_OPERATIONS:
            message = f"At most {_MAX_OPERATIONS} operations may go on over one connection."
            raise InvalidInput(message)
        client, http_endpoint = get_client(self.websocket.scope), self.endpoint.http_endpoint
        budget = http_endpoint.schema.create_budget(http_endpoint.find_bucket(client))
        budget.charge(1)
        return http_endpoint.build_graphql_request(fields, budget, group_address(client or ""))

    async def _execute(
        self, operation: _ActiveOperation, fields: RequestFields, request: GraphQLRequest, context: GraphQLContext
    ) -> None:
        request_id, http_endpoint = self.endpoint.new_id(), self.endpoint.http_endpoint
        client = get_client(self.websocket.scope)
        with tracing.span(tracing.OPERATION, serves_client=True):
            result = await execute_or_subscribe(http_endpoint.schema, request, context=context, request_id=request_id)
            info = result.operation if isinstance(result, GraphQLResponse) else _ANONYMOUS_SUBSCRIPTION
            codes = result.error_codes if isinstance(result, GraphQLResponse) else []
            tracing.describe_operation(info.kind, info.name, codes, request.budget.cost if request.budget else None)
        if isinstance(result, GraphQLResponse):
            http_endpoint.register_persisted_query(fields, result, request_id, client)
            await http_endpoint.pause_wrong_token(context, result.error_codes, request_id, client)
            await self._send_result(operation, result)
            return
        self._record_operation(operation, _ANONYMOUS_SUBSCRIPTION, [])
        metrics = http_endpoint.request_log.metrics
        metrics.add(SUBSCRIPTIONS, 1)
        try:
            await self._stream(operation, result)
        finally:
            metrics.add(SUBSCRIPTIONS, -1)

    def _record_operation(self, operation: _ActiveOperation, info: OperationInfo, codes: list[str]) -> None:
        """Record a finished operation, or a subscription that has started."""
        seconds = time.perf_counter() - operation.started_at
        request_log = self.endpoint.http_endpoint.request_log
        request_log.record_operation({}, info, codes)
        request_log.metrics.record_request(info.kind or NO_KIND, 200, seconds)

    async def _send_result(self, operation: _ActiveOperation, result: GraphQLResponse) -> None:
        """Record the only result of an operation; send it unless the client has completed it."""
        self._record_operation(operation, result.operation, result.error_codes)
        if not result.executed:
            await self._send_final(operation, {"type": "error", "payload": result.body["errors"]})
        else:
            await self._send_next(operation, result)
            await self._send_final(operation, {"type": "complete"})

    async def _stream(self, operation: _ActiveOperation, results: AsyncGenerator[GraphQLResponse, None]) -> None:
        """Send the results of a subscription until it ends or the client completes it."""
        async with aclosing(results):
            if not self._is_active(operation):
                return
            operation.is_stream = True
            async for result in results:
                self.endpoint.http_endpoint.request_log.record_operation({}, result.operation, result.error_codes)
                await self._send_next(operation, result)
        await self._send_final(operation, {"type": "complete"})

    async def _send_next(self, operation: _ActiveOperation, result: GraphQLResponse) -> None:
        if self._is_active(operation):
            await self._send({"id": operation.id, "type": "next", "payload": result.body})

    async def _send_final(self, operation: _ActiveOperation, message: Mapping[str, Any]) -> None:
        """Send the last message of an operation, whose id may then be used again."""
        if self._is_active(operation):
            del self.operations[operation.id]
            await self._send({"id": operation.id, **message})

    def _is_active(self, operation: _ActiveOperation) -> bool:
        """Return whether the client expects results; it may have used the id again."""
        return self.operations.get(operation.id) is operation

    def _cancel_operation(self, operation: _ActiveOperation) -> None:
        del self.operations[operation.id]
        if operation.task is not None:
            if operation.is_stream:
                operation.task.cancel()
            if not operation.task.done():
                self.detached_tasks.add(operation.task)

    async def _send(self, message: Mapping[str, Any]) -> None:
        """Send a message once those before it are sent and the client has read enough of them."""
        text = encode_json(message).decode()
        async with self.send_lock:
            if not self.is_closed:
                try:
                    await self.websocket.send_text(text)
                except WebSocketDisconnect:
                    self.is_closed = True  # `_receive` raises as well and ends the connection


def _read_payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise _CloseConnection(_BAD_REQUEST, "payload must be an object")
    return payload or {}


def _find_payload_header(name: str, payload: Mapping[str, Any]) -> str | None:
    """Return what `payload.<name>` or `payload.headers.<name>` holds, in any case of letters."""
    values = []
    for key, value in payload.items():
        if key.lower() == name.lower():
            values.append(value)
        elif key.lower() == "headers" and value is not None:
            if not isinstance(value, dict):
                raise _CloseConnection(_BAD_REQUEST, "payload.headers must be an object")
            values += [header for header_name, header in value.items() if header_name.lower() == name.lower()]
    if not all(isinstance(value, str) for value in values):
        raise _CloseConnection(_BAD_REQUEST, f"{name} must be a text")
    if len(set(values)) > 1:
        raise _CloseConnection(_BAD_REQUEST, f"{name} is given twice, with different values")
    return values[0] if values else None


def _read_id(message: Mapping[str, Any]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not 0 < len(operation_id) <= _MAX_ID_LENGTH:
        reason = f"id must be a text of at most {_MAX_ID_LENGTH} characters"
        raise _CloseConnection(_BAD_REQUEST, reason)
    return operation_id


async def reject_path(websocket: WebSocket) -> None:
    """Reject a WebSocket at any other path."""
    await _reject(websocket, f"WebSockets are served at {GRAPHQL_PATHS[0]} only.")


async def _reject(websocket: WebSocket, message: str) -> None:
    log_rejection(get_request_id(websocket), get_client(websocket.scope), _FORBIDDEN, message)
    body = graphql_error_body(message, InvalidInput.code)
    await websocket.send_denial_response(JSONResponse(body, _FORBIDDEN))
