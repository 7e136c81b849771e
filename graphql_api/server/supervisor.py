"""Run several worker processes on one port, replace those that die, stop them together."""

import logging
import multiprocessing
import multiprocessing.context
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from graphql_api import startup
from graphql_api.errors import CountriesError
from graphql_api.startup import StartupEvent, StartupListener
from graphql_api.utils.signals import STOP_SIGNALS, set_hangup_handler, set_stop_handler

assert sys.platform != "win32"  # noqa: S101 - it has no fork; mypy reads no further

logger = logging.getLogger(__name__)

_MIN_RESTART_INTERVAL = 1.0
"""Minimum seconds between two starts of a worker, so that one that dies at once takes no CPU."""
_POLL_INTERVAL = 1.0
"""Seconds between two checks for workers that exceed the stop timeout or have hung."""
_MAX_SILENT_CHECKS = 30
"""Checks without a heartbeat after which a worker is killed. A count, because time also passes while all processes
are paused, e.g. with their machine."""


@dataclass(slots=True, eq=False)
class _WorkerProcess:
    number: int
    process: BaseProcess
    event_receiver: Connection
    started_at: float
    """Monotonic time."""
    is_ready: bool = False
    last_heartbeat: float = 0.0
    """Monotonic time of the last one seen."""
    silent_checks: int = 0
    """Checks since then."""


@dataclass(kw_only=True)
class Supervisor:
    """Forks workers that accept from the same listeners, and watches over them.

    Workers share the memory that exists before the fork. The first one opens the database before
    the others start. A worker without data does not listen beside one that has some.
    """

    workers: int
    """Number of processes."""
    serve: Callable[[int, bool, StartupListener], None]
    """Serves until SIGTERM. Takes the worker's number, from 0, and whether to wait for data."""
    listeners: Sequence[socket.socket]
    on_event: StartupListener
    """Called once the first worker is ready and settled, for each new reason to wait, and for a signal to stop."""
    rereads_files: bool
    """True if workers read their secret files again on SIGHUP, instead of stopping."""
    stop_timeout: float
    """Seconds after the signal to stop at which a running worker is killed."""
    last_heartbeat: Callable[[int], float]
    """Returns the monotonic time at which a worker, by its number, last turned its event loop."""
    _context: multiprocessing.context.ForkContext = field(init=False)
    _processes: list[_WorkerProcess] = field(default_factory=list, init=False)
    _deadline: float | None = field(default=None, init=False)
    """Monotonic time at which running workers are killed; None until they are signalled."""
    _is_ready: bool = field(default=False, init=False)
    _waiting_reason: str | None = field(default=None, init=False)
    _failure: CountriesError | None = field(default=None, init=False)
    _unreported_signal: int | None = field(default=None, init=False)
    """The signal that stops the workers, until the listener knows it."""
    _has_settled: bool = field(default=False, init=False)
    _next_check_at: float = field(default=0.0, init=False)
    """Monotonic time of the next check of heartbeats."""

    def run(self) -> None:
        """Start the workers and return when a signal has stopped all of them.

        Raises:
            CountriesError: the first worker failed to start, and a retry would not help.
        """
        self._context = multiprocessing.get_context("fork")
        set_stop_handler(lambda signum, _: self._stop(signum))
        if self.rereads_files:
            set_hangup_handler(lambda signum, _: self._forward(signum))
        # The sender closes when this process ends, however it ends; workers wait for that.
        self._lifeline_receiver, self._lifeline_sender = self._context.Pipe(duplex=False)
        with self._lifeline_receiver, self._lifeline_sender:
            self._start(0)
            while self._processes:
                self._process_events()
                self._report_signal()
        if self._failure is not None:
            raise self._failure

    def _start(self, number: int) -> None:
        event_receiver, event_sender = self._context.Pipe(duplex=False)
        wait_until_ready = any(worker.is_ready for worker in self._processes)
        worker_main = partial(self.serve, number, wait_until_ready)
        process = self._context.Process(target=self._run_worker, args=(worker_main, event_sender))
        # Until it sets its own, a forked worker has the supervisor's signal handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            if self._deadline is None:
                process.start()
                self._processes.append(_WorkerProcess(number, process, event_receiver, time.monotonic()))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        event_sender.close()

    def _process_events(self) -> None:
        receivers = [worker.event_receiver for worker in self._processes]
        sentinels = [worker.process.sentinel for worker in self._processes]
        wait([*receivers, *sentinels], _POLL_INTERVAL)
        if self._deadline is not None and time.monotonic() > self._deadline:
            for worker in self._processes:
                worker.process.kill()
        self._kill_hung_workers()
        for worker in list(self._processes):
            self._receive_events(worker)
            if not worker.process.is_alive():
                self._replace(worker)

    def _kill_hung_workers(self) -> None:
        """Kill each worker whose event loop has stood still. One that starts has no heartbeat yet."""
        if self._deadline is not None or time.monotonic() < self._next_check_at:
            return
        self._next_check_at = time.monotonic() + _POLL_INTERVAL
        for worker in self._processes:
            heartbeat = self.last_heartbeat(worker.number)
            if heartbeat < worker.started_at:
                continue
            worker.silent_checks = worker.silent_checks + 1 if heartbeat == worker.last_heartbeat else 0
            worker.last_heartbeat = heartbeat
            if worker.silent_checks == _MAX_SILENT_CHECKS:
                logger.error(
                    "The worker with process id %d has not responded for %g s; killing it.",
                    worker.process.pid,
                    _MAX_SILENT_CHECKS * _POLL_INTERVAL,
                )
                worker.process.kill()

    def _receive_events(self, worker: _WorkerProcess) -> None:
        """Handle what a worker has emitted. A closed pipe means that it is about to exit."""
        try:
            while worker.event_receiver.poll():
                self._handle_event(worker, worker.event_receiver.recv())
        except EOFError:
            worker.process.join(_POLL_INTERVAL)

    def _handle_event(self, worker: _WorkerProcess, event: StartupEvent) -> None:
        match event:
            case startup.StartupFailed(CountriesError() as error) if not self._is_ready:
                self._failure = error
                self._stop()
            case startup.StartupFailed(error):
                self._handle_event(worker, startup.WaitingForDatabase(str(error)))
            case startup.WaitingForDatabase(reason) if reason != self._waiting_reason:
                self._waiting_reason = reason
                self.on_event(event)
            case startup.Ready():
                worker.is_ready = True
                self._waiting_reason = None
                if not self._is_ready:
                    self._is_ready = True
                    self.on_event(event)
                    for number in range(1, self.workers):
                        self._start(number)
            case startup.Settled() if not self._has_settled:
                self._has_settled = True
                self.on_event(event)

    def _replace(self, worker: _WorkerProcess) -> None:
        self._processes.remove(worker)
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

    def _forward(self, signum: int) -> None:
        for worker in self._processes:
            if worker.process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, signum)

    def _report_signal(self) -> None:
        """Emit the event of a signal. Its handler cannot, because it may interrupt a line of the log."""
        if self._unreported_signal is not None:
            self.on_event(startup.Stopping(self._unreported_signal))
            self._unreported_signal = None

    def _stop(self, signum: int | None = None) -> None:
        """Signal all workers to stop; a second call makes them skip the waiting."""
        if self._deadline is None:
            self._unreported_signal = signum
            self._deadline = time.monotonic() + self.stop_timeout
        # The workers' copies stay open until each stops listening.
        for listener in self.listeners:
            listener.close()
        for worker in self._processes:
            worker.process.terminate()

    def _run_worker(self, worker_main: Callable[[StartupListener], None], event_sender: Connection) -> None:
        # A terminal signals workers too; only the supervisor stops them, by SIGTERM.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, {*STOP_SIGNALS} - {signal.SIGTERM})
        self._lifeline_sender.close()
        threading.Thread(target=self._exit_with_supervisor, daemon=True).start()

        def send_event(event: StartupEvent) -> None:
            with suppress(OSError):  # the supervisor is gone, and this process exits next
                event_sender.send(event)

        try:
            worker_main(send_event)
        except CountriesError as error:
            send_event(startup.StartupFailed(error))
            sys.exit(1)

    def _exit_with_supervisor(self) -> None:
        """Terminate this process when the supervisor, the only holder of the sender, has ended."""
        self._lifeline_receiver.poll(None)
        os.kill(os.getpid(), signal.SIGTERM)
