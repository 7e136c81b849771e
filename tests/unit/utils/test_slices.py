"""Work in slices: the event loop has a turn after each of them, and the caller gets the result or the error."""

from itertools import count

import pytest

from graphql_api.utils.slices import SlicedWork, end_slice, serve_others
from tests.support.turns import counting_turns


async def test_turns() -> None:
    """Others have a turn after each slice of work, which ends only once it has taken long enough."""
    async with counting_turns() as counter:

        def work() -> int:
            for _ in range(6):
                end_slice()
            return counter.turns

        assert await SlicedWork(work, seconds=0, clock=count().__next__).finish() == 6
        assert await SlicedWork(work, seconds=2, clock=count().__next__).finish() == 8
        assert await SlicedWork(work, clock=lambda: 0).finish() == 8


@pytest.mark.parametrize(
    ("times", "turns"),
    [
        ([0, 0.00005], 1),
        ([0, 0.001, 0.0015, 0.0016, 0.00165], 4),
        ([0, 0.003, 0.0051], 2),
        ([0, 0.0012, 0.0024, 0.0036, 0.0048, 0.006], 5),
    ],
    ids=["idle", "until it is idle", "two long turns", "as long as it may"],
)
async def test_serve_others(times: list[float], turns: int) -> None:
    """The event loop has turns until one of them is short, for at most 5 ms."""
    remaining = iter(times)
    async with counting_turns() as counter:
        await serve_others(remaining.__next__)
        assert (counter.turns, list(remaining)) == (turns, [])


async def test_failure() -> None:
    """An error of the work, in whichever slice, reaches the caller."""

    def work() -> None:
        end_slice()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await SlicedWork(work, clock=count().__next__).finish()


def test_elsewhere() -> None:
    """Outside of such work, the end of a slice does nothing."""
    end_slice()
