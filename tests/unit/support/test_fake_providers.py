"""The server that plays the sources: it responds, fails and holds responses back on demand."""

import asyncio
import socket
import threading
import time

import httpx
import pytest

from graphql_api.settings import Settings
from tests.support import http_client
from tests.support.fake_providers.server import (
    BODIES,
    COUNTRIES,
    PAGES,
    RATES,
    FakeResponse,
    Upstream,
    paginated_responder,
)


def test_answers_well_until_told_otherwise(upstream: Upstream) -> None:
    """By default both sources respond with their bodies, and any other path with 404."""
    assert http_client.get(upstream.countries_url).content == COUNTRIES
    assert http_client.get(upstream.rates_url).content == RATES
    assert http_client.get(f"{upstream.url}/elsewhere").status_code == 404


def test_remembers_requests(upstream: Upstream) -> None:
    """Every request is recorded with its method, path, query and headers."""
    http_client.get(upstream.countries_url, params={"page": "2", "all": ""}, headers={"X-Key": "secret"})
    (request,) = upstream.requests
    assert (request.method, request.path) == ("GET", "countries")
    assert request.query == {"page": "2", "all": ""}
    assert request.headers["x-key"] == "secret"
    assert (upstream.request_count("countries"), upstream.request_count("rates")) == (1, 0)


def test_answers_in_order(upstream: Upstream) -> None:
    """Responses are sent in order; the last one repeats."""
    upstream.set_responses("rates", FakeResponse(status=503), FakeResponse(body=b"at last", headers={"X-Try": "2"}))
    responses = [http_client.get(upstream.rates_url) for _ in range(3)]
    assert [response.status_code for response in responses] == [503, 200, 200]
    assert [response.content for response in responses] == [b"", b"at last", b"at last"]
    assert responses[1].headers["X-Try"] == "2"


def test_cuts_the_body(upstream: Upstream) -> None:
    """A cut response announces more bytes than it sends."""
    upstream.set_responses("rates", FakeResponse(body=b"0123456789", cut_after=4))
    with pytest.raises(httpx.RemoteProtocolError, match="received 4 bytes, expected 10"):
        http_client.get(upstream.rates_url)


def test_sends_raw_bytes(upstream: Upstream) -> None:
    """A raw response is sent unchanged, HTTP or not."""
    upstream.set_responses("rates", FakeResponse(body=b"HTTP/1.1 204 Fine\r\n\r\n", raw=True), FakeResponse(raw=True))
    assert http_client.get(upstream.rates_url).reason_phrase == "Fine"
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        http_client.get(upstream.rates_url)


def test_answers_what_is_asked(upstream: Upstream) -> None:
    """A response may depend on the request."""
    upstream.set_responses("rates", lambda request: FakeResponse(body=request.query["page"].encode()))
    pages = [http_client.get(upstream.rates_url, params={"page": page}).content for page in ("1", "2")]
    assert pages == [b"1", b"2"]


def test_pages(upstream: Upstream) -> None:
    """The pages of restcountries need key and limit, and are selected by their offset."""
    upstream.set_responses("countries", paginated_responder("hunter2"))
    responses = [
        http_client.get(
            upstream.countries_url,
            params={"limit": limit, "offset": offset},
            headers={"Authorization": f"Bearer {key}"},
        )
        for key, limit, offset in (
            ("hunter2", "100", "0"),
            ("hunter2", "100", "200"),
            ("hunter2", "25", "0"),
            ("swordfish", "100", "0"),
        )
    ]
    assert [response.status_code for response in responses] == [200, 200, 400, 401]
    assert [response.content for response in responses[:2]] == [PAGES[0], PAGES[2]]


def test_drips(upstream: Upstream) -> None:
    """A slow body comes byte by byte, and whole in the end."""
    upstream.set_responses("rates", FakeResponse(body=b"drip", byte_delay=0.02))
    started_at = time.monotonic()
    assert http_client.get(upstream.rates_url).content == b"drip"
    assert time.monotonic() - started_at > 3 * 0.02


def test_resets(upstream: Upstream) -> None:
    """A reset connection fails instead of ending."""
    upstream.set_responses("rates", FakeResponse(raw=True, reset=True))
    with pytest.raises(httpx.ReadError, match="Connection reset by peer"):
        http_client.get(upstream.rates_url)


def test_bodies_are_small() -> None:
    """No body is larger than 60 kB."""
    sizes = {path.name: path.stat().st_size for path in BODIES.iterdir()}
    assert {name: size for name, size in sizes.items() if size > 60_000} == {}


async def test_holds_back(upstream: Upstream) -> None:
    """A response waits for its condition, before the head or within the body."""
    released = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=b"all", hold_until=released.is_set))
    upstream.set_responses("rates", FakeResponse(body=b"two parts", hold_until=released.is_set, hold_after=3))
    async with httpx.AsyncClient() as client, client.stream("GET", upstream.rates_url) as partial_response:
        chunks = partial_response.aiter_raw()
        assert await anext(chunks) == b"two"
        full_request = asyncio.create_task(client.get(upstream.countries_url))
        await asyncio.to_thread(upstream.wait_for_requests, "countries")
        assert not full_request.done()
        released.set()
        assert await anext(chunks) == b" parts"
        assert (await full_request).content == b"all"


def test_ends_while_it_holds_an_answer_back() -> None:
    """Leaving the context ends the thread and frees the port while clients wait."""
    with Upstream() as upstream:
        upstream.set_responses("countries", FakeResponse(hold_until=lambda: False))
        client = socket.create_connection(("127.0.0.1", upstream._port))
        client.sendall(b"GET /countries HTTP/1.1\r\n\r\n")
        upstream.wait_for_requests("countries")
    assert not upstream._thread.is_alive()
    with client:
        assert client.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", upstream._port))


def test_environment(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program started with the environment requests this server."""
    for name, value in upstream.environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert settings.countries_sources == (("geonames", upstream.countries_url), ("bundled", None))
    assert settings.rates_sources == (("er-api", upstream.rates_url), ("bundled", None))
