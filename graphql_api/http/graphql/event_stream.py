"""GraphQL over Server-Sent Events: each operation has a response of its own, for clients without WebSockets.

The protocol of graphql-sse, distinct connections mode: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from graphql_api.errors import DocumentNotTrusted, PersistedQueryNotFound, RateLimited
from graphql_api.execution.document import OperationInfo
from graphql_api.execution.execute import QUERIES_ONLY, execute_or_subscribe
from graphql_api.execution.limits import Budget
from graphql_api.execution.messages import GraphQLResponse
from graphql_api.execution.rejections import build_error_response
from graphql_api.http.client_counts import ConcurrencyLimits
from graphql_api.http.content_negotiation import EVENT_STREAM, negotiate_response_type
from graphql_api.http.errors import STOPPING_MESSAGE, HTTPRejection, build_get_rejection, build_unavailable, get_client
from graphql_api.http.forwarded import group_address
from graphql_api.http.graphql.endpoint import GraphQLEndpoint, build_response, encode_json
from graphql_api.http.graphql.request import RESPONSE_TYPES, ParsedRequest
from graphql_api.http.middleware.request_id import get_request_id
from graphql_api.http.rate_limiter import add_rate_limit_headers
from graphql_api.http.request_log import RequestLog
from graphql_api.metrics.definitions import SUBSCRIPTIONS
from graphql_api.utils.tasks import cancel_all

CLOSE_STREAMS_KEY = "close_streams"
"""Key of the lifespan state under which the server finds what to call before it waits for responses to end."""

_PING_INTERVAL = 12.0
"""Seconds between two comments, for proxies that close what is silent: nginx after 60. graphql-sse's own interval."""
_PING = b":\n\n"
_COMPLETE = b"event: complete\ndata: \n\n"
"""With empty data, because browsers' EventSource drops an event without any."""
_HEADERS = {
    # No proxy may keep or compress events, and nginx may not wait for more of them.
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "Vary": "Accept",
}
_SAFE_OPERATIONS = (*QUERIES_ONLY, OperationType.SUBSCRIPTION)
"""The operations that change nothing."""
_CONTENT_TYPE = f"{EVENT_STREAM}; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStreamEndpoint:
    """The endpoint at /graphql, for HTTP: streams events to clients that prefer them."""

    http_endpoint: GraphQLEndpoint
    """The endpoint for all other responses, whose schema, contexts and persisted queries this one shares."""
    limits: ConcurrencyLimits
    """The limits of open streams, shared with WebSockets."""
    ping_interval: float = _PING_INTERVAL
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server stops: open streams then end without `complete`, so that clients connect again."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request of any method."""
        request, client = Request(scope, receive), get_client(scope)
        if negotiate_response_type(request, (*RESPONSE_TYPES, EVENT_STREAM)) != EVENT_STREAM:
            await self.http_endpoint(scope, receive, send)
            return
        bucket = self.http_endpoint.find_bucket(client)
        try:
            response = await self._handle(request, client, self.http_endpoint.schema.create_budget(bucket))
        except (HTTPRejection, RateLimited) as error:
            response = self.http_endpoint.reject(request, error)
        await response(scope, receive, send if bucket is None else add_rate_limit_headers(send, bucket))

    async def _handle(self, request: Request, client: str | None, budget: Budget) -> "Response | _EventStream":
        budget.charge(1)
        parsed = await self.http_endpoint.read(request)
        if isinstance(parsed.payload, list):
            raise HTTPRejection(400, f"A batch has no event stream: accept {RESPONSE_TYPES[0]}, or send one request.")
        result = await self._execute(request, parsed, client, budget)
        request_log, state = self.http_endpoint.request_log, request.scope["state"]
        state["cost"] = budget.cost
        if isinstance(result, GraphQLResponse):
            is_known = result.operation.kind is not None
            operation = result.operation if is_known else OperationInfo(None, parsed.fields.operation_name)
            request_log.record_operation(state, operation, result.error_codes)
            if result.retry_after is not None:
                return build_response(result, RESPONSE_TYPES[0])
            return Response(_encode_event(result) + _COMPLETE, 200, _HEADERS, _CONTENT_TYPE)
        if self.closing.is_set():
            raise build_unavailable(STOPPING_MESSAGE)
        self.limits.add(client, "event streams")
        request_log.record_operation(state, OperationInfo("subscription", parsed.fields.operation_name), [])
        return _EventStream(endpoint=self, results=result, client=client, request_log=request_log)

    async def _execute(
        self, request: Request, parsed: ParsedRequest, client: str | None, budget: Budget
    ) -> GraphQLResponse | AsyncGenerator[GraphQLResponse, None]:
        """Execute an operation. The protocol sends errors of GraphQL as events, for EventSource reports no status.

        Raises:
            HTTPRejection: GET does not allow the operation.
        """
        endpoint, request_id, fields = self.http_endpoint, get_request_id(request), parsed.fields
        context = endpoint.create_context(request, request.headers.get("Authorization", ""), parsed.asks_for_cost)
        try:
            result = await execute_or_subscribe(
                endpoint.schema,
                endpoint.build_graphql_request(fields, budget, group_address(client or "")),
                context=context,
                request_id=request_id,
                allowed_operations=_SAFE_OPERATIONS if request.method == "GET" else OperationType,
            )
        except (PersistedQueryNotFound, DocumentNotTrusted) as error:
            return build_error_response(error)
        except InvalidOperationTypeError:
            raise build_get_rejection() from None
        if isinstance(result, GraphQLResponse):
            endpoint.register_persisted_query(fields, result, request_id, client)
            await endpoint.pause_wrong_token(context, result.error_codes, request_id, client)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _EventStream:
    """The response to a subscription, which lasts until it ends, the client disconnects or the server stops."""

    endpoint: EventStreamEndpoint
    results: AsyncGenerator[GraphQLResponse, None]
    client: str | None
    request_log: RequestLog

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        self.request_log.metrics.add(SUBSCRIPTIONS, 1)
        try:
            headers = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
            headers.append((b"content-type", _CONTENT_TYPE.encode()))
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._run_until_first_ends(receive, send)
            await send({"type": "http.response.body"})
        finally:
            self.request_log.metrics.add(SUBSCRIPTIONS, -1)
            self.endpoint.limits.remove(self.client)

    async def _run_until_first_ends(self, receive: Receive, send: Send) -> None:
        """Send events until a reason to stop. Sending waits for a client that reads slowly."""
        coroutines = (
            self._send_pings(send),
            self._send_results(send),
            _wait_for_disconnect(receive),
            self.endpoint.closing.wait(),
        )
        tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_all(tasks)
        for task in ended:
            task.result()

    async def _send_pings(self, send: Send) -> None:
        """Send a comment at once, because browsers wait for the first byte, and then at intervals."""
        while True:
            await send({"type": "http.response.body", "body": _PING, "more_body": True})
            await asyncio.sleep(self.endpoint.ping_interval)

    async def _send_results(self, send: Send) -> None:
        async with aclosing(self.results):
            async for result in self.results:
                self.request_log.record_operation({}, result.operation, result.error_codes)
                await send({"type": "http.response.body", "body": _encode_event(result), "more_body": True})
        await send({"type": "http.response.body", "body": _COMPLETE, "more_body": True})


def _encode_event(result: GraphQLResponse) -> bytes:
    return b"event: next\ndata: %b\n\n" % encode_json(result.body)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
