"""A deadline expires once, at the time that was set last."""

import asyncio
from collections.abc import Callable

import pytest

from graphql_api.server.deadline import Deadline


@pytest.mark.parametrize(
    ("change", "is_expired"),
    [
        (lambda _: None, True),
        (lambda deadline: deadline.set(60), False),
        (lambda deadline: deadline.clear(), False),
        (lambda deadline: deadline.cancel(), False),
        (lambda deadline: (deadline.set(60), deadline.set(0.01)), True),
        (lambda deadline: (deadline.cancel(), deadline.set(0.01)), True),
    ],
    ids=["kept", "later", "cleared", "cancelled", "later, then earlier", "cancelled, then set"],
)
async def test_deadline(change: Callable[[Deadline], object], is_expired: bool) -> None:
    """A deadline follows its last change, and expires at most once."""
    expired: list[float | None] = []
    deadline = Deadline(asyncio.get_running_loop(), lambda: expired.append(deadline.expires_at))
    deadline.set(0.02)
    change(deadline)
    await asyncio.sleep(0.1)
    deadline.cancel()
    assert expired == [None] * is_expired
