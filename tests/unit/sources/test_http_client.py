"""Requests to providers: headers, limits, redirects, retries, and the reasons of failures."""

import asyncio
import gzip
import logging
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from graphql_api.sources.http_client import ProviderClient, create_client
from graphql_api.sources.provider import ProviderError
from graphql_api.sources.response import MAX_BODY_BYTES, Validators
from graphql_api.sources.retry import RetryPolicy
from tests.support.fake_providers.faults import REFUSING_URL, UNRESOLVABLE_URL
from tests.support.fake_providers.server import HTML, FakeResponse, Upstream

LONG_TIMEOUT = 30.0
"""Seconds; never reached by a passing test."""
MODIFIED = "Tue, 29 Sep 2026 00:02:31 GMT"
NOW = datetime(2026, 9, 29, 12, 0, tzinfo=UTC)
IMMEDIATE_RETRIES = RetryPolicy(base_delay=0, clock=lambda: NOW)
"""Retries without a delay."""
KEY = "rc_live_hunter2"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Yield the client that the application uses."""
    async with create_client("tests/1") as created:
        yield created


def make_provider_client(
    client: httpx.AsyncClient, *, key: str | None = None, timeout: float = LONG_TIMEOUT
) -> ProviderClient:
    """Return a client whose deadline is `timeout` seconds from now."""
    deadline = asyncio.get_running_loop().time() + timeout
    return ProviderClient(client=client, retry_policy=IMMEDIATE_RETRIES, deadline=deadline, api_key=key)


async def fetch(
    client: httpx.AsyncClient, url: str, params: Mapping[str, str] | None = None
) -> tuple[bytes, Validators]:
    """Request a URL as the application does, without a key."""
    return await make_provider_client(client).get(url, params or {})


async def fetch_failure(provider_client: ProviderClient, url: str) -> str:
    """Return the reason why a request failed."""
    with pytest.raises(ProviderError) as exc_info:
        await provider_client.get(url, {})
    return str(exc_info.value)


async def test_what_is_asked(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The request is a GET of the unchanged URL with the client's User-Agent."""
    await fetch(client, f"{upstream.rates_url}?base=USD&key=a%26b")
    (request,) = upstream.requests
    assert (request.method, request.path) == ("GET", "rates")
    assert request.query == {"base": "USD", "key": "a&b"}
    assert {name: request.headers[name] for name in ("user-agent", "accept-encoding")} == {
        "user-agent": "tests/1",
        "accept-encoding": "gzip",
    }
    assert "authorization" not in request.headers


async def test_parameters(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """Parameters are added to the URL's query and replace those of the same name."""
    await fetch(client, f"{upstream.rates_url}?key=a%26b&base=EUR", {"base": "USD", "fields": "a,b"})
    (request,) = upstream.requests
    assert request.query == {"key": "a&b", "base": "USD", "fields": "a,b"}


async def test_key(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A key is sent as a bearer token."""
    await make_provider_client(client, key=KEY).get(upstream.rates_url, {})
    assert upstream.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_key_stays_with_its_host(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A redirect to another host is followed without the key, one on the same host with it."""
    with Upstream() as other_host:
        redirect = FakeResponse(status=302, headers={"Location": other_host.rates_url})
        upstream.set_responses("rates", FakeResponse(status=302, headers={"Location": "/moved"}))
        upstream.set_responses("moved", redirect)
        await make_provider_client(client, key=KEY).get(upstream.rates_url, {})
        sent = [request.headers.get("authorization") for request in upstream.requests]
        assert sent == [f"Bearer {KEY}"] * 2
        assert "authorization" not in other_host.requests[0].headers


async def test_key_is_not_logged(
    upstream: Upstream, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the debug log nor the client's representation contains the key."""
    caplog.set_level(logging.DEBUG)
    provider_client = make_provider_client(client, key=KEY)
    await provider_client.get(upstream.rates_url, {})
    assert "send_request_headers" in caplog.text
    assert KEY not in caplog.text
    assert KEY not in repr(provider_client)


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 418, 500, 501])
async def test_status(upstream: Upstream, client: httpx.AsyncClient, status: int) -> None:
    """Any status but 200 is a failure, and most are not retried."""
    body = b"" if status in (204, 304) else b"figures"
    upstream.set_responses("rates", FakeResponse(status=status, body=body))
    assert await fetch_failure(make_provider_client(client), upstream.rates_url) == f"responded with status {status}"
    assert upstream.request_count("rates") == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_retryable_status(upstream: Upstream, client: httpx.AsyncClient, status: int) -> None:
    """A status that may pass is retried twice."""
    upstream.set_responses("rates", FakeResponse(status=status))
    assert await fetch_failure(make_provider_client(client), upstream.rates_url) == f"responded with status {status}"
    assert upstream.request_count("rates") == 3


async def test_failures_that_retries_hide(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """Failures that pass within two retries are not reported."""
    upstream.set_responses(
        "rates", FakeResponse(raw=True, reset=True), FakeResponse(status=503), FakeResponse(body=b"figures")
    )
    assert (await fetch(client, upstream.rates_url))[0] == b"figures"


async def test_retry_after(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A delay that Retry-After requests is kept, even if the policy's own is shorter."""
    upstream.set_responses("rates", FakeResponse(status=429, headers={"Retry-After": "1"}), FakeResponse(body=b"x"))
    started = time.monotonic()
    await fetch(client, upstream.rates_url)
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("header", ["60", format_datetime(NOW + timedelta(seconds=60), usegmt=True)])
async def test_retry_after_the_deadline(upstream: Upstream, client: httpx.AsyncClient, header: str) -> None:
    """A provider that requests a delay beyond the deadline fails at once."""
    upstream.set_responses("rates", FakeResponse(status=503, headers={"Retry-After": header}))
    assert await fetch_failure(make_provider_client(client, timeout=59), upstream.rates_url) == (
        "responded with status 503 and requested a delay of 60 s, longer than the time left"
    )
    assert upstream.request_count("rates") == 1


async def test_no_time_for_a_retry(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A delay that would end after the deadline is not started, and the failure is reported."""
    upstream.set_responses("rates", FakeResponse(status=503))
    provider_client = ProviderClient(
        client=client,
        retry_policy=RetryPolicy(base_delay=100),
        deadline=asyncio.get_running_loop().time() + LONG_TIMEOUT,
    )
    assert await fetch_failure(provider_client, upstream.rates_url) == "responded with status 503"
    assert upstream.request_count("rates") == 1


async def test_largest_body(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A body of the maximum size is accepted."""
    upstream.set_responses("rates", FakeResponse(body=b"x" * MAX_BODY_BYTES))
    body, _ = await fetch(client, upstream.rates_url)
    assert len(body) == MAX_BODY_BYTES


async def test_body_that_is_too_large(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A body one byte larger is rejected."""
    upstream.set_responses("rates", FakeResponse(body=b"x" * (MAX_BODY_BYTES + 1)))
    reason = await fetch_failure(make_provider_client(client), upstream.rates_url)
    assert reason == "the response is larger than 5000000 bytes"


async def test_endless_body(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A body that is too large fails without its rest."""
    endless = FakeResponse(body=b"x" * (MAX_BODY_BYTES + 2), hold_after=MAX_BODY_BYTES + 1, hold_until=lambda: False)
    upstream.set_responses("rates", endless)
    reason = await fetch_failure(make_provider_client(client), upstream.rates_url)
    assert reason == "the response is larger than 5000000 bytes"


async def test_compressed(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A compressed body is decompressed."""
    headers = {"Content-Encoding": "gzip"}
    upstream.set_responses("rates", FakeResponse(body=gzip.compress(b"figures"), headers=headers))
    body, _ = await fetch(client, upstream.rates_url)
    assert body == b"figures"


async def test_compressed_body_that_is_too_large(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The size limit applies after decompression."""
    bomb = gzip.compress(bytes(MAX_BODY_BYTES + 1))
    upstream.set_responses("rates", FakeResponse(body=bomb, headers={"Content-Encoding": "gzip"}))
    reason = await fetch_failure(make_provider_client(client), upstream.rates_url)
    assert reason == "the response is larger than 5000000 bytes"


async def test_broken_compression(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A body that does not match its encoding is a failure."""
    upstream.set_responses("rates", FakeResponse(body=HTML, headers={"Content-Encoding": "gzip"}))
    assert await fetch_failure(make_provider_client(client), upstream.rates_url) == (
        "the response is not valid gzip: Error -3 while decompressing data: incorrect header check"
    )


async def test_redirects(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """Five redirects are followed, relative and absolute."""
    for step in range(5):
        target = f"/{step + 1}" if step % 2 else f"{upstream.url}/{step + 1}"
        upstream.set_responses(str(step), FakeResponse(status=301, headers={"Location": target}))
    upstream.set_responses("5", FakeResponse(body=b"figures"))
    body, _ = await fetch(client, f"{upstream.url}/0")
    assert body == b"figures"
    assert [request.path for request in upstream.requests] == ["0", "1", "2", "3", "4", "5"]


async def test_redirect_loop(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The sixth redirect is not followed."""
    upstream.set_responses("rates", FakeResponse(status=302, headers={"Location": "/rates"}))
    reason = await fetch_failure(make_provider_client(client), upstream.rates_url)
    assert reason == "redirects too often"
    assert upstream.request_count("rates") == 6


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("http://127.0.0.1:99999/", "OverflowError"),
        ("http://xn--/", "IDNAError"),
        ("ftp://127.0.0.1/", "redirects to a URL that is neither http nor https"),
        ("http://\u00e9..b/", "redirects to an invalid URL"),
    ],
)
async def test_redirect_to_an_unusable_url(
    upstream: Upstream, client: httpx.AsyncClient, target: str, error: str
) -> None:
    """A redirect to an unusable URL is a failure, whichever layer rejects it."""
    upstream.set_responses("rates", FakeResponse(status=302, headers={"Location": target}))
    reason = await fetch_failure(make_provider_client(client), upstream.rates_url)
    assert reason.partition(":")[0] == error


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", "UnsupportedProtocol"),
        ("somewhere", "UnsupportedProtocol"),
        ("http://", "UnsupportedProtocol"),
        ("http://\x00/", "InvalidURL"),
        ("http://127.0.0.1:port/", "InvalidURL"),
        ("http://127.0.0.1:99999/", "OverflowError"),
        ("http://xn--/", "IDNAError"),
        ("http://127.0.0.1/\udc80", "UnicodeEncodeError"),
    ],
)
async def test_invalid_url(client: httpx.AsyncClient, url: str, error: str) -> None:
    """An unusable URL is a failure, whichever layer rejects it."""
    reason = await fetch_failure(make_provider_client(client), url)
    assert reason.partition(":")[0] == error


async def test_connection_refused(client: httpx.AsyncClient) -> None:
    """A closed port is a failure."""
    assert await fetch_failure(make_provider_client(client), REFUSING_URL) == "the server refuses connections"


async def test_name_that_does_not_resolve(client: httpx.AsyncClient) -> None:
    """A name that does not resolve is a failure."""
    assert (
        await fetch_failure(make_provider_client(client), UNRESOLVABLE_URL) == "the name of the server does not resolve"
    )


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (REFUSING_URL, "the redirect target refuses connections"),
        (UNRESOLVABLE_URL, "the name of the redirect target does not resolve"),
    ],
)
async def test_redirect_to_an_unreachable_server(
    upstream: Upstream, client: httpx.AsyncClient, target: str, reason: str
) -> None:
    """The reason tells an unreachable redirect target from an unreachable provider."""
    upstream.set_responses("rates", FakeResponse(status=302, headers={"Location": target}))
    assert await fetch_failure(make_provider_client(client), upstream.rates_url) == reason
    assert upstream.request_count("rates") == 1


async def test_no_tls(client: httpx.AsyncClient) -> None:
    """A server without TLS behind an https URL is a failure that names the TLS error."""

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reason = await fetch_failure(make_provider_client(client), f"https://127.0.0.1:{port}/")
    assert reason.startswith("the server cannot be reached: [SSL")


async def test_closed_within_the_body(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A connection that closes within the body is a failure after two retries."""
    upstream.set_responses("rates", FakeResponse(body=b"figures", cut_after=4))
    assert await fetch_failure(make_provider_client(client), upstream.rates_url) == (
        "the connection was lost: peer closed connection without sending complete message body "
        "(received 4 bytes, expected 7)"
    )
    assert upstream.request_count("rates") == 3


async def test_closed_before_the_response(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A connection that closes before the response is a failure after two retries."""
    upstream.set_responses("rates", FakeResponse(raw=True))
    assert await fetch_failure(make_provider_client(client), upstream.rates_url) == (
        "the connection was lost: Server disconnected without sending a response."
    )
    assert upstream.request_count("rates") == 3


async def test_reset(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A connection reset is a failure after two retries."""
    upstream.set_responses("rates", FakeResponse(raw=True, reset=True))
    reason = await fetch_failure(make_provider_client(client), upstream.rates_url)
    assert reason == "the connection was lost: reset"
    assert upstream.request_count("rates") == 3


async def test_other_encoding(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A body in an encoding that was not requested is a failure."""
    upstream.set_responses("rates", FakeResponse(body=b"figures", headers={"Content-Encoding": "br"}))
    reason = await fetch_failure(make_provider_client(client), upstream.rates_url)
    assert reason == "the response has the encoding br, which was not requested"


async def test_validators(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A response has its validators as they were sent."""
    headers = {"ETag": 'W/"1"', "Last-Modified": MODIFIED}
    upstream.set_responses("rates", FakeResponse(body=b"figures", headers=headers))
    _, validators = await fetch(client, upstream.rates_url)
    assert validators == Validators(etag='W/"1"', last_modified=MODIFIED)


@pytest.mark.parametrize("headers", [{}, {"ETag": "x" * 201, "Last-Modified": "x" * 201}])
async def test_no_validators(upstream: Upstream, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Missing and overlong validators are None."""
    upstream.set_responses("rates", FakeResponse(body=b"figures", headers=headers))
    _, validators = await fetch(client, upstream.rates_url)
    assert validators == Validators(etag=None, last_modified=None)
