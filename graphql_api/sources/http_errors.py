"""Describes in plain words why a provider's server could not be used: the server, a redirect or a proxy."""

import os
import socket
import ssl
from collections.abc import Iterator, Sequence

import httpx

from graphql_api.sources.certificates import find_trust_variable
from graphql_api.sources.provider import ProviderError
from graphql_api.sources.proxies import Proxy
from graphql_api.sources.retry import RetryableError
from graphql_api.sources.transport import get_proxy

_RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
_CONNECTION_ERRORS = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


def raise_for_status(response: httpx.Response) -> None:
    """Accept status 200 only.

    Raises:
        ProviderError: any other status; a `RetryableError` if it may pass.
    """
    status = response.status_code
    reason = f"responded with status {status}"
    if status in _RETRYABLE_STATUSES:
        raise RetryableError(reason, retry_after=response.headers.get("Retry-After"))
    proxy = get_proxy(response.request)
    if status == httpx.codes.PROXY_AUTHENTICATION_REQUIRED and proxy:
        raise ProviderError(f"{_describe_proxy(proxy)} {reason}")
    if status != httpx.codes.OK:
        raise ProviderError(reason)


def to_provider_error(error: Exception, first_request: httpx.Request | None) -> ProviderError:
    """Describe the cause; a `RetryableError` if it may pass. `first_request` is the one before any redirect."""
    causes = list(_iter_causes(error))
    request = error.request if isinstance(error, httpx.RequestError) else first_request
    proxy = get_proxy(request) if request is not None else None
    if _has(causes[1:], httpx.InvalidURL):
        return ProviderError("redirects to an invalid URL")
    if isinstance(error, _CONNECTION_ERRORS) or _has(causes, ConnectionResetError):
        through = f" through {_describe_proxy(proxy)}" if proxy else ""
        return RetryableError(f"the connection{through} was lost: {str(error) or 'reset'}")
    server = "the server" if request is None or _is_same_server(request, first_request) else "the redirect target"
    # A proxy whose own URL is http passes TLS through.
    if proxy and not (_has(causes, ssl.SSLError) and proxy.url.scheme == "http"):
        server = _describe_proxy(proxy)
    return ProviderError(_describe_causes(error, causes, server))


def _describe_causes(error: Exception, causes: Sequence[BaseException], server: str) -> str:
    if _has(causes, socket.gaierror):
        return f"the name of {server} does not resolve"
    if _has(causes, ConnectionRefusedError):
        return f"{server} refuses connections"
    if isinstance(error, httpx.ProxyError):
        return f"{server} responded with status {error}"
    if isinstance(error, httpx.ConnectError):
        variable = find_trust_variable(os.environ) if _has(causes, ssl.SSLCertVerificationError) else None
        trusted = f"; only the certificates of {variable} are trusted" if variable else ""
        return f"{server} cannot be reached: {error}{trusted}"
    cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
    return f"{type(cause).__name__}: {cause}"


def _describe_proxy(proxy: Proxy) -> str:
    return f"the proxy in {proxy.variable}"


def _is_same_server(request: httpx.Request, first_request: httpx.Request | None) -> bool:
    return first_request is None or request.url.netloc == first_request.url.netloc


def _has(causes: Sequence[BaseException], kind: type[BaseException]) -> bool:
    return any(isinstance(cause, kind) for cause in causes)


def _iter_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, its causes and contexts, and the members of groups among them."""
    while error is not None:
        yield error
        for nested in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
            yield from _iter_causes(nested)
        error = error.__cause__ or error.__context__
