"""The shared HTTP client: there is none until somebody asks, and then there is one."""

import asyncio

from graphql_api.sources.retries import Retries
from graphql_api.sources.web import Web


async def test_one_for_all() -> None:
    """Whoever asks while the client is being made has the same one, with the name that was told."""
    async with Web("tests/1") as web:
        made = await asyncio.gather(*(web.client.get() for _ in range(3)))
        asker = await web.asker(retries=Retries(), deadline=1.5, key="k")
        assert {id(client) for client in [*made, asker.client]} == {id(made[0])}
        assert made[0].headers["User-Agent"] == "tests/1"
        assert (asker.retries, asker.deadline, asker.key) == (Retries(), 1.5, "k")
        assert not made[0].is_closed
    assert made[0].is_closed


async def test_never_asked() -> None:
    """Closing without anybody having asked makes nothing."""
    web = Web("tests/1")
    await web.close()
    assert web.client.made is None
