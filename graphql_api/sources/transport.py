"""Sends requests directly or through the environment's proxies, and some of them to public servers only."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.request import getproxies

import httpx

from graphql_api.sources.addresses import is_public, resolve
from graphql_api.sources.certificates import create_ssl_context
from graphql_api.sources.provider import ProviderError
from graphql_api.sources.proxies import Proxy, ProxySettings, parse_proxies

PUBLIC_ONLY = "public_only"
"""Extension of a request: true if it may be sent to a public server only."""
IS_PUBLIC = "is_public"
"""Extension of a response: whether its server is public."""
_PROXY = "proxy"


class ProviderTransport(httpx.AsyncBaseTransport):
    """Chooses the proxy, or a direct connection, by the URL of each request."""

    def __init__(
        self,
        proxies: ProxySettings,
        *,
        is_public: Callable[[str], bool] = is_public,
        **options: Any,  # noqa: ANN401 - what AsyncHTTPTransport takes
    ) -> None:
        """Open nothing yet. `is_public` judges an address or a name; `options` are those of `AsyncHTTPTransport`."""
        self._proxies = proxies
        self._is_public = is_public
        self._direct = httpx.AsyncHTTPTransport(**options)
        self._by_variable = {
            proxy.variable: httpx.AsyncHTTPTransport(proxy=httpx.Proxy(proxy.url), **options)
            for proxy in proxies.by_scheme.values()
        }

    @classmethod
    def from_environment(cls) -> Self:
        """Return a transport with the proxies and the trusted certificates of the environment.

        Raises:
            ProviderError: a variable is malformed, or names files that cannot be used.
        """
        proxies = parse_proxies(getproxies(), os.environ)
        return cls(proxies, verify=create_ssl_context(os.environ))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            ProviderError: the request is `PUBLIC_ONLY`, and the server is not public.
        """
        proxy = self._proxies.select(request.url)
        transport = self._by_variable[proxy.variable] if proxy else self._direct
        is_restricted = bool(request.extensions.get(PUBLIC_ONLY))
        trace = self._check_peer if is_restricted and proxy is None else None
        request.extensions = {**request.extensions, _PROXY: proxy, "trace": trace}
        host = request.url.raw_host.decode("ascii")
        if is_restricted:
            # The proxy resolves the name, and may be the only one who can.
            self._require_public([host] if proxy else await resolve(host))
        response = await transport.handle_async_request(request)
        peer = host if proxy else _get_peer(response.extensions["network_stream"])
        response.extensions[IS_PUBLIC] = peer is None or self._is_public(peer)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in (self._direct, *self._by_variable.values()):
            await transport.aclose()

    def _require_public(self, hosts: list[str]) -> None:
        if not all(map(self._is_public, hosts)):
            raise ProviderError("redirects to an address that is not public")

    async def _check_peer(self, event_name: str, info: Mapping[str, Any]) -> None:
        """Check a new connection before anything is sent: the name may resolve to another address by now."""
        if event_name != "connection.connect_tcp.complete":
            return
        stream = info["return_value"]
        peer = _get_peer(stream)
        try:
            self._require_public([] if peer is None else [peer])
        except ProviderError:
            await stream.aclose()
            raise


def get_proxy(request: httpx.Request) -> Proxy | None:
    """Return the proxy that was chosen for a request."""
    proxy: Proxy | None = request.extensions.get(_PROXY)
    return proxy


def _get_peer(stream: Any) -> str | None:  # noqa: ANN401 - a stream of httpcore
    """Return the address at the other end of a connection; None if the connection is lost."""
    address = stream.get_extra_info("server_addr")
    return address and str(address[0])
