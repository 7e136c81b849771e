"""Spans of SQL statements, without their values. Imported only if tracing is on.

Statements outside of a trace have none: the polls for changes of other replicas would be a trace every two seconds.
"""

import re

from opentelemetry.trace import SpanKind, get_current_span
from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, ExceptionContext

from graphql_api import tracing

_SPAN_KEY = "statement span"
"""The span of the running statement in the `info` of its connection."""
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|TABLE)\s+[`\"]?(\w+)", re.IGNORECASE)


def trace_statements(engine: Engine) -> None:
    """Record a span for every statement of an engine from now on."""

    @event.listens_for(engine, "before_cursor_execute")
    def on_before_execute(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        tracer = tracing.get_tracer()
        if tracer is not None and get_current_span().get_span_context().is_valid:
            attributes = _describe(connection, statement)
            name = f"{attributes['db.operation.name']} {attributes.get('db.collection.name', '')}".rstrip()
            connection.info[_SPAN_KEY] = tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)

    @event.listens_for(engine, "after_cursor_execute")
    def on_after_execute(connection: Connection, *_: object) -> None:
        _end_span(connection, None)

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        if context.connection is not None:
            _end_span(context.connection, context.original_exception)


def _describe(connection: Connection, statement: str) -> dict[str, str | int]:
    dialect, url = connection.dialect, connection.engine.url
    system = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    table = _TABLE.search(statement)
    attributes = {
        "db.system.name": system,
        "db.operation.name": statement.split(None, 1)[0].upper(),
        "db.query.text": " ".join(statement.split()),
        "db.collection.name": table and table[1],
        "db.namespace": url.database,
        "server.address": url.host,
        "server.port": url.port,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _end_span(connection: Connection, error: BaseException | None) -> None:
    span = connection.info.pop(_SPAN_KEY, None)
    if span is None:
        return
    if error is not None:
        tracing.mark_failed(span, type(error).__qualname__)
    span.end()
