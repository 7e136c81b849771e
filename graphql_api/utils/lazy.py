"""What takes long to make, and nobody needs at once: it is made when it is first asked for."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lazy(Generic[T]):
    """Makes one thing, once, in a thread, so that everybody else is served meanwhile."""

    def __init__(self, factory: Callable[[], T]) -> None:
        """Take what makes it, imports included."""
        self.value: T | None = None
        """The thing, if it has been asked for."""
        self._factory = factory
        self._lock = asyncio.Lock()

    async def get(self) -> T:
        """Return the thing; what its making raises is raised, and the next one tries again."""
        async with self._lock:
            if self.value is None:
                self.value = await asyncio.to_thread(self._factory)
        return self.value
