"""Lazy values: made once for all callers, in a thread."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from graphql_api.utils.lazy import Lazy


async def test_made_once() -> None:
    """Callers during the making get the same value, and the event loop goes on."""
    created: list[object] = []
    release = threading.Event()

    def create() -> object:
        assert release.wait(60)
        created.append(object())
        return created[0]

    lazy = Lazy(create)
    assert lazy.value is None
    tasks = [asyncio.create_task(lazy.get()) for _ in range(3)]
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(*tasks) == [created[0]] * 3
    assert (lazy.value, len(created)) == (created[0], 1)


async def test_fails() -> None:
    """A failure is raised to its caller, and the next call tries again."""
    outcomes: Iterator[Exception | str] = iter([RuntimeError("not now"), "thing"])

    def create() -> str:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    lazy = Lazy(create)
    with pytest.raises(RuntimeError, match=r"^not now$"):
        await lazy.get()
    assert await lazy.get() == "thing"


async def test_nobody_waits_any_more() -> None:
    """A cancelled first call leaves the next one a whole value."""
    lazy = Lazy(lambda: "thing")
    first = asyncio.create_task(lazy.get())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    assert await lazy.get() == "thing"
