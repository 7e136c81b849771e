"""A collector of OpenTelemetry's spans, over OTLP and HTTP."""

import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.server import running_http_server


@dataclass(frozen=True)
class CollectedSpan:
    """A span as it arrived."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    is_error: bool
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]


@dataclass(frozen=True)
class Collector:
    """A running collector, and the spans that it has received."""

    port: int
    spans: list[CollectedSpan] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that let a process export to this collector."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}", "OTEL_SERVICE_NAME": "countries"}


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Collect spans while the context lasts."""
    spans: list[CollectedSpan] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take the spans of a request."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            spans.extend(_read_spans(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Write no log."""

    with running_http_server(Handler) as port:
        yield Collector(port, spans)


def _read_spans(request: ExportTraceServiceRequest) -> Iterator[CollectedSpan]:
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield CollectedSpan(
                    name=span.name,
                    kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
                    attributes=_read_attributes(span.attributes),
                    resource=_read_attributes(resource_spans.resource.attributes),
                )


def _read_attributes(attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - protobuf's container
    return {attribute.key: _read_value(attribute.value) for attribute in attributes}


def _read_value(value: Any) -> Any:  # noqa: ANN401 - whatever an attribute holds
    kind = value.WhichOneof("value")
    return [_read_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind)
