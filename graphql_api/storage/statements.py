"""Logging statements: their text, how long each took, never their values."""

import logging
import time

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, ExceptionContext

from graphql_api.logs import fields

logger = logging.getLogger(__name__)

_BEGUN = "statement begun"
"""What a connection's own notes say: one statement at a time runs over it."""


def log(engine: Engine) -> None:
    """Log every statement of an engine from now on."""
    event.listen(engine, "before_cursor_execute", _before)
    event.listen(engine, "after_cursor_execute", _after)
    event.listen(engine, "handle_error", _failed)


def _before(connection: Connection, *_: object) -> None:
    connection.info[_BEGUN] = time.perf_counter()


def _after(connection: Connection, _cursor: object, text: str, *_: object) -> None:
    _tell(connection, text, "")


def _failed(context: ExceptionContext) -> None:
    if context.connection is not None and context.statement is not None:
        _tell(context.connection, context.statement, " and failed")


def _tell(connection: Connection, text: str, end: str) -> None:
    begun = connection.info.pop(_BEGUN, None)
    if begun is None:  # it failed before it was sent
        return
    took = round((time.perf_counter() - begun) * 1000, 1)
    told = " ".join(text.split())
    logger.info("SQL took %.1f ms%s: %s", took, end, told, extra=fields(duration_ms=took))
