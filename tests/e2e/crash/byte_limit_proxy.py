"""A relay that springs a trap when so many bytes have passed, and breaks the connection off."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.tcp_proxy import ByteLimitError, Direction, TCPProxy


@dataclass(frozen=True, slots=True)
class TriggerPoint:
    """When a trap is sprung: so many bytes or pieces after it was set."""

    unit: str
    """"there" for bytes to the server, "back" for bytes from it, "pieces" for pieces of both."""
    number: int
    fraction: float = 1.0
    """How much of the last piece passes, where pieces are counted."""


class ByteLimitProxy(TCPProxy):
    """A relay with at most one trap at a time, and a count of what has passed."""

    def __init__(self, port: int) -> None:
        """Take the port that connections are passed on to."""
        super().__init__(port)
        self.passed = {"there": 0, "back": 0, "pieces": 0}
        """How much has passed since a trap was set or disarmed."""
        self.has_triggered = False
        """Whether the trap that was set last has done its work."""
        self._trigger_point: TriggerPoint | None = None
        self._on_trigger: Callable[[], None] = lambda: None

    def arm(self, trigger_point: TriggerPoint, on_trigger: Callable[[], None]) -> None:
        """Do `action` at a moment, and then cut the connection."""
        self._run_in_loop(self._arm(trigger_point, on_trigger))

    def disarm(self) -> None:
        """Let all pass again."""
        self._run_in_loop(self._arm(None, lambda: None))

    async def _arm(
        self, trigger_point: TriggerPoint | None, on_trigger: Callable[[], None]
    ) -> None:
        self.passed = {"there": 0, "back": 0, "pieces": 0}
        self.has_triggered, self._trigger_point, self._on_trigger = False, trigger_point, on_trigger

    async def _write(self, chunk: bytes, direction: Direction) -> None:
        is_to_server = any(
            connection.to_server is direction for connection in self._live_connections
        )
        allowed_bytes = self._count_chunk(chunk, "there" if is_to_server else "back")
        if allowed_bytes is None:
            await super()._write(chunk, direction)
            return
        self._trigger_point = None
        await super()._write(chunk[:allowed_bytes], direction)
        self._on_trigger()
        self.has_triggered = True
        raise ByteLimitError

    def _count_chunk(self, chunk: bytes, unit: str) -> int | None:
        """Count a piece, and return how much of it passes before the trap is sprung, if it is."""
        self.passed[unit] += len(chunk)
        self.passed["pieces"] += 1
        trigger_point = self._trigger_point
        if trigger_point is None or self.passed[trigger_point.unit] < trigger_point.number:
            return None
        if trigger_point.unit == "pieces":
            return round(len(chunk) * trigger_point.fraction)
        return max(len(chunk) - (self.passed[trigger_point.unit] - trigger_point.number), 0)
