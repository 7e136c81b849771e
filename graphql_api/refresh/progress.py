"""What a refresh tells while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """The steps of a refresh, in order; the last is one of the last two."""

    STARTED = "started"
    FETCHING = "fetching"
    TRANSFORMING = "transforming"
    UPSERTING = "upserting"
    DRAWING = "drawing"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a refresh is."""

    phase: Phase
    fraction: float
    """Share done, 0 to 1, never decreasing within a refresh."""
    message: str


Observer = Callable[[Progress], None]
"""Is told; must return at once."""
