"""The limit of open files: raised for MAX_CONNECTIONS, or else MAX_CONNECTIONS lowered to it."""

import logging
import sys

from graphql_api.errors import InvalidSetting
from graphql_api.settings import Settings

if sys.platform != "win32":
    import resource

logger = logging.getLogger(__name__)

_FILES_PER_DATABASE_CONNECTION = 2
"""SQLite's: the database and its write-ahead log. Others have a socket."""
_OTHER_FILES = 100
"""Listeners, event loop, log, pipes to the supervisor, requests to sources, connections that are being closed."""


def fit_max_connections(settings: Settings) -> Settings:
    """Return the settings with as many MAX_CONNECTIONS as a worker may open, beside all other files.

    Raises the soft limit as far as necessary and allowed. Logs if MAX_CONNECTIONS is lowered.

    Raises:
        InvalidSetting: the limit leaves no room for connections.
    """
    database_connections = settings.database_pool_size + settings.database_max_overflow
    other_files = database_connections * _FILES_PER_DATABASE_CONNECTION + _OTHER_FILES
    necessary = settings.max_connections + other_files
    limit = _raise_limit(necessary)
    if limit >= necessary:
        return settings
    explanation = f"the limit of open files is {limit} (ulimit -n), and the database and others may need {other_files}"
    if limit <= other_files:
        raise InvalidSetting(
            f"MAX_CONNECTIONS is {settings.max_connections}, but {explanation}. Raise the limit to {necessary}, "
            "or lower DATABASE_POOL_SIZE and DATABASE_MAX_OVERFLOW."
        )
    logger.warning(
        "MAX_CONNECTIONS is %d instead of %d: %s. Raise the limit to %d.",
        limit - other_files,
        settings.max_connections,
        explanation,
        necessary,
    )
    return settings.model_copy(update={"max_connections": limit - other_files})


def _raise_limit(necessary: int) -> int:
    """Raise this process's limit to `necessary`, or as far as the system allows, and return it."""
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY or soft >= necessary:
            return necessary
        target = necessary if hard == resource.RLIM_INFINITY else min(necessary, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        except (OSError, ValueError):  # macOS allows less than its hard limit
            return soft
        return target
    return necessary  # Windows has no such limit of sockets.
