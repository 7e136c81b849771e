"""Counts of function calls, which measure work independently of the machine."""

import sys
from asyncio.events import Handle
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from cProfile import Profile
from types import CodeType, FrameType

from graphql_api.utils.slices import end_slice


def count_calls(function: Callable[[], object]) -> Counter[CodeType | str]:
    """Return the number of calls of each function."""
    profile = Profile()
    profile.runcall(function)
    return Counter({entry.code: entry.callcount for entry in profile.getstats()})


@contextmanager
def counted_steps() -> Iterator[list[int]]:
    """Collect the number of calls in each step of this thread's event loop: what the loop waits for.

    A step ends with a callback, or where work in slices may stop.
    """
    counts = [0]
    boundaries = (Handle._run.__code__, end_slice.__code__)

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code in boundaries:
            counts.append(0)
        elif event in ("call", "c_call"):
            counts[-1] += 1

    sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(None)
