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


WorkerMain = Callable[[int, bool, StartupListener], None]
"""Serves until SIGTERM, as worker number n from 0; listens at once, or only when there is data."""


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
        for signum in _SIGNALS:
            signal.signal(signum, lambda *_: self._stop())
        # The sender closes when this process ends, however it ends; workers wait for that.
        self._lifeline_receiver, self._lifeline_sender = self._context.Pipe(duplex=False)
        with self._lifeline_receiver, self._lifeline_sender:
            self._start(0)
            while self._workers:
                self._process_events()
        if self._failure is not None:
            raise self._failure

    def _start(self, number: int) -> None:
        event_receiver, event_sender = self._context.Pipe(duplex=False)
        wait_until_ready = any(worker.is_ready for worker in self._workers)
        worker_main = partial(self._worker_main, number, wait_until_ready)
        process = self._context.Process(target=self._run_worker, args=(worker_main, event_sender))
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

    def _stop(self) -> None:
        """Signal all workers to stop; a second call makes them skip the waiting."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._stop_timeout
        # The workers' copies stay open until each stops listening.
        self._listener.close()
        for worker in self._workers:
            worker.process.terminate()

    def _run_worker(
        self, worker_main: Callable[[StartupListener], None], event_sender: Connection
    ) -> None:
        """Run in the worker process."""
        # A terminal sends Ctrl-C to workers too; the supervisor signals them by SIGTERM instead.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT})
        self._lifeline_sender.close()
        threading.Thread(target=self._exit_with_supervisor, daemon=True).start()

        def send_event(event: StartupEvent) -> None:
            with suppress(OSError):  # the supervisor is gone, and this process exits next
                event_sender.send(event)

        try:
            worker_main(send_event)
        except CountriesError as error:
            send_event(StartupFailed(error))
            sys.exit(1)

    def _exit_with_supervisor(self) -> None:
        """Terminate this process when the supervisor, the only holder of the sender, has ended."""
        self._lifeline_receiver.poll(None)
        os.kill(os.getpid(), signal.SIGTERM)
