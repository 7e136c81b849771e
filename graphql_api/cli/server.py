"""`graphql-api serve`: a bound socket, a prepared database, and uvicorn over both."""

import asyncio
import logging
import os
import socket
from contextlib import closing

import uvicorn

from graphql_api.app import create_app, prepare
from graphql_api.errors import InvalidSetting
from graphql_api.logs import configure_logging
from graphql_api.settings import Settings

logger = logging.getLogger(__name__)

_GRACE = 10
"""Seconds that requests have to finish after Ctrl-C or SIGTERM."""


def serve(settings: Settings) -> None:
    """Serve until the process is told to stop.

    Raises:
        InvalidSetting: HOST and PORT cannot be listened on, or the parts refuse a setting.
        DatabaseUnavailable: the database cannot be used.
    """
    configure_logging(settings.log_level)
    with closing(_listen(settings.host, settings.port)) as listener:
        asyncio.run(prepare(settings))
        config = uvicorn.Config(
            create_app(settings),
            log_config=None,
            access_log=settings.access_log,
            forwarded_allow_ips=settings.forwarded_allow_ips,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
        server = _Server(config, _greeting(settings, listener))
        server.run([listener])


class _Server(uvicorn.Server):
    """uvicorn, which says where people find it once they can."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self._greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            logger.info(self._greeting)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InvalidSetting(
            f"HOST {host} and PORT {port} cannot be listened on: {_reason(error)}. "
            "Set PORT to a free one, for example 8001."
        ) from None


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno is None:
        return str(error.strerror or error)
    # The error's own text repeats the address.
    return os.strerror(error.errno)


def _greeting(settings: Settings, listener: socket.socket) -> str:
    """Return what to tell the person at the terminal."""
    host, port = listener.getsockname()[:2]
    here = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    url = settings.public_url or here
    where = f"The playground is at {url}/graphql" if settings.has_playground else f"Serving {url}"
    return f"{where} (Ctrl-C stops)"
