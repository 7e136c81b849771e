"""The sites of nginx and Caddy in deploy/, run by these programs in front of a server."""

import ssl
from collections.abc import Iterator
from typing import NamedTuple, cast

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.certificates import Certificates
from tests.support.event_streams import open_event_stream
from tests.support.metrics_scrape import Scraper
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.reverse_proxies import SITES, ProxyName, running_proxy
from tests.support.wait import WAIT_TIMEOUT, wait_until

pytestmark = pytest.mark.slow

IMAGE_URL = {"query": "{ status { imageUrl } }"}
SUBSCRIPTION = '{"id": "1", "type": "subscribe", "payload": {"query": "{ status { totalCountries } }"}}'
REFRESH = "mutation { refreshCountries { totalCountries } }"
REFRESHED = {"refreshCountries": {"totalCountries": 250}}
NEXT = '{"id":"1","type":"next","payload":{"data":{"status":{"totalCountries":250}}}}'


class ProxiedServer(NamedTuple):
    """A server with a proxy before it."""

    server: Process
    url: str
    redirecting_url: str | None
    client: httpx.Client


@pytest.fixture(scope="module", params=list(SITES))
def proxied(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[ProxiedServer]:
    """Run a server and one of the proxies."""
    name = cast("ProxyName", request.param)
    folder = tmp_path_factory.mktemp(name)
    context = ssl.create_default_context(cafile=certificates.authority)
    with (
        running_server(folder, **BUNDLED_SOURCES, ACCESS_LOG="true") as server,
        running_proxy(name, folder, certificates.good, server.port) as (url, redirecting_url),
        httpx.Client(verify=context, trust_env=False, timeout=WAIT_TIMEOUT) as client,
    ):
        yield ProxiedServer(server, url, redirecting_url, client)


def test_absolute_urls(proxied: ProxiedServer) -> None:
    """URLs in a response begin with what the client sees, whatever headers it forges."""
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-For": "6.6.6.6"}
    for headers in ({}, forged):
        response = proxied.client.post(f"{proxied.url}/graphql", json=IMAGE_URL, headers=headers)
        assert response.json()["data"]["status"]["imageUrl"].startswith(f"{proxied.url}/images/summary-")
        assert response.headers["strict-transport-security"] == "max-age=31536000"
    assert "6.6.6.6" not in proxied.server.stderr


def test_websocket(proxied: ProxiedServer, certificates: Certificates) -> None:
    """WebSockets pass."""
    context = ssl.create_default_context(cafile=certificates.authority)
    url = f"{proxied.url.replace('https', 'wss')}/graphql"
    with connect(url, ssl=context, subprotocols=["graphql-transport-ws"], proxy=None) as websocket:  # type: ignore[list-item]  # NewType of str
        websocket.send('{"type": "connection_init"}')
        assert websocket.recv() == '{"type":"connection_ack"}'
        websocket.send(SUBSCRIPTION)
        assert websocket.recv() == NEXT


async def test_event_stream(proxied: ProxiedServer, certificates: Certificates) -> None:
    """The first bytes of a stream arrive while it is open, uncompressed, and it ends with its client."""
    context = ssl.create_default_context(cafile=certificates.authority)
    document = "subscription { refreshProgress { phase } }"
    async with open_event_stream(proxied.url, document, verify=context, Accept_Encoding="gzip") as stream:
        assert await stream.receive() == ("", None)
        assert proxied.client.post(f"{proxied.url}/graphql", json={"query": REFRESH}).json() == {"data": REFRESHED}
        assert (await stream.receive_progress())["phase"] == "STARTED"
        assert "content-encoding" not in stream.response.headers
    scraper = Scraper(proxied.server)
    wait_until(lambda: scraper.scrape()["graphql_api_subscriptions"] == 0)


def test_limits(proxied: ProxiedServer) -> None:
    """Metrics are not public, and a body that is too large is refused."""
    assert proxied.client.get(f"{proxied.url}/metrics").status_code == 404
    assert proxied.client.get(f"{proxied.url}/healthz").status_code == 200
    response = proxied.client.post(f"{proxied.url}/graphql", json={"query": "x" * 110_000})
    assert response.status_code == 413


def test_redirection(proxied: ProxiedServer) -> None:
    """Plain HTTP is redirected, with method and path, if the site has a redirection."""
    if proxied.redirecting_url is None:
        return
    response = proxied.client.post(f"{proxied.redirecting_url}/graphql?a=1", json=IMAGE_URL)
    assert (response.status_code, response.headers["location"]) == (308, "https://localhost/graphql?a=1")


def test_compression(proxied: ProxiedServer) -> None:
    """The server's own compression and validators arrive, and the proxy adds none."""
    params = {"query": "{ countries { nodes { name capital } } }"}
    response = proxied.client.get(f"{proxied.url}/graphql", params=params, headers={"Accept-Encoding": "br"})
    assert response.headers["content-encoding"] == "br"
    etag = response.headers["etag"]
    again = proxied.client.get(f"{proxied.url}/graphql", params=params, headers={"If-None-Match": etag})
    assert (again.status_code, again.headers["etag"]) == (304, etag)
