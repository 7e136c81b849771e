"""Imports of libraries without what nothing here uses, or not yet: it takes memory, and time at each start."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


def leave_out(*names: str) -> None:
    """Keep modules from being executed: what other modules import from them is None."""
    for name in names:
        sys.modules.setdefault(name, _AbsentModule(name))


@contextmanager
def deferred_imports(*names: str) -> Iterator[None]:
    """Let what is imported meanwhile import these modules without executing them, until it uses them.

    importlib's lazy loader does not bear modules that replace themselves, as those of cryptography do.
    """
    deferred = [name for name in names if name not in sys.modules]
    sys.modules.update((name, _DeferredModule(name)) for name in deferred)
    try:
        yield
    finally:
        for name in deferred:
            del sys.modules[name]


class _AbsentModule(ModuleType):
    def __getattr__(self, name: str) -> None:
        _reject_special(name)


class _DeferredModule(ModuleType):
    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module has
        _reject_special(name)
        return getattr(import_module(self.__name__), name)


def _reject_special(name: str) -> None:
    if name.startswith("__"):  # Python itself asks for these
        raise AttributeError(name)
