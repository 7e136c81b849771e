"""Sends HTTP requests to providers, with bounded time, size and retries.

httpx takes a tenth of the start-up time, so this module is imported by the first fetch, or before workers fork.
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from graphql_api.sources.decompression import ACCEPT_ENCODING, read_body
from graphql_api.sources.provider import ProviderError
from graphql_api.sources.response import MAX_BODY_BYTES, NotModified, Validators
from graphql_api.sources.retry import RetryableError, RetryPolicy

_RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
_CONNECTION_ERRORS = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
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
        headers = dict(validators.headers) if validators else {}
        if self.api_key:
            # As a header of this request httpx drops it when a redirect leads to another host.
            headers["Authorization"] = f"Bearer {self.api_key}"
        try:
            full_url = httpx.URL(url).copy_merge_params(params) if params else httpx.URL(url)
            async with self.client.stream("GET", full_url, headers=headers) as response:
                if validators and response.status_code == httpx.codes.NOT_MODIFIED:
                    raise NotModified
                _raise_for_status(response)
                chunks = response.aiter_raw()
                encoding = response.headers.get("Content-Encoding", "")
                body = await read_body(chunks, content_encoding=encoding, max_bytes=max_bytes)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, ExceptionGroup) as error:
            # The last two: host names and ports, of a redirect too, that only lower layers refuse.
            raise _to_provider_error(error, url) from error
        return body, _parse_validators(response)


def create_client(user_agent: str) -> httpx.AsyncClient:
    """Return a client for all providers. It has no timeouts: each fetch has its own."""
    return httpx.AsyncClient(
        headers={"User-Agent": user_agent, "Accept-Encoding": ACCEPT_ENCODING},
        follow_redirects=True,
        max_redirects=5,
        timeout=None,  # noqa: S113 - asyncio.timeout in fetch.py bounds the whole response
    )


def _raise_for_status(response: httpx.Response) -> None:
    status = response.status_code
    reason = f"responded with status {status}"
    if status in _RETRYABLE_STATUSES:
        raise RetryableError(reason, retry_after=response.headers.get("Retry-After"))
    if status != httpx.codes.OK:
        raise ProviderError(reason)


def _parse_validators(response: httpx.Response) -> Validators:
    etag, last_modified = (
        value if value and len(value) <= _MAX_VALIDATOR_LENGTH else None
        for value in (response.headers.get(name) for name in ("ETag", "Last-Modified"))
    )
    return Validators(etag=etag, last_modified=last_modified)


def _to_provider_error(error: Exception, url: str) -> ProviderError:
    """Describe the cause in plain words; a `RetryableError` if it may pass."""
    causes = list(_iter_causes(error))
    if _has(causes[1:], httpx.InvalidURL):
        return ProviderError("redirects to an invalid URL")
    if isinstance(error, _CONNECTION_ERRORS) or _has(causes, ConnectionResetError):
        return RetryableError(f"the connection was lost: {str(error) or 'reset'}")
    server = "the redirect target" if _was_redirected(error, url) else "the server"
    if _has(causes, socket.gaierror):
        reason = f"the name of {server} does not resolve"
    elif _has(causes, ConnectionRefusedError):
        reason = f"{server} refuses connections"
    elif isinstance(error, httpx.ConnectError):
        reason = f"{server} cannot be reached: {error}"
    elif isinstance(error, httpx.TooManyRedirects):
        reason = "redirects too often"
    else:
        cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        reason = f"{type(cause).__name__}: {cause}"
    return ProviderError(reason)


def _has(causes: Sequence[BaseException], kind: type[BaseException]) -> bool:
    return any(isinstance(cause, kind) for cause in causes)


def _iter_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, its causes and contexts, and the members of groups among them."""
    while error is not None:
        yield error
        for nested in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
            yield from _iter_causes(nested)
        error = error.__cause__ or error.__context__


def _was_redirected(error: Exception, url: str) -> bool:
    if not isinstance(error, httpx.RequestError):
        return False
    return error.request.url.netloc != httpx.URL(url).netloc
