"""The shared HTTP client: there is none until somebody asks, and then there is one."""

import asyncio

from graphql_api.sources.lazy_http_client import LazyHTTPClient
from graphql_api.sources.retry import RetryPolicy


async def test_one_for_all() -> None:
    """Whoever asks while the client is being made has the same one, with the name that was told."""
    async with LazyHTTPClient("tests/1") as http_client:
        clients = await asyncio.gather(*(http_client.client.get() for _ in range(3)))
        provider_client = await http_client.create_provider_client(
            retry_policy=RetryPolicy(), deadline=1.5, api_key="k"
        )
        assert {id(client) for client in [*clients, provider_client.client]} == {id(clients[0])}
        assert clients[0].headers["User-Agent"] == "tests/1"
        assert (
            provider_client.retry_policy,
            provider_client.deadline,
            provider_client.api_key,
        ) == (RetryPolicy(), 1.5, "k")
        assert not clients[0].is_closed
    assert clients[0].is_closed


async def test_never_asked() -> None:
    """Closing without anybody having asked makes nothing."""
    http_client = LazyHTTPClient("tests/1")
    await http_client.close()
    assert http_client.client.value is None
