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

from graphql_api.errors import InvalidInput, PersistedQueryNotFound
from graphql_api.http.graphql import Given, GraphQLEndpoint, encode, parse_json
from graphql_api.http.refusing import Refused
from graphql_api.metrics.families import NO_KIND, SUBSCRIPTIONS
from graphql_api.schema.context import Context
from graphql_api.schema.execution import GraphQLResponse, refuse, start
from graphql_api.schema.plans import OperationInfo

logger = logging.getLogger(__name__)

PROTOCOL = "graphql-transport-ws"

_MOST_OPERATIONS = 20
"""Operations of one connection that may go on at the same time."""
_LONGEST_ID = 200
"""Characters of an operation's id, which every one of its answers repeats."""
_LONGEST_REASON = 123
"""Bytes of why a connection is closed, by RFC 6455."""

_SUBSCRIPTION = OperationInfo("subscription", None)

_INTERNAL_ERROR = 1011
_INVALID = 4400
_UNAUTHORIZED = 4401
_NO_PROTOCOL = 4406
_TOO_LATE = 4408
_SAME_ID = 4409
_INITIALISED_ALREADY = 4429


class _Closing(Exception):
    """The connection is to be closed, by a code and for a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketEndpoint:
    """Answers WebSockets at /graphql."""

    over_http: GraphQLEndpoint
    """Answers the same otherwise."""
    origins: Collection[str]
    """Whose pages may connect, besides those of the host that is connected to; `*` is all."""
    patience: float
    """Seconds that a client has to say hello."""
    new_id: Callable[[], str]

    async def serve(self, socket: WebSocket) -> None:
        """Serve one connection to its end."""
        connection_id = self.new_id()
        if not self._is_welcome(socket):
            logger.info("WebSocket %s is refused: its page is of a foreign origin", connection_id)
            await socket.send_denial_response(_foreign())
            return
        offered = PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None
        await socket.accept(offered, [(b"x-request-id", connection_id.encode())])
        conversation = _Conversation(self, socket, connection_id)
        try:
            await conversation.hold()
        except Exception:
            logger.exception("WebSocket %s broke off.", connection_id)
            await conversation.close(_INTERNAL_ERROR, "Something went wrong here")

    def _is_welcome(self, socket: WebSocket) -> bool:
        """Tell whether it is no browser's, or that of a page that may connect."""
        origin = socket.headers.get("Origin")
        if origin is None or "*" in self.origins or origin in self.origins:
            return True
        host = socket.headers.get("Host", "")
        return origin.partition("://")[2].lower() == host.lower() != ""


@dataclass(slots=True, eq=False)
class _Operation:
    """An operation that goes on."""

    id: str
    stream: asyncio.Task[None] | None = None
    """What may be broken off: set once a subscription has begun."""
    begun: float = field(default_factory=time.perf_counter)


@dataclass(slots=True)
class _Conversation:
    """One client's, from its hello to its end."""

    endpoint: WebSocketEndpoint
    socket: WebSocket
    id: str
    context: Context | None = None
    """Set once the client has said hello."""
    operations: dict[str, _Operation] = field(default_factory=dict)
    """Those whose answers the client waits for."""
    unawaited: set[_Operation] = field(default_factory=set)
    """Those that go on though nobody waits for their answers."""
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    closed: bool = False

    async def hold(self) -> None:
        """Take messages until the client leaves.

        Mutations that go on then are waited for: nothing breaks them off.
        """
        async with asyncio.TaskGroup() as tasks:
            try:
                await self._listen(tasks)
            except _Closing as closing:
                logger.info("WebSocket %s is closed, %d: %r", self.id, closing.code, str(closing))
                await self.close(closing.code, str(closing))
            except WebSocketDisconnect:
                self.closed = True
            finally:
                for operation in list(self.operations.values()):
                    self._forget(operation)

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, if it is open."""
        if not self.closed:
            self.closed = True
            written = reason.encode(errors="replace")[:_LONGEST_REASON]
            with suppress(WebSocketDisconnect):
                await self.socket.close(code, written.decode(errors="ignore"))

    async def _listen(self, tasks: asyncio.TaskGroup) -> None:
        if PROTOCOL not in self.socket.scope["subprotocols"]:
            raise _Closing(_NO_PROTOCOL, f"Speak {PROTOCOL}")
        try:
            async with asyncio.timeout(self.endpoint.patience) as limit:
                while True:
                    await self._take(await self._receive(), tasks)
                    if self.context is not None:
                        limit.reschedule(None)
        except TimeoutError:
            raise _Closing(_TOO_LATE, "Connection initialisation timeout") from None

    async def _receive(self) -> Mapping[str, Any]:
        message = await self.socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        if message.get("text") is None:
            raise _Closing(_INVALID, "Send text")
        with _invalid_if_refused():
            given = parse_json(message["text"], "The message")
        if not isinstance(given, dict):
            raise _Closing(_INVALID, "The message must be an object")
        return given

    async def _take(self, message: Mapping[str, Any], tasks: asyncio.TaskGroup) -> None:
        match message.get("type"):
            case "connection_init":
                await self._begin(_payload(message))
            case "ping":
                _payload(message)
                await self._send({"type": "pong"})
            case "pong":
                _payload(message)
            case "subscribe":
                await self._subscribe(message, tasks)
            case "complete":
                operation = self.operations.get(_id(message))
                if operation is not None:
                    self._forget(operation)
            case _:
                raise _Closing(_INVALID, "The message is of no known type")

    async def _begin(self, payload: Mapping[str, Any]) -> None:
        if self.context is not None:
            raise _Closing(_INITIALISED_ALREADY, "Too many initialisation requests")
        given = (value for name, value in payload.items() if name.lower() == "authorization")
        credentials = next(given, self.socket.headers.get("Authorization", ""))
        if not isinstance(credentials, str):
            raise _Closing(_INVALID, "Authorization must be a text")
        self.context = self.endpoint.over_http.create_context(self.socket, credentials)
        await self._send({"type": "connection_ack"})

    async def _subscribe(self, message: Mapping[str, Any], tasks: asyncio.TaskGroup) -> None:
        if self.context is None:
            raise _Closing(_UNAUTHORIZED, "Unauthorized")
        operation = _Operation(_id(message))
        if operation.id in self.operations:
            raise _Closing(_SAME_ID, f"Subscriber for {operation.id} already exists")
        self.operations[operation.id] = operation
        try:
            given = self._admit(message.get("payload"))
        except (InvalidInput, PersistedQueryNotFound) as error:
            answer = refuse(error)
            self._count(operation, answer.operation, answer.codes)
            await self._answer(operation, answer)
        else:
            tasks.create_task(self._perform(operation, given, self.context))

    def _admit(self, payload: object) -> Given:
        with _invalid_if_refused():
            given = self.endpoint.over_http.read_fields(payload)
        if len(self.operations) + len(self.unawaited) > _MOST_OPERATIONS:
            raise InvalidInput(
                f"At most {_MOST_OPERATIONS} operations may go on over one connection."
            )
        return given

    async def _perform(self, operation: _Operation, given: Given, context: Context) -> None:
        request_id, over_http = self.endpoint.new_id(), self.endpoint.over_http
        try:
            answer = await start(
                over_http.schema, given.request, context=context, request_id=request_id
            )
            if isinstance(answer, GraphQLResponse):
                self._count(operation, answer.operation, answer.codes)
                over_http.take_note(given, answer, request_id)
                await self._answer(operation, answer)
            else:
                self._count(operation, _SUBSCRIPTION, [])
                with self._gauged():
                    await self._follow(operation, answer)
        finally:
            self.unawaited.discard(operation)

    def _count(self, operation: _Operation, info: OperationInfo, codes: list[str]) -> None:
        """Count an operation that is answered, or that has begun to be."""
        seconds = time.perf_counter() - operation.begun
        recorder = self.endpoint.over_http.recorder
        recorder.operation({}, info, codes)
        recorder.meter.answered(info.kind or NO_KIND, 200, seconds)

    @contextmanager
    def _gauged(self) -> Iterator[None]:
        meter = self.endpoint.over_http.recorder.meter
        meter.add(SUBSCRIPTIONS, 1)
        try:
            yield
        finally:
            meter.add(SUBSCRIPTIONS, -1)

    async def _answer(self, operation: _Operation, answer: GraphQLResponse) -> None:
        """Answer an operation once, unless the client has completed it."""
        if not answer.executed:
            await self._finish(operation, {"type": "error", "payload": answer.body["errors"]})
        else:
            await self._next(operation, answer)
            await self._finish(operation, {"type": "complete"})

    async def _follow(
        self, operation: _Operation, answers: AsyncGenerator[GraphQLResponse, None]
    ) -> None:
        """Pass on what a subscription yields, until the client completes it."""
        async with aclosing(answers):
            if not self._awaits(operation):
                return
            operation.stream = asyncio.current_task()
            async for answer in answers:
                self.endpoint.over_http.recorder.operation({}, answer.operation, answer.codes)
                await self._next(operation, answer)
        await self._finish(operation, {"type": "complete"})

    async def _next(self, operation: _Operation, answer: GraphQLResponse) -> None:
        if self._awaits(operation):
            await self._send({"id": operation.id, "type": "next", "payload": answer.body})

    async def _finish(self, operation: _Operation, message: Mapping[str, Any]) -> None:
        """Send the last message of an operation, whose id is then free."""
        if self._awaits(operation):
            del self.operations[operation.id]
            await self._send({"id": operation.id, **message})

    def _awaits(self, operation: _Operation) -> bool:
        """Tell whether the client waits for answers; it may have used the id again."""
        return self.operations.get(operation.id) is operation

    def _forget(self, operation: _Operation) -> None:
        del self.operations[operation.id]
        if operation.stream is None:
            self.unawaited.add(operation)
        else:
            operation.stream.cancel()

    async def _send(self, message: Mapping[str, Any]) -> None:
        """Send a message, one after another, when the client has read enough of those before."""
        text = encode(message).decode()
        async with self.sending:
            if not self.closed:
                try:
                    await self.socket.send_text(text)
                except WebSocketDisconnect:
                    self.closed = True  # and whoever listens is told


@contextmanager
def _invalid_if_refused() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise _Closing(_INVALID, str(refused)) from None


def _payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise _Closing(_INVALID, "payload must be an object")
    return payload or {}


def _id(message: Mapping[str, Any]) -> str:
    given = message.get("id")
    if not isinstance(given, str) or not 0 < len(given) <= _LONGEST_ID:
        raise _Closing(_INVALID, f"id must be a text of at most {_LONGEST_ID} characters")
    return given


def _foreign() -> JSONResponse:
    message = "Pages of this origin may not connect; CORS_ORIGINS names those that may."
    error = {"message": message, "extensions": {"code": InvalidInput.code}}
    return JSONResponse({"errors": [error]}, 403)
