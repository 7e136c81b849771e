"""`graphql-api serve`: serve the application in one process or several."""

import gc
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial

from graphql_api import __version__
from graphql_api.app import create_app
from graphql_api.errors import InvalidSetting
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.metrics.shared_memory import SharedMetrics
from graphql_api.server.listeners import listen_url, local_url
from graphql_api.server.open_files import fit_max_connections
from graphql_api.server.uvicorn_server import GRACEFUL_SHUTDOWN_TIMEOUT, UvicornServer
from graphql_api.settings import Settings
from graphql_api.startup import Ready, Settled, StartupEvent, StartupListener, Stopping, WaitingForDatabase
from graphql_api.storage.url import parse_database_url
from graphql_api.utils.malloc import return_large_buffers

if sys.platform != "win32":
    from graphql_api.server.supervisor import Supervisor

logger = logging.getLogger(__name__)

_GC_THRESHOLDS = (5_000, 20, 500)
"""Those of the collector's three generations. With Python's own, unknown documents cause a full collection a second,
each of which visits all cached documents: up to 60 ms. What has no cycles is freed without the collector."""
_WORKER_EXIT_TIMEOUT = 10
"""Seconds after STOP_DELAY and the graceful shutdown at which a running worker is killed."""


def serve(settings: Settings, listeners: Sequence[socket.socket]) -> None:
    """Serve until a signal.

    Raises:
        InvalidSetting: a component or the limit of open files rejects a setting.
        DatabaseUnavailable: the database cannot be used, and a retry would not help.
    """
    settings = fit_max_connections(settings)
    listen_urls = " and ".join(map(listen_url, listeners))
    banner = _build_banner(settings, url=settings.public_url or local_url(listeners[0]), listen_urls=listen_urls)
    on_event = partial(_log_event, banner=banner, listen_urls=listen_urls, stop_delay=settings.stop_delay)
    if settings.workers == 1:
        _run_in_process(settings, listeners, on_event, MetricsRecorder.standalone())
    elif sys.platform == "win32":
        raise InvalidSetting(f"WORKERS is {settings.workers}, but Windows cannot fork processes. Set it to 1.")
    else:
        _run_workers(settings, listeners, on_event)


if sys.platform != "win32":

    def _run_workers(settings: Settings, listeners: Sequence[socket.socket], on_event: StartupListener) -> None:
        # Reports a wrong setting once, before there are workers.
        create_app(settings)
        # Workers share the memory of what is imported before they are forked.
        import graphql_api.http.site.routes  # noqa: PLC0415 - a single worker imports it lazily
        import graphql_api.sources.http_client  # noqa: F401, PLC0415 - imported for the workers; one alone imports it lazily

        shared_metrics = SharedMetrics(workers=settings.workers)

        def run_worker(number: int, wait_until_ready: bool, on_event: StartupListener) -> None:
            metrics = MetricsRecorder(shared_metrics, worker=number)
            _run_in_process(_reread_secrets(settings), listeners, on_event, metrics, wait_until_ready=wait_until_ready)

        Supervisor(
            workers=settings.workers,
            serve=run_worker,
            listeners=listeners,
            on_event=on_event,
            rereads_files=settings.rereads_files,
            last_heartbeat=shared_metrics.last_heartbeat,
            stop_timeout=settings.stop_delay + GRACEFUL_SHUTDOWN_TIMEOUT + _WORKER_EXIT_TIMEOUT,
        ).run()


def _reread_secrets(settings: Settings) -> Settings:
    """Return the settings of a worker, which may replace one after the secret files have changed."""
    try:
        return settings.reread_secrets()
    except InvalidSetting as error:
        logger.error("%s The secrets of the start are used.", error)  # noqa: TRY400 - no defect
        return settings


def _run_in_process(
    settings: Settings,
    listeners: Sequence[socket.socket],
    on_event: StartupListener,
    metrics: MetricsRecorder,
    *,
    wait_until_ready: bool = False,
) -> None:
    return_large_buffers()
    app = partial(create_app, settings, wait_until_ready=wait_until_ready, metrics=metrics)
    server = UvicornServer(settings, on_event, metrics, app)
    # What exists by now stays, so the collector never has to look at it.
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    gc.enable()
    server.run(list(listeners))
    if server.failure is not None:
        raise server.failure


def _build_banner(settings: Settings, *, url: str, listen_urls: str) -> str:
    """Return what to know of a server that has started, in one line."""
    database = parse_database_url(settings.database_url, has_ca=settings.database_ssl_ca is not None)
    parts = [
        f"graphql-api {__version__} serves {url}",
        *([] if url == listen_urls else [f"listening at {listen_urls}"]),
        *([f"playground {url}/graphql"] if settings.has_playground else []),
        f"database {database}",
    ]
    return f"{', '.join(parts)} (Ctrl-C stops)"


def _log_event(event: StartupEvent, *, banner: str, listen_urls: str, stop_delay: float) -> None:
    match event:
        case WaitingForDatabase(reason):
            logger.error("%s Retrying until it responds; listening at %s.", reason, listen_urls)
        case Ready():
            logger.debug("Ready to serve, listening at %s.", listen_urls)
        case Settled():
            logger.info("%s", banner)
        case Stopping(signum):
            delay = f" in {stop_delay:g} s (STOP_DELAY)" if stop_delay else ""
            logger.info("Stopping%s: received %s.", delay, signal.Signals(signum).name)
