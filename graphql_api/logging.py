"""How the log looks: on stderr, an event a line, for people or for programs; others are quiet."""

import json
import logging.config
import re
import textwrap
import traceback
from datetime import UTC, datetime
from typing import Any

_QUIET_LOGGERS = ("alembic", "httpcore", "httpx", "uvicorn.error", "asyncio", "aiosqlite", "PIL")
"""Libraries whose news is not ours; their warnings still are."""
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What would break a line, or the terminal that shows it."""


def extra_fields(**values: object) -> dict[str, Any]:
    """Return what a call of a logger takes as `extra`, for the facts to be fields of JSON."""
    return {"fields": values}


class _ConsoleFormatter(logging.Formatter):
    """Writes time, level and message; a traceback is indented below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's
        return _CONTROL_CHARACTERS.sub(_escape, super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802 - logging's
        # What an error quotes may look like a line of the log.
        return textwrap.indent(super().formatException(ei), "  ")


class _JsonFormatter(logging.Formatter):
    """Writes one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        timestamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        payload = {
            "time": timestamp.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            payload["exception"] = "".join(traceback.format_exception(*record.exc_info))
        # ASCII alone: half a character is no UTF-8, and some readers break lines at U+2028.
        return json.dumps(payload, default=str)


_FORMATTERS = {"console": _ConsoleFormatter, "json": _JsonFormatter}


def configure_logging(level: str, log_format: str = "console") -> None:
    """Log what is at least as severe as `level`, e.g. "info", for the "console" or as "json"."""
    # A level of a logger's own goes before the root's.
    quiet_level = max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"chosen": {"()": _FORMATTERS[log_format]}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
            "root": {"handlers": ["stderr"], "level": level.upper()},
            "loggers": {name: {"level": quiet_level} for name in _QUIET_LOGGERS},
        }
    )


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
