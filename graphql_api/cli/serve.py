"""`graphql-api serve`: bind a socket and serve the application in one process or several."""

import errno
import gc
import logging
import multiprocessing
import os
import socket
from contextlib import closing
from functools import partial

from graphql_api.app import create_app
from graphql_api.errors import InvalidSetting
from graphql_api.logging import configure_logging
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.metrics.shared_memory import SharedMetrics
from graphql_api.server.supervisor import Supervisor
from graphql_api.server.uvicorn_server import GRACEFUL_SHUTDOWN_TIMEOUT, UvicornServer
from graphql_api.settings import Settings
from graphql_api.startup import Ready, StartupEvent, StartupListener, WaitingForDatabase

logger = logging.getLogger(__name__)

_WORKER_EXIT_TIMEOUT = 10
"""Seconds after STOP_DELAY and the graceful shutdown at which a running worker is killed."""


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        InvalidSetting: HOST and PORT cannot be listened on, or a component rejects a setting.
        DatabaseUnavailable: the database cannot be used, and a retry would not help.
    """
    configure_logging(settings.log_level, settings.effective_log_format)
    with closing(_bind_socket(settings.host, settings.port)) as listener:
        host, port = listener.getsockname()[:2]
        listen_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        on_event = partial(_log_event, settings, listen_url)
        if settings.workers == 1:
            _run_in_process(settings, listener, on_event, MetricsRecorder.standalone())
        else:
            _run_workers(settings, listener, on_event)


def _run_workers(settings: Settings, listener: socket.socket, on_event: StartupListener) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        raise InvalidSetting(f"WORKERS is {settings.workers}, but this system cannot fork processes. Set it to 1.")
    # Reports a wrong setting once, before there are workers.
    create_app(settings)
    # Workers share the memory of what is imported before they are forked.
    import graphql_api.http.site.routes  # noqa: PLC0415 - a single worker imports it lazily
    import graphql_api.sources.http_client  # noqa: F401, PLC0415 - imported for the workers; one alone imports it lazily

    shared_metrics = SharedMetrics(workers=settings.workers)

    def run_worker(number: int, wait_until_ready: bool, on_event: StartupListener) -> None:
        metrics = MetricsRecorder(shared_metrics, worker=number)
        _run_in_process(settings, listener, on_event, metrics, wait_until_ready=wait_until_ready)

    Supervisor(
        workers=settings.workers,
        serve=run_worker,
        listener=listener,
        on_event=on_event,
        stop_timeout=settings.stop_delay + GRACEFUL_SHUTDOWN_TIMEOUT + _WORKER_EXIT_TIMEOUT,
    ).run()


def _run_in_process(
    settings: Settings,
    listener: socket.socket,
    on_event: StartupListener,
    metrics: MetricsRecorder,
    *,
    wait_until_ready: bool = False,
) -> None:
    app = partial(create_app, settings, wait_until_ready=wait_until_ready, metrics=metrics)
    server = UvicornServer(settings, on_event, metrics, app)
    # What exists by now stays, so the collector never has to look at it.
    gc.freeze()
    gc.enable()
    server.run([listener])
    if server.failure is not None:
        raise server.failure


def _log_event(settings: Settings, listen_url: str, event: StartupEvent) -> None:
    match event:
        case WaitingForDatabase(reason):
            logger.error("%s Retrying until it responds; listening at %s.", reason, listen_url)
        case Ready():
            url = settings.public_url or listen_url
            greeting = f"The playground is at {url}/graphql" if settings.has_playground else f"Serving {url}"
            note = f", listening at {listen_url}" if settings.public_url else ""
            logger.info("%s%s (Ctrl-C stops)", greeting, note)


def _bind_socket(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, UnicodeError) as error:  # the latter for text that no host name can have
        if isinstance(error, socket.gaierror | UnicodeError) or error.errno == errno.EADDRNOTAVAIL:
            raise InvalidSetting(
                f"HOST {host} is not an address of this machine. Set HOST to one, for example 127.0.0.1."
            ) from None
        # The error's own text repeats the address.
        raise InvalidSetting(
            f"Cannot listen on PORT {port} of HOST {host}: {os.strerror(error.errno or 0)}. "
            "Set PORT to a free one, for example 8001."
        ) from None
