"""Counts of function calls, which measure work independently of the machine."""

import sys
from asyncio.events import Handle
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType


def count_calls(function: Callable[[], object]) -> Counter[CodeType | str]:
    """Return the number of calls of each function."""
    calls: Counter[CodeType | str] = Counter()

    def profile(frame: FrameType, event: str, callee: object) -> None:
        if event == "call":
            calls[frame.f_code] += 1
        elif event == "c_call":
            calls[repr(callee).partition(" at ")[0]] += 1

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


@contextmanager
def counted_callbacks() -> Iterator[list[int]]:
    """Collect the number of calls in each callback of this thread's event loop: what the loop waits for."""
    counts = [0]

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is Handle._run.__code__:
            counts.append(0)
        elif event in ("call", "c_call"):
            counts[-1] += 1

    sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(None)
