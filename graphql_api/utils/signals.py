"""Signals that stop a process: Ctrl-C, SIGTERM, and SIGHUP when its terminal closes.

Imports little: until a handler is set, Ctrl-C shows a traceback.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform != "win32":
    STOP_SIGNALS.append(signal.SIGHUP)


Handler = Callable[[int, FrameType | None], object]


def set_stop_handler(handler: Handler) -> None:
    """Handle each signal of `STOP_SIGNALS`, except SIGHUP where nohup has turned it off."""
    for signum in STOP_SIGNALS:
        if signum in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, handler)


def exit_at_once(signum: int, _: FrameType | None) -> None:
    """Exit without a traceback or any cleanup, with the exit code that shells give a signal."""
    os._exit(128 + signum)


def set_hangup_handler(handler: Handler) -> None:
    """Handle SIGHUP, also where nohup has turned it off, and one that came while it was blocked."""
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
