"""What refreshes tell while they run, and who hears of it: one hub in each process."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

from graphql_api.domain.report import RefreshReport

_UNREAD = 32
"""Events that wait for a follower at most; a refresh has a dozen."""
_REMEMBERED = 1000
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


class ProgressHub:
    """Passes on what every refresh tells, at once, to everybody who listens or follows."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.followed = asyncio.Event()
        """Set while anybody follows."""
        self._listeners: dict[object, Listener] = {}
        self._followers = 0
        self._running: dict[str, Progress] = {}
        """The last event of each refresh that has not ended."""
        self._known: deque[str] = deque(maxlen=_REMEMBERED)

    def begin(self, refresh_id: str, *, elapsed_ms: float = 0) -> "Telling":
        """Return what tells of one refresh, which began so long ago."""
        self.know(refresh_id)
        return Telling(self._tell, refresh_id, elapsed_ms)

    def know(self, refresh_id: str) -> None:
        """Take note that a refresh is told of."""
        self._known.append(refresh_id)

    def knows(self, refresh_id: str) -> bool:
        """Tell whether a refresh is told of."""
        return refresh_id in self._known

    def forget(self, refresh_id: str) -> None:
        """Take it that a refresh whose end was not told is told of no more."""
        self._running.pop(refresh_id, None)
        with suppress(ValueError):
            self._known.remove(refresh_id)

    @contextmanager
    def heard_by(self, listener: Listener) -> Iterator[None]:
        """Let a listener be told of everything while the context lasts."""
        key = object()
        self._listeners[key] = listener
        try:
            yield
        finally:
            del self._listeners[key]

    async def follow(self) -> AsyncGenerator[Progress, None]:
        """Yield where the refreshes that run are, and then whatever is told, for ever.

        Who is too slow misses what lies before: of each of the last refreshes the end is kept.
        """
        mailbox = Mailbox(_UNREAD)
        for progress in self._running.values():
            mailbox.put(progress)
        with self.heard_by(mailbox.put), self._counted():
            while True:
                yield await mailbox.get()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._followers += 1
        self.followed.set()
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers:
                self.followed.clear()

    def _tell(self, progress: Progress) -> None:
        if progress.is_last:
            self._running.pop(progress.refresh_id, None)
        else:
            self._running[progress.refresh_id] = progress
        for listener in list(self._listeners.values()):
            listener(progress)


class Telling:
    """The voice of one refresh: its share never falls, and nothing is said after its end."""

    def __init__(self, tell: Listener, refresh_id: str, elapsed_ms: float) -> None:
        """Let `tell` know; the refresh began so many milliseconds ago."""
        self.refresh_id = refresh_id
        self._tell = tell
        self._began = time.perf_counter() - elapsed_ms / 1000
        self._said: Progress | None = None

    def done(self, report: RefreshReport, message: str = "Done") -> None:
        """Tell that it has succeeded."""
        self.tell(Phase.DONE, 1, message, report=report)

    def failed(self, code: str, message: str) -> None:
        """Tell that it has failed, by the code of the error; the share stays where it was."""
        self.tell(Phase.FAILED, 0, message, code=code)

    def tell(
        self,
        phase: Phase,
        fraction: float,
        message: str,
        *,
        report: RefreshReport | None = None,
        code: str | None = None,
    ) -> None:
        """Tell that the refresh is at a phase; `fraction` is the share done, 0 to 1."""
        said = self._said
        if said and (said.is_last or (said.phase, said.message) == (phase, message)):
            return
        self._said = Progress(
            refresh_id=self.refresh_id,
            phase=phase,
            fraction=max(said.fraction if said else 0, fraction),
            elapsed_ms=round((time.perf_counter() - self._began) * 1000, 1),
            message=message,
            report=report,
            code=code,
        )
        self._tell(self._said)


class Mailbox:
    """Holds what one follower has not read yet, and no more than so many events of it."""

    def __init__(self, most: int) -> None:
        """Begin empty."""
        self._most = most
        self._events: deque[Progress] = deque()
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._events)

    def put(self, progress: Progress) -> None:
        """Add an event; one too many drives out the oldest, if possible not a refresh's last."""
        if len(self._events) >= self._most:
            passing = (one for one in self._events if not one.is_last)
            self._events.remove(next(passing, self._events[0]))
        self._events.append(progress)
        self._arrived.set()

    async def get(self) -> Progress:
        """Return the oldest event, once there is one."""
        await self._arrived.wait()
        progress = self._events.popleft()
        if not self._events:
            self._arrived.clear()
        return progress
