"""The application for any ASGI server, for example `uvicorn graphql_api.asgi:app`.

The limits of clients' connections, WORKERS and STOP_DELAY belong to `graphql-api serve`.
"""

import logging
import os
import sys

from starlette.types import ASGIApp

from graphql_api.app import create_app
from graphql_api.errors import InvalidSetting
from graphql_api.logging import configure_logging
from graphql_api.settings import Settings, warn_of_near_misses
from graphql_api.startup import Ready, StartupEvent, StartupFailed, WaitingForDatabase
from graphql_api.utils.formatting import escape_unprintable

logger = logging.getLogger(__name__)

_STARTUP_FAILURE = 3
"""Exit code at which uvicorn and gunicorn stop instead of starting a replacement worker."""


def _load_app() -> ASGIApp:
    """Return the application that the environment configures, or exit with one line on stderr."""
    try:
        settings = Settings.load()
        configure_logging(settings.log_level, settings.effective_log_format)
        warn_of_near_misses(os.environ)
        settings.require_secure_exposure()
        app = create_app(settings, on_event=_handle_event)
    except InvalidSetting as error:
        sys.stderr.write(f"graphql_api.asgi: {escape_unprintable(str(error))}\n")
        # A server would show the traceback of any other exception.
        raise SystemExit(_STARTUP_FAILURE) from None
    if settings.admin_token is None:
        logger.warning(
            "ADMIN_TOKEN is not set: any client that reaches this server can refresh and delete. "
            "Set it, or listen on a loopback address only."
        )
    return app


def _handle_event(event: StartupEvent) -> None:
    match event:
        case WaitingForDatabase(reason):
            logger.error("%s Retrying until it responds.", reason)
        case Ready():
            logger.info("Ready to serve.")
        case StartupFailed(error):
            logger.critical("%s", error)
            # Raised in a task, SystemExit would reach the log as a traceback of the server's.
            os._exit(_STARTUP_FAILURE)


app = _load_app()
