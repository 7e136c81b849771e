"""Spans of operations: one for each request to /graphql, with the client's trace as its parent.

Imported only if tracing is on.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from opentelemetry import context, propagate
from opentelemetry.trace import Span, SpanKind, Tracer, format_trace_id
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_api import tracing
from graphql_api.execution.document import NO_OPERATION, OperationInfo
from graphql_api.http.graphql.request import GRAPHQL_PATHS
from graphql_api.http.request_log import RequestState, truncate
from graphql_api.logging import request_fields

_SERVER_ERROR = 500


class OperationSpansMiddleware:
    """Records a span for each request to /graphql. Of a stream, the span ends when the response begins.

    A WebSocket has none of its own: its operations have one each.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket."""
        tracer = tracing.get_tracer()
        if tracer is None or scope.get("path") not in GRAPHQL_PATHS:
            await self._app(scope, receive, send)
            return
        with _client_trace(scope["headers"]):
            if scope["type"] == "http":
                await self._serve_http(tracer, scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _serve_http(self, tracer: Tracer, scope: Scope, receive: Receive, send: Send) -> None:
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"], "url.scheme": scope["scheme"]}
        status = 0

        async def send_recorded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif span.is_recording():
                _end_span(span, scope["state"], status)
            await send(message)

        # Not `tracing.record_span`: a stream's span ends within.
        with tracer.start_as_current_span(
            tracing.OPERATION,
            kind=SpanKind.SERVER,
            attributes=attributes,
            end_on_exit=False,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            trace_id = format_trace_id(span.get_span_context().trace_id)
            request_fields.set({**request_fields.get(), "trace_id": trace_id})
            try:
                await self._app(scope, receive, send_recorded)
            except BaseException as error:
                tracing.mark_failed(span, type(error).__qualname__)
                raise
            finally:
                if span.is_recording():
                    _end_span(span, scope["state"], status)


@contextmanager
def _client_trace(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[None]:
    """Make the trace of a `traceparent` the current one. Two of them, joined by a comma, are none."""
    carrier: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        carrier[key] = f"{carrier[key]},{text}" if key in carrier else text
    token = context.attach(propagate.extract(carrier))
    try:
        yield
    finally:
        context.detach(token)


def _end_span(span: Span, state: RequestState, status: int) -> None:
    operation: OperationInfo = state.get("operation", NO_OPERATION)
    name = None if operation.name is None else truncate(operation.name)
    tracing.describe_operation(operation.kind, name, state.get("codes", []), state.get("cost"))
    if status:
        span.set_attribute("http.response.status_code", status)
    if "failed" in state or status >= _SERVER_ERROR:
        tracing.mark_failed(span, str(status))
    span.end()
