"""Things that are done at once: in order, whole, and nobody works on when it is over."""

import asyncio

import pytest

from graphql_api.together import together


async def answer(text: str, seconds: float, ended: list[str]) -> str:
    """Return a text after so long, and write down that this has ended, however it did."""
    try:
        await asyncio.sleep(seconds)
        if text == "wrong":
            raise ValueError(text)
        return text
    finally:
        await asyncio.sleep(0.02 * len(text))
        ended.append(text)


async def test_in_order() -> None:
    """The answers come in the order of the questions."""
    ended: list[str] = []
    asked = together([answer("slow", 0.05, ended), answer("quick", 0, ended)])
    assert await asked == ["slow", "quick"]
    assert sorted(ended) == ["quick", "slow"]
    assert await together([]) == []


async def test_fails() -> None:
    """The first failure is raised as it is, when the others have ended."""
    ended: list[str] = []
    with pytest.raises(ValueError, match=r"^wrong$"):
        await together([answer("slow", 60, ended), answer("wrong", 0, ended)])
    assert sorted(ended) == ["slow", "wrong"]


async def test_cancelled() -> None:
    """Who is cancelled goes when all have ended."""
    ended: list[str] = []
    asked = asyncio.create_task(together([answer("a", 60, ended), answer("later", 60, ended)]))
    await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert ended == ["a", "later"]
