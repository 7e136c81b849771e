"""GraphQL over WebSocket: the protocol graphql-transport-ws, and who may speak it.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md says what messages there are, and
by which codes a connection is closed. Queries and mutations may come this way too.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from graphql_api.errors import InvalidInput, PersistedQueryNotFound, graphql_error_body
from graphql_api.execution.document import OperationInfo
from graphql_api.execution.execute import (
    GraphQLResponse,
    build_error_response,
    execute_or_subscribe,
)
from graphql_api.http.errors import HTTPRejection
from graphql_api.http.graphql.endpoint import (
    GraphQLEndpoint,
    ParsedRequest,
    encode_json,
    parse_json,
)
from graphql_api.http.middleware.request_id import get_request_id
from graphql_api.metrics.definitions import NO_KIND, SUBSCRIPTIONS
from graphql_api.schema.context import GraphQLContext

logger = logging.getLogger(__name__)

SUBPROTOCOL = "graphql-transport-ws"

_MAX_OPERATIONS = 20
"""Operations of one connection that may go on at the same time."""
_MAX_ID_LENGTH = 200
"""Characters of an operation's id, which every one of its answers repeats."""
_MAX_REASON_BYTES = 123
"""Bytes of why a connection is closed, by RFC 6455."""

_ANONYMOUS_SUBSCRIPTION = OperationInfo("subscription", None)

_INTERNAL_ERROR = 1011
_BAD_REQUEST = 4400
_UNAUTHORIZED = 4401
_SUBPROTOCOL_NOT_ACCEPTABLE = 4406
_INIT_TIMED_OUT = 4408
_SUBSCRIBER_ALREADY_EXISTS = 4409
_TOO_MANY_INIT_REQUESTS = 4429


class _CloseConnection(Exception):
    """The connection is to be closed, by a code and for a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketEndpoint:
    """Answers WebSockets at /graphql."""

    http_endpoint: GraphQLEndpoint
    """Answers the same otherwise."""
    allowed_origins: Collection[str]
    """Whose pages may connect, besides those of the host that is connected to; `*` is all."""
    request_timeout: float
    """Seconds that a client has to say hello."""
    new_id: Callable[[], str]

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection to its end."""
        connection_id = get_request_id(websocket)
        if not self._is_origin_allowed(websocket):
            logger.info("WebSocket %s is refused: its page is of a foreign origin", connection_id)
            await websocket.send_denial_response(_build_origin_rejection())
            return
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None
        await websocket.accept(subprotocol)
        handler = _ConnectionHandler(self, websocket, connection_id)
        try:
            await handler.run()
        except Exception:
            logger.exception("WebSocket %s broke off.", connection_id)
            await handler.close(_INTERNAL_ERROR, "Something went wrong here")

    def _is_origin_allowed(self, websocket: WebSocket) -> bool:
        """Tell whether it is no browser's, or that of a page that may connect."""
        origin = websocket.headers.get("Origin")
        if origin is None or "*" in self.allowed_origins or origin in self.allowed_origins:
            return True
        host = websocket.headers.get("Host", "")
        return origin.partition("://")[2].lower() == host.lower() != ""


@dataclass(slots=True, eq=False)
class _ActiveOperation:
    """An operation that goes on."""

    id: str
    stream_task: asyncio.Task[None] | None = None
    """What may be broken off: set once a subscription has begun."""
    started_at: float = field(default_factory=time.perf_counter)


@dataclass(slots=True)
class _ConnectionHandler:
    """One client's, from its hello to its end."""

    endpoint: WebSocketEndpoint
    websocket: WebSocket
    id: str
    context: GraphQLContext | None = None
    """Set once the client has said hello."""
    operations: dict[str, _ActiveOperation] = field(default_factory=dict)
    """Those whose answers the client waits for."""
    detached_operations: set[_ActiveOperation] = field(default_factory=set)
    """Those that go on though nobody waits for their answers."""
    send_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_closed: bool = False

    async def run(self) -> None:
        """Take messages until the client leaves.

        Mutations that go on then are waited for: nothing breaks them off.
        """
        async with asyncio.TaskGroup() as tasks:
            try:
                await self._receive_loop(tasks)
            except _CloseConnection as error:
                logger.info("WebSocket %s is closed, %d: %r", self.id, error.code, str(error))
                await self.close(error.code, str(error))
            except WebSocketDisconnect:
                self.is_closed = True
            finally:
                for operation in list(self.operations.values()):
                    self._cancel_operation(operation)

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, if it is open."""
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
        with _close_on_rejection():
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
        authorization_values = (
            value for name, value in payload.items() if name.lower() == "authorization"
        )
        credentials = next(authorization_values, self.websocket.headers.get("Authorization", ""))
        if not isinstance(credentials, str):
            raise _CloseConnection(_BAD_REQUEST, "Authorization must be a text")
        self.context = self.endpoint.http_endpoint.create_context(self.websocket, credentials)
        await self._send({"type": "connection_ack"})

    async def _handle_subscribe(self, message: Mapping[str, Any], tasks: asyncio.TaskGroup) -> None:
        if self.context is None:
            raise _CloseConnection(_UNAUTHORIZED, "Unauthorized")
        operation = _ActiveOperation(_read_id(message))
        if operation.id in self.operations:
            raise _CloseConnection(
                _SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {operation.id} already exists"
            )
        self.operations[operation.id] = operation
        try:
            parsed = self._parse_operation(message.get("payload"))
        except (InvalidInput, PersistedQueryNotFound) as error:
            result = build_error_response(error)
            self._record_operation(operation, result.operation, result.error_codes)
            await self._send_result(operation, result)
        else:
            tasks.create_task(self._execute(operation, parsed, self.context))

    def _parse_operation(self, payload: object) -> ParsedRequest:
        with _close_on_rejection():
            parsed = self.endpoint.http_endpoint.parse_request(payload)
        if len(self.operations) + len(self.detached_operations) > _MAX_OPERATIONS:
            raise InvalidInput(
                f"At most {_MAX_OPERATIONS} operations may go on over one connection."
            )
        return parsed

    async def _execute(
        self, operation: _ActiveOperation, parsed: ParsedRequest, context: GraphQLContext
    ) -> None:
        request_id, http_endpoint = self.endpoint.new_id(), self.endpoint.http_endpoint
        try:
            result = await execute_or_subscribe(
                http_endpoint.schema, parsed.request, context=context, request_id=request_id
            )
            if isinstance(result, GraphQLResponse):
                self._record_operation(operation, result.operation, result.error_codes)
                http_endpoint.register_persisted_query(parsed, result, request_id)
                await self._send_result(operation, result)
            else:
                self._record_operation(operation, _ANONYMOUS_SUBSCRIPTION, [])
                with self._count_subscription():
                    await self._stream(operation, result)
        finally:
            self.detached_operations.discard(operation)

    def _record_operation(
        self, operation: _ActiveOperation, info: OperationInfo, codes: list[str]
    ) -> None:
        """Count an operation that is answered, or that has begun to be."""
        seconds = time.perf_counter() - operation.started_at
        request_log = self.endpoint.http_endpoint.request_log
        request_log.record_operation({}, info, codes)
        request_log.metrics.record_request(info.kind or NO_KIND, 200, seconds)

    @contextmanager
    def _count_subscription(self) -> Iterator[None]:
        metrics = self.endpoint.http_endpoint.request_log.metrics
        metrics.add(SUBSCRIPTIONS, 1)
        try:
            yield
        finally:
            metrics.add(SUBSCRIPTIONS, -1)

    async def _send_result(self, operation: _ActiveOperation, result: GraphQLResponse) -> None:
        """Answer an operation once, unless the client has completed it."""
        if not result.executed:
            await self._send_final(operation, {"type": "error", "payload": result.body["errors"]})
        else:
            await self._send_next(operation, result)
            await self._send_final(operation, {"type": "complete"})

    async def _stream(
        self, operation: _ActiveOperation, results: AsyncGenerator[GraphQLResponse, None]
    ) -> None:
        """Pass on what a subscription yields, until the client completes it."""
        async with aclosing(results):
            if not self._is_active(operation):
                return
            operation.stream_task = asyncio.current_task()
            async for result in results:
                self.endpoint.http_endpoint.request_log.record_operation(
                    {}, result.operation, result.error_codes
                )
                await self._send_next(operation, result)
        await self._send_final(operation, {"type": "complete"})

    async def _send_next(self, operation: _ActiveOperation, result: GraphQLResponse) -> None:
        if self._is_active(operation):
            await self._send({"id": operation.id, "type": "next", "payload": result.body})

    async def _send_final(self, operation: _ActiveOperation, message: Mapping[str, Any]) -> None:
        """Send the last message of an operation, whose id is then free."""
        if self._is_active(operation):
            del self.operations[operation.id]
            await self._send({"id": operation.id, **message})

    def _is_active(self, operation: _ActiveOperation) -> bool:
        """Tell whether the client waits for answers; it may have used the id again."""
        return self.operations.get(operation.id) is operation

    def _cancel_operation(self, operation: _ActiveOperation) -> None:
        del self.operations[operation.id]
        if operation.stream_task is None:
            self.detached_operations.add(operation)
        else:
            operation.stream_task.cancel()

    async def _send(self, message: Mapping[str, Any]) -> None:
        """Send a message, one after another, when the client has read enough of those before."""
        text = encode_json(message).decode()
        async with self.send_lock:
            if not self.is_closed:
                try:
                    await self.websocket.send_text(text)
                except WebSocketDisconnect:
                    self.is_closed = True  # and whoever listens is told


@contextmanager
def _close_on_rejection() -> Iterator[None]:
    try:
        yield
    except HTTPRejection as rejection:
        raise _CloseConnection(_BAD_REQUEST, str(rejection)) from None


def _read_payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise _CloseConnection(_BAD_REQUEST, "payload must be an object")
    return payload or {}


def _read_id(message: Mapping[str, Any]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not 0 < len(operation_id) <= _MAX_ID_LENGTH:
        raise _CloseConnection(
            _BAD_REQUEST, f"id must be a text of at most {_MAX_ID_LENGTH} characters"
        )
    return operation_id


def _build_origin_rejection() -> JSONResponse:
    message = "Pages of this origin may not connect; CORS_ORIGINS names those that may."
    return JSONResponse(graphql_error_body(message, InvalidInput.code), 403)
