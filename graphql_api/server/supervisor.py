"""Run several worker processes on one port, replace those that die, stop them together."""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from graphql_api.errors import CountriesError
from graphql_api.startup import (
    Ready,
    StartupEvent,
    StartupFailed,
    StartupListener,
    WaitingForDatabase,
)

logger = logging.getLogger(__name__)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MIN_RESTART_INTERVAL = 1.0
"""Minimum seconds between two starts of a worker, so that one that dies at once takes no CPU."""
_POLL_INTERVAL = 1.0
"""Seconds between two checks for workers that exceed the stop timeout."""


class WorkerMain(Protocol):
    """Serves in a worker process until SIGTERM."""

    def __call__(self, number: int, on_event: StartupListener, *, listen_immediately: bool) -> None:
        """Serve as worker `number`, from 0; listen immediately or only once there is data."""


@dataclass(slots=True, eq=False)
class _WorkerProcess:
    number: int
    process: BaseProcess
    event_receiver: Connection
    started_at: float
    """Monotonic time."""
    is_ready: bool = False


class Supervisor:
    """Forks workers that accept from one listener, and watches over them.

    Workers share the memory that exists before the fork. The first one opens the database before
    the others start. A worker without data does not listen beside one that has some.
    """

    def __init__(
        self,
        workers: int,
        worker_main: WorkerMain,
        *,
        listener: socket.socket,
        on_event: StartupListener,
        stop_timeout: float,
    ) -> None:
        """Run `workers` processes.

        Emits an event when the first is ready, and one for each new reason to wait. Kills a worker
        that has not exited `stop_timeout` seconds after the signal to stop.
        """
        self._worker_count = workers
        self._worker_main = worker_main
        self._listener = listener
        self._on_event = on_event
        self._context = multiprocessing.get_context("fork")
        self._workers: list[_WorkerProcess] = []
        self._stop_timeout = stop_timeout
        self._deadline: float | None = None
        """Monotonic time at which running workers are killed; None until they are signalled."""
        self._is_ready = False
        self._waiting_reason: str | None = None
        self._failure: CountriesError | None = None

    def run(self) -> None:
        """Start the workers and return when a signal has stopped all of them.

        Raises:
            CountriesError: the first worker failed to start, and a retry would not help.
        """
        previous_handlers = {signum: signal.signal(signum, self._on_signal) for signum in _SIGNALS}
        # Its write end closes when this process ends, however it ends; workers wait for that.
        self._lifeline_read_fd, self._lifeline_write_fd = os.pipe()
        try:
            self._start(0)
            while self._workers:
                self._process_events()
        finally:
            os.close(self._lifeline_write_fd)
            os.close(self._lifeline_read_fd)
            for signum, handler in previous_handlers.items():
                signal.signal(signum, handler)
        if self._failure is not None:
            raise self._failure

    def _start(self, number: int) -> None:
        event_receiver, event_sender = self._context.Pipe(duplex=False)
        listen_immediately = not any(worker.is_ready for worker in self._workers)
        process = self._context.Process(
            target=_run_worker,
            args=(
                partial(self._worker_main, number, listen_immediately=listen_immediately),
                event_sender,
                self._lifeline_read_fd,
                self._lifeline_write_fd,
            ),
        )
        # Until it sets its own, a forked worker has the supervisor's signal handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            if self._deadline is None:
                process.start()
                self._workers.append(
                    _WorkerProcess(number, process, event_receiver, time.monotonic())
                )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        event_sender.close()

    def _process_events(self) -> None:
        """Wait until a worker emits an event or exits, and handle that."""
        receivers = [worker.event_receiver for worker in self._workers]
        sentinels = [worker.process.sentinel for worker in self._workers]
        wait([*receivers, *sentinels], _POLL_INTERVAL)
        if self._deadline is not None and time.monotonic() > self._deadline:
            for worker in self._workers:
                worker.process.kill()
        for worker in list(self._workers):
            self._receive_events(worker)
            if not worker.process.is_alive():
                self._replace(worker)

    def _receive_events(self, worker: _WorkerProcess) -> None:
        """Handle what a worker has emitted. A closed pipe means that it is about to exit."""
        try:
            while worker.event_receiver.poll():
                self._handle_event(worker, worker.event_receiver.recv())
        except EOFError:
            worker.process.join(_POLL_INTERVAL)

    def _handle_event(self, worker: _WorkerProcess, event: StartupEvent) -> None:
        match event:
            case StartupFailed(CountriesError() as error) if not self._is_ready:
                self._failure = error
                self._stop()
            case StartupFailed(error):
                self._handle_event(worker, WaitingForDatabase(str(error)))
            case WaitingForDatabase(reason) if reason != self._waiting_reason:
                self._waiting_reason = reason
                self._on_event(event)
            case Ready():
                worker.is_ready = True
                self._waiting_reason = None
                if not self._is_ready:
                    self._is_ready = True
                    self._on_event(event)
                    for number in range(1, self._worker_count):
                        self._start(number)

    def _replace(self, worker: _WorkerProcess) -> None:
        self._workers.remove(worker)
        exit_code = worker.process.exitcode
        worker.event_receiver.close()
        if self._deadline is not None:
            return
        if not self._is_ready and exit_code is not None and exit_code > 0:
            self._failure = CountriesError(
                f"A worker exited with code {exit_code} before it was ready; see its log above."
            )
            self._stop()
            return
        logger.error("A worker exited with code %s; starting a replacement.", exit_code)
        time.sleep(max(0, worker.started_at + _MIN_RESTART_INTERVAL - time.monotonic()))
        self._start(worker.number)

    def _on_signal(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        """Signal all workers to stop; a second call makes them skip the waiting."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._stop_timeout
        # The workers' copies stay open until each stops listening.
        self._listener.close()
        for worker in self._workers:
            worker.process.terminate()


def _run_worker(
    worker_main: Callable[[StartupListener], None],
    event_sender: Connection,
    lifeline_read_fd: int,
    lifeline_write_fd: int,
) -> None:
    # A terminal sends Ctrl-C to workers too; the supervisor signals them by SIGTERM instead.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT})
    os.close(lifeline_write_fd)
    threading.Thread(target=_exit_with_supervisor, args=(lifeline_read_fd,), daemon=True).start()

    def send_event(event: StartupEvent) -> None:
        with suppress(OSError):  # the supervisor is gone, and this process exits next
            event_sender.send(event)

    try:
        worker_main(send_event)
    except CountriesError as error:
        send_event(StartupFailed(error))
        sys.exit(1)


def _exit_with_supervisor(lifeline_read_fd: int) -> None:
    """Terminate this process when the supervisor, the only holder of the write end, has ended."""
    os.read(lifeline_read_fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)
