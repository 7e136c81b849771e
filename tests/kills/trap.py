"""A relay that springs a trap when so many bytes have passed, and breaks the connection off."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.servers.relay import Relay, _CutError, _Way


@dataclass(frozen=True, slots=True)
class Moment:
    """When a trap is sprung: so many bytes or pieces after it was set."""

    counted: str
    """"there" for bytes to the server, "back" for bytes from it, "pieces" for pieces of both."""
    number: int
    share: float = 1.0
    """How much of the last piece passes, where pieces are counted."""


class Trap(Relay):
    """A relay with at most one trap at a time, and a count of what has passed."""

    def __init__(self, port: int) -> None:
        """Take the port that connections are passed on to."""
        super().__init__(port)
        self.passed = {"there": 0, "back": 0, "pieces": 0}
        """How much has passed since a trap was set or disarmed."""
        self.sprung = False
        """Whether the trap that was set last has done its work."""
        self._moment: Moment | None = None
        self._action: Callable[[], None] = lambda: None

    def set(self, moment: Moment, action: Callable[[], None]) -> None:
        """Do `action` at a moment, and then cut the connection."""
        self._wait_for(self._set(moment, action))

    def disarm(self) -> None:
        """Let all pass again."""
        self._wait_for(self._set(None, lambda: None))

    async def _set(self, moment: Moment | None, action: Callable[[], None]) -> None:
        self.passed = {"there": 0, "back": 0, "pieces": 0}
        self.sprung, self._moment, self._action = False, moment, action

    async def _write(self, piece: bytes, way: _Way) -> None:
        there = any(connection.there is way for connection in self._live)
        left = self._left(piece, "there" if there else "back")
        if left is None:
            await super()._write(piece, way)
            return
        self._moment = None
        await super()._write(piece[:left], way)
        self._action()
        self.sprung = True
        raise _CutError

    def _left(self, piece: bytes, direction: str) -> int | None:
        """Count a piece, and return how much of it passes before the trap is sprung, if it is."""
        self.passed[direction] += len(piece)
        self.passed["pieces"] += 1
        moment = self._moment
        if moment is None or self.passed[moment.counted] < moment.number:
            return None
        if moment.counted == "pieces":
            return round(len(piece) * moment.share)
        return max(len(piece) - (self.passed[moment.counted] - moment.number), 0)
