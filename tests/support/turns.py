"""Turns of the event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class TurnCounter:
    """The number of turns so far."""

    turns: int = 0


@asynccontextmanager
async def counting_turns() -> AsyncIterator[TurnCounter]:
    """Count the turns that the event loop has during the context."""
    counter = TurnCounter()

    async def count() -> None:
        while True:
            await asyncio.sleep(0)
            counter.turns += 1

    task = asyncio.create_task(count())
    await asyncio.sleep(0)
    try:
        yield counter
    finally:
        task.cancel()
