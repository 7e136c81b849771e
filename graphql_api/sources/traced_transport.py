"""Spans of requests to providers, which get the trace in `traceparent`. Imported only if tracing is on."""

import httpx
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from graphql_api import tracing

_MIN_ERROR_STATUS = 400
# Not the propagators of OTEL_PROPAGATORS: the baggage of clients is none of the providers' business.
_PROPAGATOR = TraceContextTextMapPropagator()


class TracedTransport(httpx.AsyncBaseTransport):
    """Records a span for each request, redirects and retries included."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Its span ends when the head of the response has arrived."""
        tracer = tracing.get_tracer()
        if tracer is None:
            return await self._transport.handle_async_request(request)
        # A query may contain a key.
        url = request.url.copy_with(query=None, username="", password="")
        attributes: dict[str, tracing.AttributeValue] = {
            "http.request.method": request.method,
            "server.address": url.host,
            "server.port": url.port or (443 if url.scheme == "https" else 80),
            "url.full": str(url),
        }
        with tracing.record_span(tracer, request.method, SpanKind.CLIENT, attributes) as span:
            _PROPAGATOR.inject(request.headers)
            response = await self._transport.handle_async_request(request)
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= _MIN_ERROR_STATUS:
                tracing.mark_failed(span, str(response.status_code))
            return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()
