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
from graphql_api.opening import (
    Ready,
    StartupEvent,
    StartupFailed,
    StartupListener,
    WaitingForDatabase,
)

logger = logging.getLogger(__name__)


class Work(Protocol):
    """What a worker does until SIGTERM ends it."""

    def __call__(self, number: int, tell: StartupListener, *, at_once: bool) -> None:
        """Do it, as the worker of this number, from 0; listen at once, or when there is data."""


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LEAST = 1.0
"""Seconds that a worker counts as having lived, so that one which dies at once is no whirl."""
_LOOK = 1.0
"""Seconds after which it is looked whether those that were told to stop are late."""


@dataclass(slots=True, eq=False)
class _Worker:
    number: int
    process: BaseProcess
    news: Connection
    begun: float
    """By the monotonic clock."""
    has_opened: bool = False


class Workers:
    """Processes that do the same work over one listener, looked after by the one that starts them.

    They are forked, so they share what there is before, and nothing that comes after. The first
    has opened the database before there are others, and no one listens that has nothing to serve
    beside one that has.
    """

    def __init__(
        self,
        count: int,
        work: Work,
        *,
        listener: socket.socket,
        tell: StartupListener,
        patience: float,
    ) -> None:
        """Have so many; tell when the first has opened, and each reason to wait once.

        One that has not ended `patience` seconds after it was told to is killed.
        """
        self._count = count
        self._work = work
        self._listener = listener
        self._tell = tell
        self._context = multiprocessing.get_context("fork")
        self._workers: list[_Worker] = []
        self._patience = patience
        self._deadline: float | None = None
        """When those that were told to stop are killed."""
        self._has_opened = False
        self._reason: str | None = None
        self._failure: CountriesError | None = None

    def run(self) -> None:
        """Look after the workers until all of them have been told to stop, and have.

        Raises:
            CountriesError: none of them could begin, and waiting would not help.
        """
        before = {number: signal.signal(number, self._hear_signal) for number in _SIGNALS}
        # Workers read from it, and what they read is that their supervisor is no more.
        self._lifeline, self._end = os.pipe()
        try:
            self._start(0)
            while self._workers:
                self._attend()
        finally:
            os.close(self._end)
            os.close(self._lifeline)
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._failure is not None:
            raise self._failure

    def _start(self, number: int) -> None:
        news, teller = self._context.Pipe(duplex=False)
        at_once = not any(worker.has_opened for worker in self._workers)
        process = self._context.Process(
            target=_live,
            args=(partial(self._work, number, at_once=at_once), teller, self._lifeline, self._end),
        )
        # A signal between the fork and the worker's first step would be taken for the supervisor's.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            if self._deadline is None:
                process.start()
                self._workers.append(_Worker(number, process, news, time.monotonic()))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        teller.close()

    def _attend(self) -> None:
        """Wait until a worker tells something or ends, and see to it."""
        sources = [worker.news for worker in self._workers]
        sentinels = [worker.process.sentinel for worker in self._workers]
        wait([*sources, *sentinels], _LOOK)
        if self._deadline is not None and time.monotonic() > self._deadline:
            for worker in self._workers:
                worker.process.kill()
        for worker in list(self._workers):
            self._listen(worker)
            if not worker.process.is_alive():
                self._replace(worker)

    def _listen(self, worker: _Worker) -> None:
        """Hear what a worker has told; when nothing more can come, it is about to end."""
        try:
            while worker.news.poll():
                self._hear(worker, worker.news.recv())
        except EOFError:
            worker.process.join(_LOOK)

    def _hear(self, worker: _Worker, event: StartupEvent) -> None:
        match event:
            case StartupFailed(CountriesError() as error) if not self._has_opened:
                self._failure = error
                self._stop()
            case StartupFailed(error):
                self._hear(worker, WaitingForDatabase(str(error)))
            case WaitingForDatabase(reason) if reason != self._reason:
                self._reason = reason
                self._tell(event)
            case Ready():
                worker.has_opened = True
                self._reason = None
                if not self._has_opened:
                    self._has_opened = True
                    self._tell(event)
                    for number in range(1, self._count):
                        self._start(number)

    def _replace(self, worker: _Worker) -> None:
        """Let another worker take the place of one that has ended, unless all are to end."""
        self._workers.remove(worker)
        code = worker.process.exitcode
        worker.news.close()
        if self._deadline is not None:
            return
        if not self._has_opened and code is not None and code > 0:
            self._failure = CountriesError(f"A worker ended with exit code {code}.")
            self._stop()
            return
        logger.error("A worker ended with exit code %s; another one takes its place.", code)
        time.sleep(max(0, worker.begun + _LEAST - time.monotonic()))
        self._start(worker.number)

    def _hear_signal(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        """Tell all to stop, or, those that have been told, to wait the less."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._patience
        # Workers have it too, and nobody is to connect to one that has ended.
        self._listener.close()
        for worker in self._workers:
            worker.process.terminate()


def _live(
    work: Callable[[StartupListener], None], teller: Connection, lifeline: int, end: int
) -> None:
    """Be a worker."""
    # Ctrl-C is meant for the supervisor, which says so by SIGTERM.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT})
    os.close(end)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()

    def tell(event: StartupEvent) -> None:
        with suppress(OSError):  # the supervisor has gone, and this process is about to
            teller.send(event)

    try:
        work(tell)
    except CountriesError as error:
        tell(StartupFailed(error))
        sys.exit(1)


def _end_with(lifeline: int) -> None:
    """End this process when the other end of its lifeline is let go."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)
