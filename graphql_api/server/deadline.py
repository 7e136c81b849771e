"""Deadlines for the client of a connection: to send a request, or to read a response."""

import asyncio
import time
from collections.abc import Callable

SEND_TIMEOUT = 60.0
"""Seconds in which a client has to read what is left of a response."""


class Deadline:
    """A deadline that is set again with every request.

    A timer that fires too early is set again, so that most moves cost no timer of their own.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_expired: Callable[[], None]) -> None:
        """Call `on_expired` when a deadline passes. None is pending until `set`."""
        self.set_at = time.monotonic()
        """Monotonic time of the last `set`. uvloop's own clock has milliseconds only."""
        self._loop = loop
        self._on_expired = on_expired
        self.expires_at: float | None = None
        """Monotonic time; None if no deadline is pending."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def set(self, seconds: float) -> None:
        """Expire in `seconds` from now, in place of a former deadline."""
        self.set_at = time.monotonic()
        self.expires_at = self.set_at + seconds
        if self._timer is None or self.expires_at < self._timer_at:
            self._start_timer(seconds)

    def clear(self) -> None:
        """Never expire, unless set again."""
        self.expires_at = None

    def cancel(self) -> None:
        """Never expire, and drop the timer."""
        self.expires_at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = time.monotonic() + seconds
        self._timer = self._loop.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self.expires_at is None:
            return
        remaining = self.expires_at - time.monotonic()
        if remaining > 0:
            self._start_timer(remaining)
        else:
            self.expires_at = None
            self._on_expired()
