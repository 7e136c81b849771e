"""How the log looks: one line per event on stderr, other libraries quiet."""

import logging.config

_QUIET = ("alembic", "httpcore", "httpx", "uvicorn.error", "asyncio", "aiosqlite", "PIL")
"""Libraries whose news is not ours; their warnings still are."""


def configure_logging(level: str) -> None:
    """Log what is at least as severe as `level`, e.g. "info"."""
    # A level of a logger's own goes before the root's.
    quiet = max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "console": {
                    "format": "%(asctime)s %(levelname)-7s %(message)s",
                    "datefmt": "%H:%M:%S",
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "console"}},
            "root": {"handlers": ["stderr"], "level": level.upper()},
            "loggers": {name: {"level": quiet} for name in _QUIET},
        }
    )
