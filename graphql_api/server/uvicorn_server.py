"""uvicorn's server with this project's protocols, limits and way to stop."""

import asyncio
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api.components import REREAD_FILES_KEY
from graphql_api.http.client_counts import ClientCounts
from graphql_api.http.cors import CORSPolicy
from graphql_api.http.forwarded import TrustedProxies
from graphql_api.http.graphql.event_stream import CLOSE_STREAMS_KEY
from graphql_api.http.middleware.request_id import create_id_generator
from graphql_api.logging import library_log_level
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.server.acceptor import Acceptor
from graphql_api.server.connection_limits import ConnectionLimits
from graphql_api.server.fast_path_protocol import FastPathProtocol
from graphql_api.server.known_heads import KnownHeads
from graphql_api.server.rejection import Rejector
from graphql_api.server.websocket_protocol import WebSocketProtocol
from graphql_api.settings import Settings
from graphql_api.startup import StartupEvent, StartupFailed, StartupListener, Stopping
from graphql_api.utils.signals import exit_at_once, set_hangup_handler, set_stop_handler

GRACEFUL_SHUTDOWN_TIMEOUT = 5
"""Seconds that requests have to finish after Ctrl-C or SIGTERM. Containers are killed after 10."""

AppFactory = Callable[[StartupListener, Callable[[], bool]], ASGIApp]
"""Builds an application. Takes the listener of start-up events, and the check for a shutdown."""


class UvicornServer(uvicorn.Server):
    """uvicorn's server, which also exits when start-up fails and treats a signal as a normal exit.

    After a signal it serves on for STOP_DELAY seconds. A second signal skips the waiting.
    """

    def __init__(
        self, settings: Settings, on_event: StartupListener, metrics: MetricsRecorder, create_app: AppFactory
    ) -> None:
        self.failure: Exception | None = None
        """Permanent reason why start-up failed."""
        self._on_event = on_event
        self._stop_delay = settings.stop_delay
        self._rereads_files = settings.rereads_files
        self._should_reread = False
        """True from a SIGHUP until the files are read again."""
        self._is_stopping = False
        self._stop_listening_at: float | None = None
        """Monotonic time at which STOP_DELAY ends."""
        self._unreported_signal: int | None = None
        """The signal that stops this server, until the listener knows it."""
        app = create_app(self._handle_event, lambda: self._is_stopping)
        super().__init__(_build_config(settings, app, metrics))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """On SIGHUP, which uvicorn leaves alone, read secrets and trusted documents again. Without such files, stop."""
        set_stop_handler(self.handle_exit)
        if self._rereads_files:
            set_hangup_handler(self._handle_hangup)
        try:
            yield
        finally:
            set_stop_handler(exit_at_once)

    async def on_tick(self, counter: int) -> bool:
        """Exit the main loop once STOP_DELAY is over."""
        self._report_signal()
        if self._should_reread:
            self._should_reread = False
            self.lifespan.state[REREAD_FILES_KEY]()
        if self._stop_listening_at is not None and time.monotonic() >= self._stop_listening_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept several connections in each turn of the event loop."""
        if sockets is None or sys.platform == "win32":  # its event loop has no readers
            await super().startup(sockets)
            return
        await super().startup([])
        create_protocol = partial(
            self.config.http_protocol_class,  # type: ignore[call-arg] # uvicorn's type is that of any protocol
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        loop = asyncio.get_running_loop()
        self.servers = [Acceptor(loop, listener, create_protocol) for listener in sockets]  # type: ignore[misc] # uvicorn only closes them

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, also if a signal came before the main loop."""
        self._report_signal()
        if close_streams := self.lifespan.state.get(CLOSE_STREAMS_KEY):
            close_streams()
        await super().shutdown(sockets)

    def _report_signal(self) -> None:
        """Emit the event of a signal. Its handler cannot, because it may interrupt a line of the log."""
        if self._unreported_signal is not None:
            self._on_event(Stopping(self._unreported_signal))
            self._unreported_signal = None

    def _handle_hangup(self, _signum: int, _frame: FrameType | None) -> None:
        self._should_reread = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - overrides uvicorn's method
        """Start STOP_DELAY, or stop at once if there is none or it runs; then cancel requests."""
        if not self._is_stopping:
            self._unreported_signal = sig
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


def _build_config(settings: Settings, app: ASGIApp, metrics: MetricsRecorder) -> uvicorn.Config:
    rejector = Rejector(
        new_id=create_id_generator(secrets.token_hex(8)),
        trusted_proxies=TrustedProxies(settings.forwarded_allow_ips),
        cors_policy=CORSPolicy(settings.cors_origins, allows_loopback=not settings.is_production),
    )
    return uvicorn.Config(
        _suppress_cancellation(app),
        log_config=None,
        log_level=library_log_level(settings.log_level),
        access_log=False,  # RequestLog logs more
        proxy_headers=False,  # the protocols read more of them
        server_header=False,
        http=partial(  # type: ignore[arg-type]  # uvicorn only calls it
            FastPathProtocol,
            request_timeout=settings.request_timeout,
            limits=ConnectionLimits(
                settings.max_connections,
                ClientCounts(settings.max_connections_per_client, is_exempt=rejector.trusted_proxies.__contains__),
            ),
            metrics=metrics,
            rejector=rejector,
            known_heads=KnownHeads(),
        ),
        ws=partial(  # type: ignore[arg-type]  # uvicorn only calls it
            WebSocketProtocol, metrics=metrics, rejector=rejector
        ),
        ws_max_size=settings.body_limit,
        ws_per_message_deflate=False,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_TIMEOUT,
    )


def _suppress_cancellation(app: ASGIApp) -> ASGIApp:
    """Keep uvicorn from logging a traceback for each request that a shutdown cancels."""

    async def wrapped_app(scope: Scope, receive: Receive, send: Send) -> None:
        # The task serves this request alone, so no caller waits to see it cancelled.
        with suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return wrapped_app
