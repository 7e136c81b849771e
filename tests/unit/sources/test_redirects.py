"""Redirects: public servers cannot redirect to others, and no redirect lowers the security of a request."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from graphql_api.sources.http_client import ProviderClient, create_client
from graphql_api.sources.provider import ProviderError
from graphql_api.sources.proxies import Proxy, ProxySettings
from graphql_api.sources.retry import RetryPolicy
from graphql_api.sources.transport import ProviderTransport
from tests.support.certificates import Certificates
from tests.support.fake_providers.server import FakeResponse, Upstream

PUBLIC_HOST = "127.0.0.2"
"""Loopback address that these tests take for a public one."""
NOT_PUBLIC = "redirects to an address that is not public"
NO_PROXIES = ProxySettings({}, ())


@pytest.fixture
def public() -> Iterator[Upstream]:
    """Yield a server that counts as public."""
    with Upstream(PUBLIC_HOST) as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client for which `PUBLIC_HOST` is the only public address."""
    transport = ProviderTransport(NO_PROXIES, is_public=lambda host: host == PUBLIC_HOST)
    async with httpx.AsyncClient(transport=transport, timeout=None) as created:  # noqa: S113 - as create_client
        yield created


async def get(client: httpx.AsyncClient, url: str) -> bytes:
    """Request a URL as the application does, without retries."""
    provider_client = ProviderClient(client=client, retry_policy=RetryPolicy(max_retries=0), deadline=1e12)
    body, _ = await provider_client.get(url, {})
    return body


async def failure(client: httpx.AsyncClient, url: str) -> str:
    """Return the reason why a request failed."""
    with pytest.raises(ProviderError) as exc_info:
        await get(client, url)
    return str(exc_info.value)


def redirect(target: str) -> FakeResponse:
    """Return a redirect."""
    return FakeResponse(status=302, headers={"Location": target})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_public_to_private(upstream: Upstream, public: Upstream, client: httpx.AsyncClient, host: str) -> None:
    """A public server cannot redirect to another one, however its address is written; nothing is sent there."""
    target = upstream.rates_url.replace("127.0.0.1", host)
    public.set_responses("rates", redirect(target))
    assert await failure(client, public.rates_url) == NOT_PUBLIC
    assert upstream.requests == ()


async def test_by_way_of_a_public_server(upstream: Upstream, public: Upstream, client: httpx.AsyncClient) -> None:
    """The second redirect is restricted as the first one is."""
    public.set_responses("rates", redirect("/moved"))
    public.set_responses("moved", redirect(upstream.rates_url))
    assert await failure(client, public.rates_url) == NOT_PUBLIC
    assert (public.request_count("moved"), upstream.requests) == (1, ())


async def test_with_an_open_connection(public: Upstream, client: httpx.AsyncClient) -> None:
    """An open connection to a private provider is no way around the restriction."""
    request_count = 0

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal request_count
        while await reader.readuntil(b"\r\n\r\n"):
            request_count += 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nfigures")

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert await get(client, url) == b"figures"
        public.set_responses("rates", redirect(url))
        assert await failure(client, public.rates_url) == NOT_PUBLIC
        assert request_count == 1
        await client.aclose()


async def test_public_to_public(public: Upstream, client: httpx.AsyncClient) -> None:
    """A public server can redirect to a public one."""
    public.set_responses("rates", redirect(f"{public.url}/moved"))
    public.set_responses("moved", FakeResponse(body=b"figures"))
    assert await get(client, public.rates_url) == b"figures"


async def test_private_to_private(upstream: Upstream, public: Upstream, client: httpx.AsyncClient) -> None:
    """A server that is not public itself can redirect anywhere."""
    upstream.set_responses("rates", redirect(f"{public.url}/moved"))
    public.set_responses("moved", redirect(f"{upstream.url}/moved"))
    upstream.set_responses("moved", FakeResponse(body=b"figures"))
    assert await get(client, upstream.rates_url) == b"figures"


Resolver = Callable[..., list[tuple[Any, ...]]]


def changing_resolver(*addresses: str) -> Resolver:
    """Return a resolver that gives each of the addresses once, for any name that is no address."""
    original, remaining = socket.getaddrinfo, list(addresses)

    def resolve(host: str | bytes, *args: Any, **options: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - as getaddrinfo
        is_name = "example" in str(host)
        return original(remaining.pop(0) if is_name else host, *args, **options)

    return resolve


async def test_name_that_resolves_to_a_private_address(
    upstream: Upstream, public: Upstream, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect to a name with a private address is not followed."""
    monkeypatch.setattr(socket, "getaddrinfo", changing_resolver("127.0.0.1"))
    public.set_responses("rates", redirect(upstream.rates_url.replace("127.0.0.1", "internal.example")))
    assert await failure(client, public.rates_url) == NOT_PUBLIC
    assert upstream.requests == ()


async def test_name_that_changes_its_address(
    upstream: Upstream, public: Upstream, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is private only when the connection opens gets no request (DNS rebinding)."""
    monkeypatch.setattr(socket, "getaddrinfo", changing_resolver(PUBLIC_HOST, "127.0.0.1"))
    public.set_responses("rates", redirect(upstream.rates_url.replace("127.0.0.1", "rebinding.example")))
    assert await failure(client, public.rates_url) == NOT_PUBLIC
    assert upstream.requests == ()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "169.254.169.254", "[fd00:ec2::254]"])
async def test_through_a_proxy(upstream: Upstream, host: str) -> None:
    """A proxy does not get requests for private addresses, which it might resolve differently."""
    proxies = ProxySettings({"http": Proxy("HTTP_PROXY", httpx.URL(upstream.url))}, ())
    async with httpx.AsyncClient(transport=ProviderTransport(proxies)) as client:
        upstream.set_responses("rates", redirect(f"http://{host}/moved"))
        assert await failure(client, "http://provider.example/rates") == NOT_PUBLIC
        assert [request.path for request in upstream.requests] == ["rates"]
        upstream.set_responses("rates", redirect("http://mirror.example/moved"))
        upstream.set_responses("moved", FakeResponse(body=b"figures"))
        assert await get(client, "http://provider.example/rates") == b"figures"


async def test_from_https_to_http(
    upstream: Upstream, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect does not lead from https to http; within https it is followed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    with Upstream(certificate=certificates.good) as secure:
        async with create_client("tests/1") as client:
            secure.set_responses("rates", redirect(upstream.rates_url))
            assert await failure(client, secure.rates_url) == "redirects from https to http"
            secure.set_responses("rates", redirect("/moved"))
            secure.set_responses("moved", FakeResponse(body=b"figures"))
            assert await get(client, secure.rates_url) == b"figures"
    assert upstream.requests == ()


async def test_credentials(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A redirect cannot name credentials; those of the provider's own URL stay with its server."""
    own_url = upstream.rates_url.replace("://", "://user:password@")
    upstream.set_responses("rates", redirect(own_url.replace("user", "other")))
    assert await failure(client, own_url) == "redirects to a URL with credentials"
    upstream.set_responses("rates", redirect("/moved"))
    upstream.set_responses("moved", FakeResponse(body=b"figures"))
    assert await get(client, own_url) == b"figures"
    authorizations = [request.headers.get("authorization") for request in upstream.requests]
    assert authorizations == ["Basic dXNlcjpwYXNzd29yZA=="] * 3


async def test_credentials_for_another_server(upstream: Upstream, public: Upstream, client: httpx.AsyncClient) -> None:
    """Credentials of the provider's URL are not sent to another server."""
    upstream.set_responses("rates", redirect(f"{public.url}/moved"))
    public.set_responses("moved", FakeResponse(body=b"figures"))
    await get(client, upstream.rates_url.replace("://", "://user:password@"))
    assert "authorization" not in public.requests[0].headers


async def test_body_of_a_redirect(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The body of a redirect is not read, so it may be without end."""
    endless = FakeResponse(
        status=302,
        headers={"Location": "/moved", "Content-Length": "1000000000"},
        body=b"x" * 100_000,
        hold_after=100_000,
        hold_until=lambda: False,
    )
    upstream.set_responses("rates", endless)
    upstream.set_responses("moved", FakeResponse(body=b"figures"))
    async with asyncio.timeout(30):
        assert await get(client, upstream.rates_url) == b"figures"


async def test_cookies(upstream: Upstream) -> None:
    """Cookies are not kept: they would pile up, and no provider needs them."""
    upstream.set_responses("rates", FakeResponse(body=b"figures", headers={"Set-Cookie": "visitor=1; Path=/"}))
    async with create_client("tests/1") as client:
        for _ in range(2):
            await get(client, upstream.rates_url)
    assert ["cookie" in request.headers for request in upstream.requests] == [False, False]
