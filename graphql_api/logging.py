"""Logging to stderr: one event per line, as text or JSON, and only warnings of libraries."""

import json
import logging.config
import textwrap
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from graphql_api.utils.formatting import escape_unprintable

request_fields: ContextVar[Mapping[str, str]] = ContextVar("request_fields", default=MappingProxyType({}))
"""Fields of every line of the log about the running request, and about what it has started."""

_QUIET_LOGGERS = ("alembic", "httpcore", "httpx", "asyncio", "aiosqlite", "PIL")
"""Libraries whose debug and info messages are left out."""


def extra_fields(**values: object) -> dict[str, Any]:
    """Return the `extra` of a logging call that makes `values` fields of the JSON object."""
    return {"fields": values}


class _ConsoleFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - overrides logging's method
        return escape_unprintable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802 - overrides logging's method
        # Indented, because the text of an error may imitate a log line.
        return textwrap.indent(escape_unprintable(super().formatException(ei), keep="\n"), "  ")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        timestamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        payload = {
            "time": timestamp.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **request_fields.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            payload["exception"] = "".join(traceback.format_exception(*record.exc_info))
        # dumps escapes to ASCII: lone surrogates are not UTF-8, and some readers split at U+2028.
        return json.dumps(payload, default=str)


def configure_logging(log_level: str, log_format: str = "console") -> None:
    """Log messages of at least `log_level`, e.g. "info", to stderr as "console" text or "json"."""
    formatter = _JsonFormatter if log_format == "json" else _ConsoleFormatter
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"selected": {"()": formatter}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "selected"}},
            "root": {"handlers": ["stderr"], "level": log_level.upper()},
            "loggers": {name: {"level": library_log_level(log_level)} for name in _QUIET_LOGGERS},
        }
    )


def library_log_level(log_level: str) -> int:
    """Return the numeric level for libraries: at least warning, and no less than `log_level`."""
    # A logger's own level takes precedence over the root's.
    return max(logging.getLevelNamesMapping()[log_level.upper()], logging.WARNING)
