"""A TCP proxy that calls back after a number of bytes or chunks, and then cuts the connection."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.tcp_proxy import ByteLimitError, Direction, TCPProxy


@dataclass(frozen=True, slots=True)
class TriggerPoint:
    """The point of a trigger: a number of bytes or chunks after it was armed."""

    unit: str
    """"to_server" or "from_server": bytes that way; "chunks": chunks both ways."""
    number: int
    fraction: float = 1.0
    """Share of the last chunk that passes, where chunks are counted."""


class ByteLimitProxy(TCPProxy):
    """A proxy with at most one trigger at a time, which counts its traffic."""

    def __init__(self, port: int) -> None:
        """Forward connections to `port` of this machine."""
        super().__init__(port)
        self.passed = {"to_server": 0, "from_server": 0, "chunks": 0}
        """Bytes and chunks since the trigger was armed or disarmed."""
        self.has_triggered = False
        """True once the trigger that was armed last has fired."""
        self._trigger_point: TriggerPoint | None = None
        self._on_trigger: Callable[[], None] = lambda: None

    def arm(self, trigger_point: TriggerPoint, on_trigger: Callable[[], None]) -> None:
        """Call `on_trigger` at that point, then cut the connection."""
        self._run_in_loop(self._arm(trigger_point, on_trigger))

    def disarm(self) -> None:
        """Remove the trigger."""
        self._run_in_loop(self._arm(None, lambda: None))

    async def _arm(self, trigger_point: TriggerPoint | None, on_trigger: Callable[[], None]) -> None:
        self.passed = {"to_server": 0, "from_server": 0, "chunks": 0}
        self.has_triggered, self._trigger_point, self._on_trigger = False, trigger_point, on_trigger

    async def _write(self, chunk: bytes, direction: Direction) -> None:
        is_to_server = any(connection.to_server is direction for connection in self._live_connections)
        allowed_bytes = self._count_chunk(chunk, "to_server" if is_to_server else "from_server")
        if allowed_bytes is None:
            await super()._write(chunk, direction)
            return
        self._trigger_point = None
        await super()._write(chunk[:allowed_bytes], direction)
        self._on_trigger()
        self.has_triggered = True
        raise ByteLimitError

    def _count_chunk(self, chunk: bytes, unit: str) -> int | None:
        """Count a chunk; if the trigger fires in it, return how many of its bytes pass."""
        self.passed[unit] += len(chunk)
        self.passed["chunks"] += 1
        trigger_point = self._trigger_point
        if trigger_point is None or self.passed[trigger_point.unit] < trigger_point.number:
            return None
        if trigger_point.unit == "chunks":
            return round(len(chunk) * trigger_point.fraction)
        return max(len(chunk) - (self.passed[trigger_point.unit] - trigger_point.number), 0)
