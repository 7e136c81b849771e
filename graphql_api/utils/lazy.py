"""A value that takes long to create, and is created on first use."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lazy(Generic[T]):
    """Creates a value once, in a thread, so that the event loop keeps serving."""

    def __init__(self, factory: Callable[[], T]) -> None:
        self.value: T | None = None
        """None until `get` has created it."""
        self._factory = factory
        self._lock = asyncio.Lock()

    async def get(self) -> T:
        """Return the value. If the factory raises, so does this call, and the next one retries."""
        async with self._lock:
            if self.value is None:
                self.value = await asyncio.to_thread(self._factory)
        return self.value
