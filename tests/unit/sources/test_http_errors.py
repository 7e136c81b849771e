"""Reasons of failed requests that concern a proxy or the trusted certificates: they name the variable."""

import pytest

from graphql_api.sources.http_client import ProviderClient, create_client
from graphql_api.sources.provider import ProviderError
from graphql_api.sources.retry import RetryPolicy
from tests.support.certificates import Certificates
from tests.support.fake_providers.faults import REFUSING_URL, UNRESOLVABLE_URL
from tests.support.fake_providers.server import FakeResponse, Upstream

URL = "http://provider.example/rates"
SECURE_URL = "https://provider.example/rates"


async def failure(url: str) -> str:
    """Return the reason why a request failed, with the environment of this process."""
    async with create_client("tests/1") as client:
        provider_client = ProviderClient(client=client, retry_policy=RetryPolicy(max_retries=0), deadline=1e12)
        with pytest.raises(ProviderError) as exc_info:
            await provider_client.get(url, {})
    return str(exc_info.value)


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        (REFUSING_URL, "the proxy in HTTP_PROXY refuses connections"),
        (UNRESOLVABLE_URL, "the name of the proxy in HTTP_PROXY does not resolve"),
    ],
)
async def test_unreachable_proxy(monkeypatch: pytest.MonkeyPatch, proxy: str, reason: str) -> None:
    """A proxy that cannot be reached is named, not the provider's server."""
    monkeypatch.setenv("HTTP_PROXY", proxy)
    assert await failure(URL) == reason


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (FakeResponse(status=407), "the proxy in ALL_PROXY responded with status 407"),
        (FakeResponse(status=403), "responded with status 403"),
        (FakeResponse(raw=True), "the connection through the proxy in ALL_PROXY was lost: {}"),
        (FakeResponse(raw=True, reset=True), "the connection through the proxy in ALL_PROXY was lost: reset"),
    ],
)
async def test_proxy_of_http(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, response: FakeResponse, reason: str
) -> None:
    """A proxy that requires a password or breaks the connection is named; other statuses may be the server's."""
    monkeypatch.setenv("ALL_PROXY", upstream.url)
    upstream.set_responses("rates", response)
    assert await failure(URL) == reason.format("Server disconnected without sending a response.")


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_proxy_of_https(upstream: Upstream, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A proxy that opens no tunnel is named with its status."""
    monkeypatch.setenv("https_proxy", upstream.url)
    upstream.set_responses("443", FakeResponse(status=status))
    assert (await failure(SECURE_URL)).startswith(f"the proxy in https_proxy responded with status {status}")
    assert [(request.method, request.path) for request in upstream.requests] == [("CONNECT", "443")]


async def test_untrusted_certificate(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the environment names the trusted certificates, the failure to verify one names the variable."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    with Upstream(certificate=certificates.untrusted) as secure:
        reason = await failure(secure.rates_url)
    assert reason.startswith("the server cannot be reached: [SSL: CERTIFICATE_VERIFY_FAILED]")
    assert reason.endswith("; only the certificates of SSL_CERT_FILE are trusted")


async def test_untrusted_certificate_by_default(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without such a variable, none is named."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with Upstream(certificate=certificates.good) as secure:
        reason = await failure(secure.rates_url)
    assert reason.startswith("the server cannot be reached: [SSL: CERTIFICATE_VERIFY_FAILED]")
    assert "SSL_CERT" not in reason
