"""Values that are created on first use."""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class lazy_property(Generic[T]):  # noqa: N801 - named as `property`, which it is used like
    """A property that is computed once for an object, as `functools.cached_property` of Python 3.12.

    That of 3.11 takes a lock, which costs more than most of what each request computes.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> T:  # noqa: ANN401 - any object that has a `__dict__`
        value = instance.__dict__[self._name] = self._compute(instance)
        return value


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
