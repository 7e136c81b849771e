"""Progress of refreshes: events, and one broadcaster in each process that passes them on."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

from graphql_api.domain.report import RefreshReport

logger = logging.getLogger(__name__)

_MAX_UNREAD_EVENTS = 32
"""Events that a queue holds at most; a refresh has a dozen."""
_MAX_SEEN_REFRESHES = 1000
"""Number of refresh ids that a broadcaster remembers."""


class Phase(StrEnum):
    """Steps of a refresh, in order. It ends with `DONE` or `FAILED`."""

    STARTED = "started"
    FETCHING = "fetching"
    TRANSFORMING = "transforming"
    UPSERTING = "upserting"
    DRAWING = "drawing"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Event of a refresh."""

    refresh_id: str
    phase: Phase
    fraction: float
    """Share that is done, 0 to 1. Never decreases within a refresh."""
    elapsed_ms: float
    """Milliseconds since the refresh started."""
    message: str
    report: RefreshReport | None = None
    """Only set with `DONE`."""
    code: str | None = None
    """Error code, only set with `FAILED`."""

    @property
    def is_last(self) -> bool:
        """Return whether the refresh has ended."""
        return self.phase in {Phase.DONE, Phase.FAILED}


Listener = Callable[[Progress], None]
"""Called with each event; must not block. One that raises is not called again."""


class ProgressBroadcaster:
    """Passes each event of every refresh to listeners and subscribers. Never waits for them."""

    def __init__(self) -> None:
        self.has_subscribers = asyncio.Event()
        """Set while there is a subscriber."""
        self._listeners: dict[object, Listener] = {}
        self._subscriber_count = 0
        self._running: dict[str, Progress] = {}
        """Last event of each running refresh, by id."""
        self._seen: deque[str] = deque(maxlen=_MAX_SEEN_REFRESHES)

    def create_reporter(self, refresh_id: str, *, elapsed_ms: float = 0) -> "ProgressReporter":
        """Return the reporter of a refresh that started `elapsed_ms` milliseconds ago."""
        self.mark_seen(refresh_id)
        return ProgressReporter(self._emit, refresh_id, elapsed_ms)

    def mark_seen(self, refresh_id: str) -> None:
        """Remember that a refresh is reported, by a reporter or as part of another refresh."""
        self._seen.append(refresh_id)

    def has_seen(self, refresh_id: str) -> bool:
        """Return whether a refresh was or is reported."""
        return refresh_id in self._seen

    def discard(self, refresh_id: str) -> None:
        """Forget a refresh that stopped without reporting its end."""
        self._running.pop(refresh_id, None)
        with suppress(ValueError):
            self._seen.remove(refresh_id)

    @contextmanager
    def listen(self, listener: Listener) -> Iterator[None]:
        """Call a listener with every event while the context lasts."""
        key = object()
        self._listeners[key] = listener
        try:
            yield
        finally:
            self._listeners.pop(key, None)

    async def subscribe(self) -> AsyncGenerator[Progress, None]:
        """Yield the last event of each running refresh, then every event, without end.

        Slow subscribers lose the oldest events, but not the final ones of the last refreshes.
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
        for key, listener in list(self._listeners.items()):
            try:
                listener(progress)
            except (Exception, SystemExit):  # Rich exits when its output is a broken pipe
                logger.exception("A listener to the progress of refreshes failed, and is not called again.")
                self._listeners.pop(key, None)


class ProgressReporter:
    """Emits the events of one refresh: fractions never decrease, and none follows the last."""

    def __init__(self, on_event: Listener, refresh_id: str, elapsed_ms: float) -> None:
        """Report to `on_event` on a refresh that started `elapsed_ms` milliseconds ago."""
        self.refresh_id = refresh_id
        self._on_event = on_event
        self._started = time.perf_counter() - elapsed_ms / 1000
        self._last: Progress | None = None

    def emit_done(self, report: RefreshReport, message: str = "Done") -> None:
        """Emit the successful end."""
        self.emit(Phase.DONE, 1, message, report=report)

    def emit_failed(self, code: str, message: str) -> None:
        """Emit the failure, with an error code. The fraction stays as it was."""
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
        """Emit an event, unless it repeats the last one. `fraction` is the share done, 0 to 1."""
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
    """Bounded queue of the events that one subscriber has not read yet."""

    def __init__(self, max_events: int) -> None:
        self._max_events = max_events
        self._events: deque[Progress] = deque()
        self._not_empty = asyncio.Event()

    def put(self, progress: Progress) -> None:
        """Add an event. A full queue drops its oldest one that is not the last of a refresh.

        If it holds nothing else, it drops the oldest.
        """
        if len(self._events) >= self._max_events:
            droppable = (event for event in self._events if not event.is_last)
            self._events.remove(next(droppable, self._events[0]))
        self._events.append(progress)
        self._not_empty.set()

    async def get(self) -> Progress:
        """Return the oldest event; wait until there is one."""
        await self._not_empty.wait()
        progress = self._events.popleft()
        if not self._events:
            self._not_empty.clear()
        return progress
