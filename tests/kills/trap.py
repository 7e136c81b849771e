"""A relay that springs a trap when so many bytes have passed, and breaks the connection off."""

from collections.abc import Callable

from tests.servers.relay import Relay, _CutError, _Way


class Trap(Relay):
    """A relay with at most one trap at a time, and a count of what has passed."""

    def __init__(self, port: int) -> None:
        """Take the port that connections are passed on to."""
        super().__init__(port)
        self.passed = {"there": 0, "back": 0}
        """How many bytes have passed to the server, and how many from it."""
        self.sprung = False
        """Whether the trap that was set last has done its work."""
        self._at = 0
        self._direction = ""
        self._action: Callable[[], None] | None = None

    def set(self, direction: str, after: int, action: Callable[[], None]) -> None:
        """Do `action`, and cut the connection, when so many more bytes have passed."""
        self._wait_for(self._set(direction, after, action))

    def disarm(self) -> None:
        """Let all pass again."""
        self._wait_for(self._set("", 0, None))

    async def _set(self, direction: str, after: int, action: Callable[[], None] | None) -> None:
        self.passed = {"there": 0, "back": 0}
        self.sprung, self._direction, self._at, self._action = False, direction, after, action

    async def _write(self, piece: bytes, way: _Way) -> None:
        there = any(connection.there is way for connection in self._live)
        direction = "there" if there else "back"
        begun = self.passed[direction]
        self.passed[direction] += len(piece)
        if direction == self._direction and self.passed[direction] >= self._at and self._action:
            action, self._action = self._action, None
            await super()._write(piece[: self._at - begun], way)
            action()
            self.sprung = True
            raise _CutError
        await super()._write(piece, way)
