"""The providers' HTTP client, as the application builds and closes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from graphql_api.sources.fetch import LazyHTTPClient
from graphql_api.sources.http_client import create_client
from graphql_api.utils.lazy import Lazy


@asynccontextmanager
async def lazy_http_client() -> AsyncIterator[LazyHTTPClient]:
    """Yield a client that is created on first use, and close it."""
    http_client: LazyHTTPClient = Lazy(lambda: create_client("tests/1"))
    try:
        yield http_client
    finally:
        if http_client.value is not None:
            await http_client.value.aclose()
