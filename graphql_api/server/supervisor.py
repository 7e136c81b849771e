"""Several processes on one port: started, replaced when they die, ended together, telling once."""

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


class WorkerMain(Protocol):
    """What a worker does until SIGTERM ends it."""

    def __call__(self, number: int, on_event: StartupListener, *, listen_immediately: bool) -> None:
        """Do it, as the worker of this number, from 0; listen at once, or when there is data."""


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MIN_WORKER_LIFETIME = 1.0
"""Seconds that a worker counts as having lived, so that one which dies at once is no whirl."""
_POLL_INTERVAL = 1.0
"""Seconds after which it is looked whether those that were told to stop are late."""


@dataclass(slots=True, eq=False)
class _WorkerProcess:
    number: int
    process: BaseProcess
    event_receiver: Connection
    started_at: float
    """By the monotonic clock."""
    is_ready: bool = False


class Supervisor:
    """Processes that do the same work over one listener, looked after by the one that starts them.

    They are forked, so they share what there is before, and nothing that comes after. The first
    has opened the database before there are others, and no one listens that has nothing to serve
    beside one that has.
    """

    def __init__(
        self,
        count: int,
        worker_main: WorkerMain,
        *,
        listener: socket.socket,
        on_event: StartupListener,
        stop_timeout: float,
    ) -> None:
        """Have so many; tell when the first has opened, and each reason to wait once.

        One that has not ended `patience` seconds after it was told to is killed.
        """
        self._count = count
        self._worker_main = worker_main
        self._listener = listener
        self._on_event = on_event
        self._context = multiprocessing.get_context("fork")
        self._workers: list[_WorkerProcess] = []
        self._stop_timeout = stop_timeout
        self._deadline: float | None = None
        """When those that were told to stop are killed."""
        self._is_ready = False
        self._waiting_reason: str | None = None
        self._failure: CountriesError | None = None

    def run(self) -> None:
        """Look after the workers until all of them have been told to stop, and have.

        Raises:
            CountriesError: none of them could begin, and waiting would not help.
        """
        previous_handlers = {signum: signal.signal(signum, self._on_signal) for signum in _SIGNALS}
        # Workers read from it, and what they read is that their supervisor is no more.
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
        # A signal between the fork and the worker's first step would be taken for the supervisor's.
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
        """Wait until a worker tells something or ends, and see to it."""
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
        """Hear what a worker has told; when nothing more can come, it is about to end."""
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
                    for number in range(1, self._count):
                        self._start(number)

    def _replace(self, worker: _WorkerProcess) -> None:
        """Let another worker take the place of one that has ended, unless all are to end."""
        self._workers.remove(worker)
        exit_code = worker.process.exitcode
        worker.event_receiver.close()
        if self._deadline is not None:
            return
        if not self._is_ready and exit_code is not None and exit_code > 0:
            self._failure = CountriesError(f"A worker ended with exit code {exit_code}.")
            self._stop()
            return
        logger.error("A worker ended with exit code %s; another one takes its place.", exit_code)
        time.sleep(max(0, worker.started_at + _MIN_WORKER_LIFETIME - time.monotonic()))
        self._start(worker.number)

    def _on_signal(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        """Tell all to stop, or, those that have been told, to wait the less."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._stop_timeout
        # Workers have it too, and nobody is to connect to one that has ended.
        self._listener.close()
        for worker in self._workers:
            worker.process.terminate()


def _run_worker(
    worker_main: Callable[[StartupListener], None],
    event_sender: Connection,
    lifeline_read_fd: int,
    lifeline_write_fd: int,
) -> None:
    """Be a worker."""
    # Ctrl-C is meant for the supervisor, which says so by SIGTERM.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT})
    os.close(lifeline_write_fd)
    threading.Thread(target=_exit_with_supervisor, args=(lifeline_read_fd,), daemon=True).start()

    def send_event(event: StartupEvent) -> None:
        with suppress(OSError):  # the supervisor has gone, and this process is about to
            event_sender.send(event)

    try:
        worker_main(send_event)
    except CountriesError as error:
        send_event(StartupFailed(error))
        sys.exit(1)


def _exit_with_supervisor(lifeline_read_fd: int) -> None:
    """End this process when the other end of its lifeline is let go."""
    os.read(lifeline_read_fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)
