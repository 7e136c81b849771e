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
from contextlib import closing, suppress
from functools import partial
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api.app import create_app
from graphql_api.errors import InvalidSetting
from graphql_api.http.middleware.request_id import create_id_generator
from graphql_api.logging import configure_logging
from graphql_api.metrics.definitions import FAMILIES
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.metrics.shared_memory import SharedMetrics
from graphql_api.server.http_protocol import HTTPProtocol
from graphql_api.server.supervisor import Supervisor
from graphql_api.server.websocket_protocol import WebSocketProtocol
from graphql_api.settings import Settings
from graphql_api.startup import (
    Ready,
    StartupEvent,
    StartupFailed,
    StartupListener,
    WaitingForDatabase,
)

logger = logging.getLogger(__name__)

_GRACEFUL_SHUTDOWN_TIMEOUT = 5
"""Seconds that requests have to finish after Ctrl-C or SIGTERM; containers are killed after 10."""

_WORKER_EXIT_TIMEOUT = 10
"""Seconds that a worker has for everything else; then it is taken to hang."""

_NOT_AN_ADDRESS = "is not an address of this machine. Set HOST to one, for example 127.0.0.1."


def serve(settings: Settings) -> None:
    """Serve until the process is told to stop.

    Raises:
        InvalidSetting: HOST and PORT cannot be listened on, or the parts refuse a setting.
        DatabaseUnavailable: the database cannot be used, and waiting would not help.
    """
    configure_logging(settings.log_level, settings.effective_log_format)
    with closing(_bind_socket(settings.host, settings.port)) as listener:
        on_event = partial(_log_event, settings, _build_listen_url(listener))
        if settings.workers == 1:
            _run_in_process(settings, listener, on_event, MetricsRecorder.standalone())
        else:
            _run_workers(settings, listener, on_event)


def _run_workers(settings: Settings, listener: socket.socket, on_event: StartupListener) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        raise InvalidSetting("WORKERS can only be 1 on this system.")
    # What is set wrong is told once, before there are any.
    create_app(settings)
    # What one imports later, all would import; and what is there before them they share.
    import graphql_api.http.site.routes  # noqa: PLC0415 - one worker alone does not wait for it
    import graphql_api.sources.http_client  # noqa: F401, PLC0415 - likewise; to import is all

    shared_metrics = SharedMetrics(FAMILIES, workers=settings.workers)

    def worker_main(number: int, on_event: StartupListener, *, listen_immediately: bool) -> None:
        _run_in_process(
            settings,
            listener,
            on_event,
            MetricsRecorder(shared_metrics, worker=number),
            listen_immediately=listen_immediately,
        )

    Supervisor(
        settings.workers,
        worker_main,
        listener=listener,
        on_event=on_event,
        stop_timeout=settings.stop_delay + _GRACEFUL_SHUTDOWN_TIMEOUT + _WORKER_EXIT_TIMEOUT,
    ).run()


def _run_in_process(
    settings: Settings,
    listener: socket.socket,
    on_event: StartupListener,
    metrics: MetricsRecorder,
    *,
    listen_immediately: bool = True,
) -> None:
    """Serve in this process, at once or when there is data, and tell how the opening goes.

    What it does is counted by the meter.

    Raises:
        InvalidSetting: the parts refuse a setting.
        DatabaseUnavailable: the database cannot be used, and waiting would not help.
    """
    server = _Server(settings, on_event, metrics, listen_immediately=listen_immediately)
    # From here on there is garbage; what has been made until now is none.
    gc.freeze()
    gc.enable()
    server.run([listener])
    if server.failure is not None:
        raise server.failure


def _log_event(settings: Settings, listen_url: str, event: StartupEvent) -> None:
    """Say where people find what is served once they can, and what it waits for before."""
    match event:
        case WaitingForDatabase(reason):
            logger.error("%s Trying again until it answers; listening at %s.", reason, listen_url)
        case Ready():
            logger.info(_build_greeting(settings, listen_url))


class _Server(uvicorn.Server):
    """uvicorn, which ends when nothing can be opened, and for which to be ended is well."""

    def __init__(
        self,
        settings: Settings,
        on_event: StartupListener,
        metrics: MetricsRecorder,
        *,
        listen_immediately: bool,
    ) -> None:
        self.failure: Exception | None = None
        """Why there will never be anything to serve."""
        self._on_event = on_event
        self._stop_delay = settings.stop_delay
        self._is_stopping = False
        self._stop_listening_at: float | None = None
        """When to stop listening, by the monotonic clock."""
        app = create_app(
            settings,
            on_event=self._handle_event,
            is_stopping=lambda: self._is_stopping,
            wait_until_ready=not listen_immediately,
            metrics=metrics,
        )
        super().__init__(_build_uvicorn_config(settings, app, metrics))

    async def on_tick(self, counter: int) -> bool:
        """Begin to stop when the delay is over."""
        if self._stop_listening_at is not None and time.monotonic() >= self._stop_listening_at:
            self.should_exit = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin to stop, or to say that it soon will; asked again, wait the less."""
        if self.should_exit:
            for task in self.server_state.tasks:
                task.cancel()
        elif self._stop_delay and not self._is_stopping:
            self._stop_listening_at = time.monotonic() + self._stop_delay
        else:
            self.should_exit = True
        self._is_stopping = True

    def _handle_event(self, event: StartupEvent) -> None:
        if isinstance(event, StartupFailed):
            self.failure = event.error
            self.should_exit = True
        else:
            self._on_event(event)


def _build_uvicorn_config(
    settings: Settings, app: ASGIApp, metrics: MetricsRecorder
) -> uvicorn.Config:
    new_id = create_id_generator(secrets.token_hex(8))
    return uvicorn.Config(
        _suppress_cancellation(app),
        log_config=None,
        access_log=False,  # ours has more to tell
        forwarded_allow_ips=settings.forwarded_allow_ips,
        server_header=False,
        http=partial(  # type: ignore[arg-type]  # uvicorn calls it, and asks no more of it
            HTTPProtocol,
            request_timeout=settings.request_timeout,
            max_connections=settings.max_connections,
            metrics=metrics,
            new_id=new_id,
        ),
        ws=partial(  # type: ignore[arg-type]  # likewise
            WebSocketProtocol,
            # The others are left for requests.
            max_websockets=max(settings.max_connections // 2, 1),
            metrics=metrics,
            new_id=new_id,
        ),
        ws_max_size=settings.body_limit,
        ws_per_message_deflate=False,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_TIMEOUT,
    )


def _suppress_cancellation(app: ASGIApp) -> ASGIApp:
    """Keep uvicorn from logging a traceback for each request that a shutdown cancels."""

    async def wrapped_app(scope: Scope, receive: Receive, send: Send) -> None:
        # The task serves this request alone, so no caller waits to see it cancelled.
        with suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return wrapped_app


def _bind_socket(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (socket.gaierror, UnicodeError):  # the latter for what no name can be
        raise InvalidSetting(f"HOST {host} {_NOT_AN_ADDRESS}") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise InvalidSetting(f"HOST {host} {_NOT_AN_ADDRESS}") from None
        # The error's own text repeats the address.
        reason = os.strerror(error.errno or 0)
        raise InvalidSetting(
            f"PORT {port} of HOST {host} cannot be listened on: {reason}. "
            "Set PORT to a free one, for example 8001."
        ) from None


def _build_listen_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _build_greeting(settings: Settings, listen_url: str) -> str:
    """Return what to tell the person at the terminal."""
    url = settings.public_url or listen_url
    location = (
        f"The playground is at {url}/graphql" if settings.has_playground else f"Serving {url}"
    )
    listening_note = f", listening at {listen_url}" if settings.public_url else ""
    return f"{location}{listening_note} (Ctrl-C stops)"
