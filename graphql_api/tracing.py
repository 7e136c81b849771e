"""Tracing by OpenTelemetry, configured by its standard variables. Off, nothing of it is imported.

Only `start` and what runs after it import OpenTelemetry, which is in the extra `otel`.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING

from graphql_api import __version__
from graphql_api.errors import InvalidSetting

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanKind, Tracer

logger = logging.getLogger(__name__)

OPERATION = "GraphQL Operation"
"""Name of the span of an operation, until its kind is known: that of OpenTelemetry's conventions."""

AttributeValue = str | int | bool | list[str]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_FLUSH_TIMEOUT = 2.0
"""Seconds for the collector to take the last spans when the process stops."""


class _Tracing:
    """The provider of this process's spans; None before `start` and after `stop`."""

    provider: "TracerProvider | None" = None
    tracer: "Tracer | None" = None


def is_configured(variables: Mapping[str, str] = os.environ) -> bool:
    """Return whether the environment turns tracing on: it names an endpoint or an exporter, and disables neither."""
    exporter = _get(variables, "OTEL_TRACES_EXPORTER")
    is_disabled = exporter == "none" or _get(variables, "OTEL_SDK_DISABLED") == "true"
    return not is_disabled and bool(exporter or any(_get(variables, name) for name in _ENDPOINTS))


def check_configuration(variables: Mapping[str, str] = os.environ) -> None:
    """Check that what the environment configures can be used.

    Raises:
        InvalidSetting: the extra `otel` is missing, or a variable has another exporter or protocol, or no URL.
    """
    if not is_configured(variables):
        return
    exporter = _get(variables, "OTEL_TRACES_EXPORTER") or "otlp"
    if exporter != "otlp":
        raise InvalidSetting(f"OTEL_TRACES_EXPORTER is {exporter!r}; set otlp or none.")
    for name in _PROTOCOLS:
        protocol = _get(variables, name) or _PROTOCOL
        if protocol != _PROTOCOL:
            raise InvalidSetting(f"{name} is {protocol!r}; set {_PROTOCOL}, because spans are sent over HTTP.")
    for name in _ENDPOINTS:
        endpoint = _get(variables, name)
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise InvalidSetting(f"{name} is {endpoint!r}; set a URL such as http://{endpoint}.")
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        names = ", ".join(name for name in ("OTEL_TRACES_EXPORTER", *_ENDPOINTS) if _get(variables, name))
        raise InvalidSetting(
            f"{names} turns tracing on, but OpenTelemetry is not installed. Install the extra otel "
            "(pip install 'graphql-api[otel]'), or set OTEL_SDK_DISABLED=true."
        )


def start() -> None:
    """Create the exporter if tracing is configured, in the process that uses it: no thread survives a fork."""
    if _Tracing.provider is not None or not is_configured():
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - only if on
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - only if on
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - only if on
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - only if on

    defaults = {"service.name": "graphql-api", "service.version": __version__, "process.pid": str(os.getpid())}
    named = OTELResourceDetector().detect().attributes  # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
    resource = Resource.create({name: value for name, value in defaults.items() if name not in named})
    _Tracing.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _Tracing.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _Tracing.tracer = _Tracing.provider.get_tracer("graphql_api", __version__)


def stop() -> None:
    """Export the last spans; give up after a few seconds."""
    provider, _Tracing.provider, _Tracing.tracer = _Tracing.provider, None, None
    if provider is not None:
        # A daemon, so that a collector that does not respond does not hold up the exit.
        thread = Thread(target=provider.shutdown, daemon=True)
        thread.start()
        thread.join(_FLUSH_TIMEOUT)
        if thread.is_alive():
            logger.warning("The collector of OTEL_EXPORTER_OTLP_ENDPOINT did not take the last spans in time.")


def get_tracer() -> "Tracer | None":
    """Return what starts spans, or None while tracing is off."""
    return _Tracing.tracer


def span(
    name: str, attributes: Mapping[str, AttributeValue] | None = None, *, serves_client: bool = False
) -> "AbstractContextManager[Span | None]":
    """Record the work in the context as a span, part of the one around it. Off, do nothing."""
    if _Tracing.tracer is None:
        return nullcontext()
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 - only if on

    return record_span(_Tracing.tracer, name, SpanKind.SERVER if serves_client else SpanKind.INTERNAL, attributes)


@contextmanager
def record_span(
    tracer: "Tracer", name: str, kind: "SpanKind", attributes: Mapping[str, AttributeValue] | None = None
) -> "Iterator[Span]":
    """Record the work in the context as a span, and the type of an error that ends it."""
    # Not OpenTelemetry's way to record errors: a message may repeat a key, or a client's text.
    with tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            mark_failed(current, type(error).__qualname__)
            raise


def mark_failed(failed: "Span", error_type: str) -> None:
    """Set the status of a span, and the type of its error or its status of HTTP."""
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - only if on

    failed.set_attribute("error.type", error_type)
    failed.set_status(Status(StatusCode.ERROR))


def set_attributes(attributes: Mapping[str, AttributeValue]) -> None:
    """Add attributes to the span around the caller. Off, do nothing."""
    if _Tracing.tracer is not None:
        from opentelemetry.trace import get_current_span  # noqa: PLC0415 - only if on

        get_current_span().set_attributes(attributes)


def describe_operation(kind: str | None, name: str | None, codes: list[str], cost: int | None) -> None:
    """Add what GraphQL knows of an operation to the span around the caller. Off, do nothing.

    `cost` is None if the response came from the cache.
    """
    if _Tracing.tracer is None:
        return
    from opentelemetry.trace import get_current_span  # noqa: PLC0415 - only if on

    attributes = {
        "graphql.operation.type": kind,
        "graphql.operation.name": name,
        "graphql_api.cost": cost,
        "graphql_api.cache_hit": cost is None if kind == "query" else None,
        "graphql_api.error_codes": codes or None,
    }
    current = get_current_span()
    current.update_name(kind or OPERATION)
    current.set_attributes({key: value for key, value in attributes.items() if value is not None})


def _get(variables: Mapping[str, str], name: str) -> str:
    return variables.get(name, "").strip().lower()
