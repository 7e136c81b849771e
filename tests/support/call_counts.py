"""Counts of function calls, which measure work independently of the machine."""

import sys
from collections import Counter
from collections.abc import Callable
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
