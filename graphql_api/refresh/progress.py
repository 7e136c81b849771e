"""What refreshes tell while they run, and who hears of it: one hub in each process."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

from graphql_api.domain.report import RefreshReport

_MAX_UNREAD_EVENTS = 32
"""Events that wait for a follower at most; a refresh has a dozen."""
_MAX_SEEN_REFRESHES = 1000
"""Refreshes of which a hub remembers that they were told."""


class Phase(StrEnum):
    """The steps of a refresh, in order; the last is one of the last two."""

    STARTED = "started"
    FETCHING = "fetching"
    TRANSFORMING = "transforming"
    UPSERTING = "upserting"
    DRAWING = "drawing"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a refresh is."""

    refresh_id: str
    phase: Phase
    fraction: float
    """Share done, 0 to 1, never decreasing within a refresh."""
    elapsed_ms: float
    """Milliseconds since it began."""
    message: str
    report: RefreshReport | None = None
    """Set at DONE alone."""
    code: str | None = None
    """The error's, set at FAILED alone."""

    @property
    def is_last(self) -> bool:
        """Tell whether the refresh has ended."""
        return self.phase in {Phase.DONE, Phase.FAILED}


Listener = Callable[[Progress], None]
"""Is told; must return at once."""


class ProgressBroadcaster:
    """Passes on what every refresh tells, at once, to everybody who listens or follows."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.has_subscribers = asyncio.Event()
        """Set while anybody follows."""
        self._listeners: dict[object, Listener] = {}
        self._subscriber_count = 0
        self._running: dict[str, Progress] = {}
        """The last event of each refresh that has not ended."""
        self._seen: deque[str] = deque(maxlen=_MAX_SEEN_REFRESHES)

    def create_reporter(self, refresh_id: str, *, elapsed_ms: float = 0) -> "ProgressReporter":
        """Return what tells of one refresh, which began so long ago."""
        self.mark_seen(refresh_id)
        return ProgressReporter(self._emit, refresh_id, elapsed_ms)

    def mark_seen(self, refresh_id: str) -> None:
        """Take note that a refresh is told of."""
        self._seen.append(refresh_id)

    def has_seen(self, refresh_id: str) -> bool:
        """Tell whether a refresh is told of."""
        return refresh_id in self._seen

    def discard(self, refresh_id: str) -> None:
        """Take it that a refresh whose end was not told is told of no more."""
        self._running.pop(refresh_id, None)
        with suppress(ValueError):
            self._seen.remove(refresh_id)

    @contextmanager
    def listen(self, listener: Listener) -> Iterator[None]:
        """Let a listener be told of everything while the context lasts."""
        key = object()
        self._listeners[key] = listener
        try:
            yield
        finally:
            del self._listeners[key]

    async def subscribe(self) -> AsyncGenerator[Progress, None]:
        """Yield where the refreshes that run are, and then whatever is told, for ever.

        Who is too slow misses what lies before: of each of the last refreshes the end is kept.
        """
        queue = SubscriberQueue(_MAX_UNREAD_EVENTS)
        for progress in self._running.values():
            queue.put(progress)
        with self.listen(queue.put), self._count_subscriber():
            while True:
                yield await queue.get()

    @contextmanager
    def _count_subscriber(self) -> Iterator[None]:
        self._subscriber_count += 1
        self.has_subscribers.set()
        try:
            yield
        finally:
            self._subscriber_count -= 1
            if not self._subscriber_count:
                self.has_subscribers.clear()

    def _emit(self, progress: Progress) -> None:
        if progress.is_last:
            self._running.pop(progress.refresh_id, None)
        else:
            self._running[progress.refresh_id] = progress
        for listener in list(self._listeners.values()):
            listener(progress)


class ProgressReporter:
    """The voice of one refresh: its share never falls, and nothing is said after its end."""

    def __init__(self, on_event: Listener, refresh_id: str, elapsed_ms: float) -> None:
        """Let `tell` know; the refresh began so many milliseconds ago."""
        self.refresh_id = refresh_id
        self._on_event = on_event
        self._started = time.perf_counter() - elapsed_ms / 1000
        self._last: Progress | None = None

    def emit_done(self, report: RefreshReport, message: str = "Done") -> None:
        """Tell that it has succeeded."""
        self.emit(Phase.DONE, 1, message, report=report)

    def emit_failed(self, code: str, message: str) -> None:
        """Tell that it has failed, by the code of the error; the share stays where it was."""
        self.emit(Phase.FAILED, 0, message, code=code)

    def emit(
        self,
        phase: Phase,
        fraction: float,
        message: str,
        *,
        report: RefreshReport | None = None,
        code: str | None = None,
    ) -> None:
        """Tell that the refresh is at a phase; `fraction` is the share done, 0 to 1."""
        last = self._last
        if last and (last.is_last or (last.phase, last.message) == (phase, message)):
            return
        self._last = Progress(
            refresh_id=self.refresh_id,
            phase=phase,
            fraction=max(last.fraction if last else 0, fraction),
            elapsed_ms=round((time.perf_counter() - self._started) * 1000, 1),
            message=message,
            report=report,
            code=code,
        )
        self._on_event(self._last)


class SubscriberQueue:
    """Holds what one follower has not read yet, and no more than so many events of it."""

    def __init__(self, max_events: int) -> None:
        """Begin empty."""
        self._max_events = max_events
        self._events: deque[Progress] = deque()
        self._not_empty = asyncio.Event()

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._events)

    def put(self, progress: Progress) -> None:
        """Add an event; one too many drives out the oldest, if possible not a refresh's last."""
        if len(self._events) >= self._max_events:
            droppable = (event for event in self._events if not event.is_last)
            self._events.remove(next(droppable, self._events[0]))
        self._events.append(progress)
        self._not_empty.set()

    async def get(self) -> Progress:
        """Return the oldest event, once there is one."""
        await self._not_empty.wait()
        progress = self._events.popleft()
        if not self._events:
            self._not_empty.clear()
        return progress
