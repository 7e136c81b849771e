"""Server-Sent Events on a real server: results, errors, limits, counters, and how streams end."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from graphql_api.execution.messages import GraphQLResponse
from graphql_api.http.client_counts import ConcurrencyLimits
from graphql_api.http.errors import HTTPRejection
from graphql_api.http.graphql import event_stream
from tests.support import http_client
from tests.support.app import AppClient, find_endpoint, make_settings, running_client
from tests.support.event_streams import EVENT_STREAM, open_event_stream
from tests.support.fake_providers.server import Upstream
from tests.support.metrics_scrape import Scraper, counter_increases
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import QUERY, TYPENAME_RESPONSE, open_connection
from tests.support.wait import WAIT_TIMEOUT, wait_until_async
from tests.support.ws_client import open_websocket

SUBSCRIPTION = "subscription { refreshProgress { phase code } }"
REFRESH = "mutation { refreshCountries { totalCountries } }"
TOKEN = "s3cret-Token-of-24-letters"
EVENT = 'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata: \n\n'
SUBSCRIPTIONS = "graphql_api_subscriptions"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server whose timeouts are shorter than the streams, and check at the end that it logged no error."""
    settings = {"ADMIN_TOKEN": TOKEN, "KEEP_ALIVE": "1", "REQUEST_TIMEOUT": "0.5"}
    with running_server(tmp_path_factory.mktemp("sse"), **BUNDLED_SOURCES, **settings) as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process
        assert "Traceback" not in process.stderr, process.stderr
        assert "ERROR" not in process.stderr, process.stderr
        assert "WARNING Request" not in process.stderr, process.stderr


@pytest_asyncio.fixture(loop_scope="module")
async def app(tmp_path: Path) -> AsyncIterator[AppClient]:
    """Run an application in this process."""
    with Upstream() as upstream:
        async with running_client(make_settings(tmp_path / "countries.db", upstream)) as client:
            yield client


def post(server: Process, content: object, **headers: str) -> httpx.Response:
    """POST JSON with an Accept header of event streams."""
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return http_client.post(f"{server.url}/graphql", json=content, headers={"Accept": EVENT_STREAM, **renamed})


def test_query(server: Process) -> None:
    """A query is one event and the end, by POST and GET, and neither kept, compressed nor buffered on its way."""
    query = {"query": "{ __typename }"}
    url = f"{server.url}/graphql"
    for response in (
        post(server, query, Accept_Encoding="gzip, br"),
        http_client.get(url, params=query, headers={"Accept": f"{EVENT_STREAM}, application/json;q=0.9"}),
        http_client.get(url, params=query, headers={"Accept": EVENT_STREAM, "If-None-Match": "*"}),
    ):
        assert (response.status_code, response.text) == (200, EVENT)
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["vary"] == "Accept, Origin"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-request-id"]
        assert "content-encoding" not in response.headers
    for accept in ("*/*", "application/json, text/event-stream", "text/*;q=0.5, application/json"):
        assert post(server, query, Accept=accept).json() == TYPENAME_RESPONSE


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": f"{{ {' '.join(f'a{n}: __typename' for n in range(51))} }}"}, "QUERY_TOO_COMPLEX"),
        ({"query": "query ($a: Int!) { countries(first: $a) { totalCount } }"}, "BAD_USER_INPUT"),
        ({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}}, "PERSISTED_QUERY_NOT_FOUND"),
        ({"query": REFRESH}, "UNAUTHENTICATED"),
    ],
)
def test_errors(server: Process, content: object, code: str) -> None:
    """Errors of GraphQL are an event, as the protocol demands, and the same as in a JSON response."""
    response = post(server, content)
    assert response.status_code == 200
    event, end = response.text.removeprefix("event: next\ndata: ").split("\n\n", 1)
    assert end == "event: complete\ndata: \n\n"
    assert json.loads(event)["errors"][0]["extensions"]["code"] == code
    assert json.loads(event) == post(server, content, Accept="application/json").json()


@pytest.mark.parametrize(
    ("method", "arguments", "status"),
    [
        ("POST", {"json": [{"query": "{ __typename }"}]}, 400),
        ("POST", {"json": {"query": 1}}, 400),
        ("POST", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", {"content": b"{}", "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", {"json": {"query": "x" * 200_000}}, 413),
        ("GET", {"params": {"query": REFRESH}}, 405),
        ("PUT", {}, 405),
    ],
)
def test_rejections(server: Process, method: str, arguments: dict[str, Any], status: int) -> None:
    """Requests that are not GraphQL get their status and JSON, as without a stream."""
    headers = {"Accept": EVENT_STREAM, **arguments.pop("headers", {})}
    response = http_client.request(method, f"{server.url}/graphql", headers=headers, **arguments)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json; charset=utf-8")
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_subscription(server: Process, method: str) -> None:
    """A subscription outlives the timeouts of requests, gets every phase, is counted, and ends with its client."""
    scraper = Scraper(server, TOKEN)
    before = scraper.scrape()
    async with open_event_stream(server, SUBSCRIPTION, method=method, Origin="http://localhost:3000") as stream:
        assert stream.response.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert await stream.receive() == ("", None)
        await asyncio.sleep(1.2)
        # A mutation works over a stream too, with the same token.
        async with open_event_stream(server, REFRESH, Authorization=f"Bearer {TOKEN}") as refresh:
            expected = {"data": {"refreshCountries": {"totalCountries": 250}}}
            assert [await refresh.receive(), await refresh.receive()] == [("next", expected), ("complete", None)]
        phases = [(await stream.receive_progress())["phase"]]
        while phases[-1] != "DONE":
            phases.append((await stream.receive_progress())["phase"])
        assert phases == ["STARTED", *["FETCHING"] * 4, "TRANSFORMING", "UPSERTING", "DRAWING", "DONE"]
        during = scraper.scrape()
        assert during[SUBSCRIPTIONS] == 1
    await wait_until_async(lambda: is_subscription_count(scraper, 0))
    counted = counter_increases(before, during)
    requests = {name: count for name, count in counted.items() if name.startswith("graphql_api_requests")}
    kinds = ("subscription", "mutation")
    assert requests == {f'graphql_api_requests_total{{kind="{kind}",status="200"}}': 1 for kind in kinds}


async def is_subscription_count(scraper: Scraper, count: int) -> bool:
    """Return whether so many subscriptions are active."""
    return scraper.scrape()[SUBSCRIPTIONS] == count


async def test_connection_stays(server: Process) -> None:
    """After a query over a stream, the connection serves the next request."""
    with open_connection(server) as connection:
        assert connection.post(QUERY, Accept=EVENT_STREAM).body.decode() == EVENT
        assert connection.post(QUERY).json == TYPENAME_RESPONSE


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["client", "all"])
async def test_limits(tmp_path: Path, scope: str) -> None:
    """Streams and WebSockets share half of the connections, of a client and of all; requests keep the other half."""
    limit, status = {"client": ("MAX_CONNECTIONS_PER_CLIENT", 429), "all": ("MAX_CONNECTIONS", 503)}[scope]
    with running_server(tmp_path, **BUNDLED_SOURCES, **{limit: "6"}) as server:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(open_websocket(server))
            streams = [await stack.enter_async_context(open_event_stream(server, SUBSCRIPTION)) for _ in range(2)]
            refused = await stack.enter_async_context(open_event_stream(server, SUBSCRIPTION))
            assert (refused.response.status_code, refused.response.headers["retry-after"]) == (status, "1")
            message = json.loads(await refused.response.aread())["errors"][0]["message"]
            assert message.startswith("There are too many event streams")
            with pytest.raises(InvalidStatus, match=str(status)):
                await stack.enter_async_context(open_websocket(server))
            # A single result is a request like any other.
            assert post(server, {"query": "{ __typename }"}).text == EVENT
            await streams[0].response.aclose()
            scraper = Scraper(server)
            await wait_until_async(lambda: is_subscription_count(scraper, 1))
            replacement = await stack.enter_async_context(open_event_stream(server, SUBSCRIPTION))
            assert await replacement.receive() == ("", None)


def test_concurrency_limits() -> None:
    """One too many is not counted; what is removed makes room."""
    limits = ConcurrencyLimits(2, total=3)
    for client in ("a", "a", "b"):
        limits.add(client, "streams")
    for client, status in (("b", 503), ("a", 503)):
        with pytest.raises(HTTPRejection) as exc_info:
            limits.add(client, "streams")
        assert exc_info.value.status == status
    limits.remove("b")
    with pytest.raises(HTTPRejection, match="at most 2"):
        limits.add("a", "streams")
    limits.add("c", "streams")


@pytest.mark.slow
async def test_shutdown(tmp_path: Path) -> None:
    """A server that stops ends each stream properly but without `complete`, so that clients connect again."""
    with running_server(tmp_path, **BUNDLED_SOURCES) as server:
        async with AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(open_event_stream(server, SUBSCRIPTION)) for _ in range(3)]
            server.send_signal(signal.SIGTERM)
            assert [await stream.is_ended() for stream in streams] == [True] * 3
        result = await asyncio.to_thread(server.wait)
    assert result.exit_code == 0
    assert "Traceback" not in result.stderr
    # Nothing had to be cancelled.
    assert "ERROR" not in result.stderr


class SlowClient:
    """An ASGI client that reads a message each time the test lets it."""

    def __init__(self) -> None:
        self.reads = asyncio.Semaphore(0)
        self.disconnected = asyncio.Event()
        self.sent: list[bytes] = []
        self._messages = [{"type": "http.request", "body": b'{"query": "subscription { a }"}', "more_body": False}]

    async def receive(self) -> dict[str, object]:
        """Return the request, then the disconnect."""
        if not self._messages:
            await self.disconnected.wait()
            return {"type": "http.disconnect"}
        return self._messages.pop()

    async def send(self, message: Any) -> None:  # noqa: ANN401 - as ASGI's
        """Wait, as servers do, until the client has read or is gone."""
        if not self.disconnected.is_set():
            await self.reads.acquire()
        self.sent.append(message.get("body", b""))


@pytest.mark.asyncio(loop_scope="module")
async def test_slow_reader(app: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results and pings wait for a client that does not read, and both end when it disconnects."""
    made: list[int] = []

    async def subscribe(*_: object, **__: object) -> AsyncGenerator[GraphQLResponse, None]:
        return make_results()

    async def make_results() -> AsyncGenerator[GraphQLResponse, None]:
        try:
            for number in range(1000):
                made.append(number)
                yield GraphQLResponse({"data": number}, executed=True)
        finally:
            made.append(-1)

    monkeypatch.setattr(event_stream, "execute_or_subscribe", subscribe)
    client, headers = SlowClient(), [(b"accept", b"text/event-stream"), (b"content-type", b"application/json")]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": headers,
    }
    scope |= {"state": {"request_id": "r"}, "server": ("localhost", 80), "client": ("192.0.2.1", 1)}
    endpoint = replace(find_endpoint(app.app), ping_interval=0)
    serving = asyncio.create_task(endpoint(scope, client.receive, client.send))
    for reads, sent in ((0, 0), (1, 1), (10, 11)):
        for _ in range(max(reads, 1)):
            if reads:
                client.reads.release()
            for _ in range(20):
                await asyncio.sleep(0)
        assert len(client.sent) == sent
        assert len(made) <= len(client.sent) + 1
    assert client.sent[:3] == [b"", b":\n\n", b'event: next\ndata: {"data":0}\n\n']
    assert set(client.sent[3:]) >= {b":\n\n", b'event: next\ndata: {"data":1}\n\n'}
    client.disconnected.set()
    await asyncio.wait_for(serving, WAIT_TIMEOUT)
    assert made[-1] == -1
    assert len(made) < 1000


@pytest.mark.asyncio(loop_scope="module")
async def test_stopping(app: AppClient) -> None:
    """A server that stops starts no stream, and a query is still served."""
    find_endpoint(app.app).closing.set()
    response = await app.post({"query": SUBSCRIPTION}, Accept=EVENT_STREAM)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert (await app.post({"query": "{ __typename }"}, Accept=EVENT_STREAM)).text == EVENT


async def test_rate_limit(tmp_path: Path, upstream: Upstream) -> None:
    """Streams spend the client's quota as other responses do, and their responses have the same header fields."""
    settings = make_settings(tmp_path / "countries.db", upstream, rate_limit=(100, 3600))
    async with running_client(settings) as server:
        remaining = []
        for document, report in (("{ __typename }", ""), ("{ __typename }", "report")):
            response = await server.post({"query": document}, Accept=EVENT_STREAM, GraphQL_Cost=report)
            assert response.status_code == 200
            remaining.append(int(response.headers["ratelimit"].split(";")[1].removeprefix("r=")))
        cost = json.loads(response.text.split("\n")[1].removeprefix("data: "))["extensions"]["cost"]
        assert remaining[0] - remaining[1] == 1 + cost["requested"]
        query = {"query": "{ countries(first: 90) { nodes { name } } }"}
        refused = await server.post(query, Accept=EVENT_STREAM)
        assert (refused.status_code, refused.headers["content-type"]) == (429, "application/json; charset=utf-8")
        assert int(refused.headers["retry-after"]) > 1
        assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
