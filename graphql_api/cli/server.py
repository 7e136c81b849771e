"""`graphql-api serve`: a bound socket, and uvicorn over the application."""

import asyncio
import errno
import gc
import logging
import multiprocessing
import os
import secrets
import socket
import time
from contextlib import closing
from functools import partial
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_api.app import create_app
from graphql_api.cli.workers import Workers
from graphql_api.errors import InvalidSetting
from graphql_api.http.connections import STOPPING_RESPONSE, HTTPProtocol
from graphql_api.http.request_id import create_id_generator
from graphql_api.http.sockets import WebSocketProtocol
from graphql_api.logs import configure_logging
from graphql_api.metrics.board import Board
from graphql_api.metrics.families import FAMILIES
from graphql_api.metrics.meter import Meter
from graphql_api.opening import (
    Ready,
    StartupEvent,
    StartupFailed,
    StartupListener,
    WaitingForDatabase,
)
from graphql_api.settings import Settings

logger = logging.getLogger(__name__)

_GRACE = 5
"""Seconds that requests have to finish after Ctrl-C or SIGTERM; containers are killed after 10."""

_LAST_SECONDS = 10
"""Seconds that a worker has for everything else; then it is taken to hang."""

_NO_ADDRESS = "is not an address of this machine. Set HOST to one, for example 127.0.0.1."


def serve(settings: Settings) -> None:
    """Serve until the process is told to stop.

    Raises:
        InvalidSetting: HOST and PORT cannot be listened on, or the parts refuse a setting.
        DatabaseUnavailable: the database cannot be used, and waiting would not help.
    """
    configure_logging(settings.log_level, settings.effective_log_format)
    with closing(_listen(settings.host, settings.port)) as listener:
        tell = partial(_say, settings, _address(listener))
        if settings.workers == 1:
            _run(settings, listener, tell, Meter.alone())
        else:
            _run_several(settings, listener, tell)


def _run_several(settings: Settings, listener: socket.socket, tell: StartupListener) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        raise InvalidSetting("WORKERS can only be 1 on this system.")
    # What is set wrong is told once, before there are any.
    create_app(settings)
    # What one imports later, all would import; and what is there before them they share.
    import graphql_api.http.site  # noqa: PLC0415 - one worker alone does not wait for it
    import graphql_api.sources.asking  # noqa: F401, PLC0415 - likewise; to import is all

    board = Board(FAMILIES, workers=settings.workers)

    def work(number: int, tell: StartupListener, *, at_once: bool) -> None:
        _run(settings, listener, tell, Meter(board, worker=number), at_once=at_once)

    Workers(
        settings.workers,
        work,
        listener=listener,
        tell=tell,
        patience=settings.stop_delay + _GRACE + _LAST_SECONDS,
    ).run()


def _run(
    settings: Settings,
    listener: socket.socket,
    tell: StartupListener,
    meter: Meter,
    *,
    at_once: bool = True,
) -> None:
    """Serve in this process, at once or when there is data, and tell how the opening goes.

    What it does is counted by the meter.

    Raises:
        InvalidSetting: the parts refuse a setting.
        DatabaseUnavailable: the database cannot be used, and waiting would not help.
    """
    server = _Server(settings, tell, meter, at_once=at_once)
    # From here on there is garbage; what has been made until now is none.
    gc.freeze()
    gc.enable()
    server.run([listener])
    if server.failure is not None:
        raise server.failure


def _say(settings: Settings, here: str, event: StartupEvent) -> None:
    """Say where people find what is served once they can, and what it waits for before."""
    match event:
        case WaitingForDatabase(reason):
            logger.error("%s Trying again until it answers; listening at %s.", reason, here)
        case Ready():
            logger.info(_greeting(settings, here))


class _Server(uvicorn.Server):
    """uvicorn, which ends when nothing can be opened, and for which to be ended is well."""

    def __init__(
        self, settings: Settings, tell: StartupListener, meter: Meter, *, at_once: bool
    ) -> None:
        self.failure: Exception | None = None
        """Why there will never be anything to serve."""
        self._tell = tell
        self._delay = settings.stop_delay
        self._is_stopping = False
        self._leave_at: float | None = None
        """When to stop listening, by the monotonic clock."""
        app = create_app(
            settings,
            on_event=self._hear,
            is_stopping=lambda: self._is_stopping,
            wait_until_ready=not at_once,
            metrics=meter,
        )
        super().__init__(_configure(settings, app, meter))

    async def on_tick(self, counter: int) -> bool:
        """Begin to stop when the delay is over."""
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self.should_exit = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin to stop, or to say that it soon will; asked again, wait the less."""
        if self.should_exit:
            for task in self.server_state.tasks:
                task.cancel()
        elif self._delay and not self._is_stopping:
            self._leave_at = time.monotonic() + self._delay
        else:
            self.should_exit = True
        self._is_stopping = True

    def _hear(self, event: StartupEvent) -> None:
        if isinstance(event, StartupFailed):
            self.failure = event.error
            self.should_exit = True
        else:
            self._tell(event)


def _configure(settings: Settings, app: ASGIApp, meter: Meter) -> uvicorn.Config:
    return uvicorn.Config(
        _ending_quietly(app),
        log_config=None,
        access_log=False,  # ours has more to tell
        forwarded_allow_ips=settings.forwarded_allow_ips,
        server_header=False,
        http=partial(  # type: ignore[arg-type]  # uvicorn calls it, and asks no more of it
            HTTPProtocol,
            request_timeout=settings.request_timeout,
            max_connections=settings.max_connections,
            metrics=meter,
            new_id=create_id_generator(secrets.token_hex(8)),
        ),
        ws=partial(  # type: ignore[arg-type]  # likewise
            WebSocketProtocol,
            # The others are left for requests.
            max_websockets=max(settings.max_connections // 2, 1),
            metrics=meter,
        ),
        ws_max_size=settings.body_limit,
        ws_per_message_deflate=False,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=_GRACE,
    )


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
                await STOPPING_RESPONSE(scope, receive, send)

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


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _greeting(settings: Settings, here: str) -> str:
    """Return what to tell the person at the terminal."""
    url = settings.public_url or here
    where = f"The playground is at {url}/graphql" if settings.has_playground else f"Serving {url}"
    listening = f", listening at {here}" if settings.public_url else ""
    return f"{where}{listening} (Ctrl-C stops)"
