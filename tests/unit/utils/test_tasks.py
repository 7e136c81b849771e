"""Things that are done at once: in order, whole, and nobody works on when it is over."""

import asyncio

import pytest

from graphql_api.utils.tasks import gather


async def return_after(text: str, delay: float, finished: list[str]) -> str:
    """Return a text after so long, and write down that this has ended, however it did."""
    try:
        await asyncio.sleep(delay)
        if text == "wrong":
            raise ValueError(text)
        return text
    finally:
        await asyncio.sleep(0.02 * len(text))
        finished.append(text)


async def test_in_order() -> None:
    """The answers come in the order of the questions."""
    finished: list[str] = []
    results = gather([return_after("slow", 0.05, finished), return_after("quick", 0, finished)])
    assert await results == ["slow", "quick"]
    assert sorted(finished) == ["quick", "slow"]
    assert await gather([]) == []


async def test_fails() -> None:
    """The first failure is raised as it is, when the others have ended."""
    finished: list[str] = []
    with pytest.raises(ValueError, match=r"^wrong$"):
        await gather([return_after("slow", 60, finished), return_after("wrong", 0, finished)])
    assert sorted(finished) == ["slow", "wrong"]


async def test_cancelled() -> None:
    """Who is cancelled goes when all have ended."""
    finished: list[str] = []
    task = asyncio.create_task(
        gather([return_after("a", 60, finished), return_after("later", 60, finished)])
    )
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished == ["a", "later"]
