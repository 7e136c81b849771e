"""HTTP clients: the tests' own, and the providers', as the application builds and closes it."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx

from graphql_api.sources.fetch import LazyHTTPClient
from graphql_api.sources.http_client import create_client
from graphql_api.utils.lazy import Lazy
from tests.support.wait import WAIT_TIMEOUT

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts no server, for clients of plain HTTP: httpx takes 50 ms of CPU time a client to read its authorities."""
open_client = partial(httpx.Client, trust_env=False, timeout=WAIT_TIMEOUT, verify=NO_AUTHORITIES)


def request(method: str, url: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - those of httpx
    """Send a request over a new connection."""
    with open_client() as client:
        return client.request(method, url, **options)


get = partial(request, "GET")
post = partial(request, "POST")


@asynccontextmanager
async def lazy_http_client() -> AsyncIterator[LazyHTTPClient]:
    """Yield a client that is created on first use, and close it."""
    http_client: LazyHTTPClient = Lazy(lambda: create_client("tests/1"))
    try:
        yield http_client
    finally:
        if http_client.value is not None:
            await http_client.value.aclose()
