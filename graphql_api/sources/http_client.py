"""Sends HTTP requests to providers, with bounded time, size and retries.

httpx takes a tenth of the start-up time, so this module is imported by the first fetch, or before workers fork.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from graphql_api import tracing
from graphql_api.sources.decompression import ACCEPT_ENCODING, read_body
from graphql_api.sources.http_errors import raise_for_status, to_provider_error
from graphql_api.sources.redirects import send_following_redirects
from graphql_api.sources.response import MAX_BODY_BYTES, NotModified, Validators
from graphql_api.sources.retry import RetryableError, RetryPolicy
from graphql_api.sources.transport import ProviderTransport

_MAX_VALIDATOR_LENGTH = 200
"""Characters. A longer validator is ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderClient:
    """Sends the requests of one provider, with its key and its deadline."""

    client: httpx.AsyncClient
    retry_policy: RetryPolicy
    deadline: float
    """Event loop time. No retry starts after it; the caller cancels what still runs then."""
    api_key: str | None = field(default=None, repr=False)

    async def get(
        self,
        url: str,
        params: Mapping[str, str],
        *,
        validators: Validators | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> tuple[bytes, Validators]:
        """Return the decompressed body and its validators; retry failures that may pass.

        `params` replace those of the same name in the query of `url`.

        Raises:
            NotModified: the response still matches `validators`.
            ProviderError: there is no usable response.
        """
        retry_count = 0
        while True:
            try:
                return await self._get_once(url, params, validators, max_bytes)
            except RetryableError as error:
                remaining = self.deadline - asyncio.get_running_loop().time()
                delay = self.retry_policy.next_delay(error, retry_count, remaining)
            await asyncio.sleep(delay)
            retry_count += 1

    async def _get_once(
        self, url: str, params: Mapping[str, str], validators: Validators | None, max_bytes: int
    ) -> tuple[bytes, Validators]:
        request: httpx.Request | None = None
        headers = dict(validators.headers) if validators else {}
        if self.api_key:
            # As a header of this request httpx drops it when a redirect leads to another host.
            headers["Authorization"] = f"Bearer {self.api_key}"
        try:
            full_url = httpx.URL(url).copy_merge_params(params) if params else httpx.URL(url)
            request = self.client.build_request("GET", full_url, headers=headers)
            async with aclosing(await send_following_redirects(self.client, request)) as response:
                if validators and response.status_code == httpx.codes.NOT_MODIFIED:
                    raise NotModified
                raise_for_status(response)
                chunks = response.aiter_raw()
                encoding = response.headers.get("Content-Encoding", "")
                body = await read_body(chunks, content_encoding=encoding, max_bytes=max_bytes)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, ExceptionGroup) as error:
            # The last two: host names and ports, of a redirect too, that only lower layers refuse.
            raise to_provider_error(error, request) from error
        return body, _parse_validators(response)


def create_client(user_agent: str) -> httpx.AsyncClient:
    """Return a client for all providers. It has no timeouts, because each fetch has its own, and keeps no cookies.

    Raises:
        ProviderError: a variable of the environment, for proxies or certificates, is malformed.
    """
    return httpx.AsyncClient(
        headers={"User-Agent": user_agent, "Accept-Encoding": ACCEPT_ENCODING},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        transport=_create_transport(),
        trust_env=False,
        timeout=None,  # noqa: S113 - asyncio.timeout in fetch.py bounds the whole response
    )


def _create_transport() -> httpx.AsyncBaseTransport:
    transport = ProviderTransport.from_environment()
    if not tracing.is_configured():
        return transport
    from graphql_api.sources.traced_transport import TracedTransport  # noqa: PLC0415 - imports OpenTelemetry

    return TracedTransport(transport)


def _parse_validators(response: httpx.Response) -> Validators:
    etag, last_modified = (
        value if value and len(value) <= _MAX_VALIDATOR_LENGTH else None
        for value in (response.headers.get(name) for name in ("ETag", "Last-Modified"))
    )
    return Validators(etag=etag, last_modified=last_modified)
