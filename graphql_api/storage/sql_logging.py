"""Logs SQL statements with their duration and without their values."""

import logging
import time

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, ExceptionContext

from graphql_api.logging import extra_fields

logger = logging.getLogger(__name__)

_STARTED_KEY = "statement started"
"""The start of the running statement in the `info` of its connection."""


def log_statements(engine: Engine) -> None:
    """Log every statement of an engine from now on."""

    @event.listens_for(engine, "before_cursor_execute")
    def on_before_execute(connection: Connection, *_: object) -> None:
        connection.info[_STARTED_KEY] = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def on_after_execute(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        _log_statement(connection, statement, "")

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        if context.connection is not None and context.statement is not None:
            _log_statement(context.connection, context.statement, " and failed")


def _log_statement(connection: Connection, statement: str, suffix: str) -> None:
    started = connection.info.pop(_STARTED_KEY, None)
    if started is None:  # failed before it was sent
        return
    duration_ms = round((time.perf_counter() - started) * 1000, 1)
    sql = " ".join(statement.split())
    logger.info("SQL took %.1f ms%s: %s", duration_ms, suffix, sql, extra=extra_fields(duration_ms=duration_ms))
