"""Things that are made later: once, for everybody who asks, while the event loop goes on."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from graphql_api.later import Later


async def test_made_once() -> None:
    """Whoever asks while it is being made has the same thing, and the event loop goes on."""
    made: list[object] = []
    go_on = threading.Event()

    def make() -> object:
        assert go_on.wait(60)
        made.append(object())
        return made[0]

    later = Later(make)
    assert later.made is None
    asked = [asyncio.create_task(later.get()) for _ in range(3)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(*asked) == [made[0]] * 3
    assert (later.made, len(made)) == (made[0], 1)


async def test_fails() -> None:
    """What its making raises is raised to who asked, and the next one tries again."""
    makings: Iterator[Exception | str] = iter([RuntimeError("not now"), "thing"])

    def make() -> str:
        made = next(makings)
        if isinstance(made, Exception):
            raise made
        return made

    later = Later(make)
    with pytest.raises(RuntimeError, match=r"^not now$"):
        await later.get()
    assert await later.get() == "thing"


async def test_nobody_waits_any_more() -> None:
    """Who goes away in the middle leaves the next one nothing that is half made."""
    later = Later(lambda: "thing")
    first = asyncio.create_task(later.get())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    assert await later.get() == "thing"
