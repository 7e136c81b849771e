"""`graphql-api serve`: a bound socket, a prepared database, and uvicorn over both."""

import asyncio
import errno
import logging
import os
import socket
from contextlib import closing
from functools import partial
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_api.app import create_app, new_id, prepare
from graphql_api.errors import InvalidSetting
from graphql_api.http.connections import STOPPING, Connection
from graphql_api.logs import configure_logging
from graphql_api.metrics.meter import Meter
from graphql_api.settings import Settings

logger = logging.getLogger(__name__)

_GRACE = 5
"""Seconds that requests have to finish after Ctrl-C or SIGTERM; containers are killed after 10."""

_NO_ADDRESS = "is not an address of this machine. Set HOST to one, for example 127.0.0.1."


def serve(settings: Settings) -> None:
    """Serve until the process is told to stop.

    Raises:
        InvalidSetting: HOST and PORT cannot be listened on, or the parts refuse a setting.
        DatabaseUnavailable: the database cannot be used.
    """
    configure_logging(settings.log_level, settings.chosen_log_format)
    with closing(_listen(settings.host, settings.port)) as listener:
        asyncio.run(prepare(settings))
        meter = Meter.alone()
        config = uvicorn.Config(
            _ending_quietly(create_app(settings, meter)),
            log_config=None,
            access_log=False,  # ours has more to tell
            forwarded_allow_ips=settings.forwarded_allow_ips,
            server_header=False,
            http=partial(  # type: ignore[arg-type]  # uvicorn calls it, and asks no more of it
                Connection,
                patience=settings.request_timeout,
                most=settings.max_connections,
                meter=meter,
                new_id=new_id,
            ),
            timeout_keep_alive=settings.keep_alive,
            timeout_graceful_shutdown=_GRACE,
        )
        server = _Server(config, _greeting(settings, listener))
        server.run([listener])


class _Server(uvicorn.Server):
    """uvicorn, which says where people find it once they can, and for which to be ended is well."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self._greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            logger.info(self._greeting)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin to stop; asked again, do not wait for requests any more."""
        if self.should_exit:
            for task in self.server_state.tasks:
                task.cancel()
        self.should_exit = True


def _ending_quietly(app: ASGIApp) -> ASGIApp:
    """Let a request that the end cuts off be told so, with no traceback in the log."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        answering = False

        async def watch(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            await app(scope, receive, watch)
        except asyncio.CancelledError:
            # The task was this request's alone: nobody waits to hear that it was cancelled.
            if scope["type"] == "http" and not answering:
                await STOPPING(scope, receive, send)

    return serve


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (socket.gaierror, UnicodeError):  # the latter for what no name can be
        raise InvalidSetting(f"HOST {host} {_NO_ADDRESS}") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise InvalidSetting(f"HOST {host} {_NO_ADDRESS}") from None
        # The error's own text repeats the address.
        reason = os.strerror(error.errno or 0)
        raise InvalidSetting(
            f"PORT {port} of HOST {host} cannot be listened on: {reason}. "
            "Set PORT to a free one, for example 8001."
        ) from None


def _greeting(settings: Settings, listener: socket.socket) -> str:
    """Return what to tell the person at the terminal."""
    host, port = listener.getsockname()[:2]
    here = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    url = settings.public_url or here
    where = f"The playground is at {url}/graphql" if settings.has_playground else f"Serving {url}"
    listening = f", listening at {here}" if settings.public_url else ""
    return f"{where}{listening} (Ctrl-C stops)"
