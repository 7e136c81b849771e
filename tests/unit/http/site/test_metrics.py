"""Every metric counts exactly what happened, and needs the token in production."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from graphql_api import __version__
from graphql_api.metrics.definitions import FAMILIES
from tests.support import http_client
from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Upstream
from tests.support.metrics_scrape import Scraper, counter_increases
from tests.support.processes import Process, running_server
from tests.support.raw_http import is_usable, open_connection, request_head
from tests.support.wait import WAIT_TIMEOUT, wait_until
from tests.support.ws_client import PROGRESS, websocket_client

TOKEN = "t0ken-SECRET-t0ken"
METRICS_TOKEN = "t0ken-of-the-scraper"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "sqlite:///var/countries.db",
    "PUBLIC_URL": "https://countries.example",
    "ADMIN_TOKEN": TOKEN,
    "METRICS_TOKEN": METRICS_TOKEN,
    "REFRESH_MIN_INTERVAL": "0",
    "REQUEST_TIMEOUT": "1",
}
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
REFRESH = "mutation R($force: Boolean!) { refreshCountries(force: $force) { id } }"
NAMES = {"query": "query Names { countries(first: 3) { edges { node { name } } } }"}
PHASES = ("fetch_countries", "fetch_rates", "fetch_statistics", "fetch", "transform", "upsert", "image", "total")
DOWN = FakeResponse(status=404)
LONG_LIVED_RATES = FakeResponse(body=json.dumps(json.loads(RATES) | {"time_next_update_unix": 4e9}).encode())
TAGGED_COUNTRIES = FakeResponse(body=COUNTRIES, headers={"ETag": '"x"'})


@pytest.fixture(scope="module")
def fake_providers() -> Iterator[Upstream]:
    """Yield the providers of the server below, which tests may change."""
    with Upstream() as upstream:
        upstream.set_responses("countries", TAGGED_COUNTRIES)
        upstream.set_responses("rates", LONG_LIVED_RATES)
        yield upstream


@pytest.fixture(scope="module")
def server(fake_providers: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Yield a server in production after its first refresh."""
    variables = {**PRODUCTION, **fake_providers.environment}
    with running_server(tmp_path_factory.mktemp("metrics"), **variables) as process:
        process.wait_for_log("countries from geonames")
        yield process


@pytest.fixture
def scraper(server: Process) -> Scraper:
    """Return a scraper of the server."""
    return Scraper(server, TOKEN)


def post(server: Process, content: object, **headers: str) -> httpx.Response:
    """POST JSON to /graphql."""
    return http_client.post(f"{server.url}/graphql", json=content, headers=headers)


def request_samples(kind: str, status: int, times: int = 1) -> dict[str, float]:
    """Return the samples of `times` requests."""
    return {
        f'graphql_api_requests_total{{kind="{kind}",status="{status}"}}': times,
        f'graphql_api_request_duration_seconds_count{{kind="{kind}"}}': times,
    }


def lookup_samples(result: str, times: int = 1) -> dict[str, float]:
    """Return the samples of `times` cache lookups."""
    return {f'graphql_api_cache_lookups_total{{result="{result}"}}': times}


def error_samples(code: str) -> dict[str, float]:
    """Return the samples of an error."""
    return {f'graphql_api_errors_total{{code="{code}"}}': 1}


def refresh_samples(outcome: str = "success", trigger: str = "request") -> dict[str, float]:
    """Return the samples of a refresh."""
    samples = {f'graphql_api_refreshes_total{{outcome="{outcome}",trigger="{trigger}"}}': 1.0}
    if outcome == "success":
        name = 'graphql_api_refresh_phase_duration_seconds_count{{phase="{}"}}'
        samples |= {name.format(phase): 1 for phase in PHASES}
    return samples


def provider_samples(provider: str, outcome: str) -> dict[str, float]:
    """Return the samples of a fetch from a provider."""
    samples = {f'graphql_api_provider_answers_total{{outcome="{outcome}",provider="{provider}"}}': 1.0}
    if outcome != "kept":
        samples[f'graphql_api_provider_duration_seconds_count{{provider="{provider}"}}'] = 1
    return samples


def test_format(scraper: Scraper) -> None:
    """The response is Prometheus text with type and help of every family."""
    response = scraper.server.get("/metrics", **AUTHORIZED)
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert response.headers["Cache-Control"] == "no-store"
    actual = [
        (family.name, family.type, family.documentation) for family in text_string_to_metric_families(response.text)
    ]
    assert actual == [(family.name.removesuffix("_total"), family.type, family.documentation) for family in FAMILIES]


def test_open_metrics(server: Process) -> None:
    """A client that accepts OpenMetrics receives it."""
    accept = "application/openmetrics-text; version=1.0.0"
    response = server.get("/metrics", Accept=accept, **AUTHORIZED)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN} x", "é"]
)
def test_closed(server: Process, authorization: str) -> None:
    """In production a client without the token receives a 401 and no metrics."""
    headers = {b"Authorization": authorization.encode("latin-1")}
    response = http_client.get(f"{server.url}/metrics", headers=headers)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert response.text == "This needs METRICS_TOKEN or ADMIN_TOKEN as a bearer token.\n"


def test_token_of_their_own(server: Process) -> None:
    """METRICS_TOKEN reads the metrics and changes nothing; ADMIN_TOKEN reads them too."""
    headers, before = {"Authorization": f"Bearer {METRICS_TOKEN}"}, server.get("/readyz").json()
    assert server.get("/metrics", **headers).status_code == server.get("/metrics", **AUTHORIZED).status_code == 200
    body = server.query('mutation { deleteCountry(code: "FR") { id } }', **headers)
    assert (body["data"], body["errors"][0]["extensions"]["code"]) == (None, "UNAUTHENTICATED")
    assert server.get("/readyz").json() == before


def test_requests(server: Process, scraper: Scraper) -> None:
    """Requests are counted by the kind of their operation and by status, errors by their code."""
    before = scraper.scrape()
    post(server, {"query": "{ status { version } }"})
    post(server, {"query": 'mutation { deleteCountry(code: "FR") { id } }'})
    post(server, {"query": "{"})
    post(server, {"query": "{ nothing }"})
    post(server, {"query": "query A { __typename } query B { __typename }"})
    post(server, {"query": "{ country { id } }"})
    post(server, [])
    server.get("/nowhere")
    server.get("/graphql?query=mutation{__typename}")
    assert counter_increases(before, scraper.scrape()) == (
        request_samples("query", 200, 3)
        | request_samples("mutation", 200)
        | {
            'graphql_api_requests_total{kind="none",status="200"}': 2,
            'graphql_api_requests_total{kind="none",status="400"}': 1,
            'graphql_api_requests_total{kind="none",status="404"}': 1,
            'graphql_api_requests_total{kind="none",status="405"}': 1,
            'graphql_api_request_duration_seconds_count{kind="none"}': 5,
        }
        | error_samples("UNAUTHENTICATED")
        | error_samples("GRAPHQL_PARSE_FAILED")
        | error_samples("GRAPHQL_VALIDATION_FAILED")
        | {'graphql_api_errors_total{code="BAD_USER_INPUT"}': 4}
    )


def measure_head(response: httpx.Response) -> int:
    """Return the bytes of a response's status line and of the headers that the cache holds."""
    names = ("content-type", "content-length", "etag", "cache-control")
    lines = [f"{name}: {response.headers[name]}" for name in names if name in response.headers]
    return len("\r\n".join(["HTTP/1.1 200 OK", *lines, ""]))


def test_cache(server: Process, scraper: Scraper) -> None:
    """Cache lookups are counted as miss, hit or not modified, and bytes are measured."""
    post(server, {"query": "{ countries { totalCount } }"})
    path = "/graphql?query={countries{totalCount}}"
    before = scraper.scrape()
    for _ in range(5):
        post(server, NAMES)
    tag, _ = [server.get(path).headers["ETag"] for _ in range(2)]
    assert server.get(path, **{"If-None-Match": tag}).status_code == 304
    after = scraper.scrape()
    assert counter_increases(before, after) == (
        request_samples("query", 200, 7)
        | request_samples("query", 304)
        | {'graphql_api_request_duration_seconds_count{kind="query"}': 8}
        | lookup_samples("miss", 4)
        | lookup_samples("hit", 3)
        | lookup_samples("not_modified")
    )
    added_bytes = after["graphql_api_cache_bytes"] - before["graphql_api_cache_bytes"]
    responses = [post(server, NAMES), server.get(path)]
    texts = [responses[0].request.content, path.removeprefix("/graphql?").encode()]
    sizes = [
        500 + len(text + response.content) + measure_head(response)
        for text, response in zip(texts, responses, strict=True)
    ]
    # Identity, and the encoding that the client accepts, which leaves short bodies as they are.
    assert added_bytes == 2 * (sum(sizes) + len("Names"))


def test_protocol(server: Process, scraper: Scraper) -> None:
    """Responses of the HTTP protocol itself are counted, and their request ids are logged."""
    before = scraper.scrape()
    statuses = {}
    for request in (b"nonsense\r\n\r\n", request_head(Content_Length="9") + b"x", request_head(x="x" * 70_000)[:-4]):
        with open_connection(server) as connection:
            connection.send(request)
            response = connection.read_response()
            statuses[response.status] = response.headers["X-Request-Id"]
    assert sorted(statuses) == [400, 408, 431]
    after = scraper.scrape()
    assert counter_increases(before, after) == {
        **{f'graphql_api_requests_total{{kind="none",status="{status}"}}': 1 for status in statuses},
        'graphql_api_request_duration_seconds_count{kind="none"}': 3,
    }
    lines = [json.loads(line) for line in server.stderr.splitlines()]
    logged = {line["status"]: line["request_id"] for line in lines if "status" in line}
    assert logged | statuses == logged


def test_connections(server: Process, scraper: Scraper) -> None:
    """Open connections are counted, including that of the scrape."""
    with ExitStack() as stack:
        for _ in range(7):
            assert is_usable(stack.enter_context(open_connection(server)))
        assert scraper.scrape()["graphql_api_connections"] == 8


async def test_websockets(server: Process, scraper: Scraper) -> None:
    """Operations over WebSocket, also rejected ones, are counted as over HTTP."""
    before = scraper.scrape()
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
    async with websocket_client(server) as client:
        await client.execute("{ __typename }")
        await client.execute('mutation { deleteCountry(code: "FR") { id } }')
        for document in ("{", "{ nothing }", "subscription { nothing }"):
            await client.subscribe(document)
            assert (await client.receive())["type"] == "error"
        await client.send({"type": "subscribe", "id": "1", "payload": {"extensions": extensions}})
        assert (await client.receive())["type"] == "error"
        await client.subscribe(PROGRESS)
        assert await client.execute("{ __typename }", "2")
    assert counter_increases(before, scraper.scrape()) == (
        request_samples("query", 200, 3)
        | request_samples("mutation", 200)
        | request_samples("subscription", 200, 2)
        | request_samples("none", 200, 2)
        | error_samples("UNAUTHENTICATED")
        | error_samples("GRAPHQL_PARSE_FAILED")
        | {'graphql_api_errors_total{code="GRAPHQL_VALIDATION_FAILED"}': 2}
        | error_samples("PERSISTED_QUERY_NOT_FOUND")
    )


async def test_open_websockets(server: Process, scraper: Scraper) -> None:
    """Open WebSockets and running subscriptions are counted until they end."""

    def read_gauges() -> list[float]:
        gauges = ("websockets", "subscriptions", "connections")
        samples = scraper.scrape()
        return [samples[f"graphql_api_{gauge}"] for gauge in gauges]

    async def wait_for_gauges(expected: list[float]) -> None:
        async with asyncio.timeout(WAIT_TIMEOUT):
            while read_gauges() != expected:  # noqa: ASYNC110 - a gauge sends no event
                await asyncio.sleep(0.01)

    await wait_for_gauges([0, 0, 1])
    async with websocket_client(server) as first, websocket_client(server) as second:
        for client, operation_ids in ((first, "abc"), (second, "d")):
            for operation_id in operation_ids:
                await client.subscribe(PROGRESS, operation_id)
        await wait_for_gauges([2, 4, 1])
        await first.send({"type": "complete", "id": "b"})
        await wait_for_gauges([2, 3, 1])
        await second.send("no message")
        assert (await second.receive_close())[0] == 4400
        await wait_for_gauges([1, 2, 1])
    await wait_for_gauges([0, 0, 1])
    with open_connection(server) as connection:
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
        connection.send(request_head("GET /graphql", **headers))
        assert connection.read_response("GET").status == 400
    await wait_for_gauges([0, 0, 1])


def test_refreshes(server: Process, fake_providers: Upstream, scraper: Scraper) -> None:
    """Refreshes are counted by outcome with their phases, and fetches by provider."""

    def refresh(*, force: bool = False) -> None:
        post(server, {"query": REFRESH, "variables": {"force": force}}, **AUTHORIZED)

    initial = scraper.scrape()
    assert initial['graphql_api_refreshes_total{outcome="success",trigger="start"}'] == 2
    refresh(force=True)
    forced = scraper.scrape()
    assert counter_increases(initial, forced) == (
        request_samples("mutation", 200)
        | refresh_samples()
        | provider_samples("geonames", "answered")
        | provider_samples("er-api", "answered")
        | provider_samples("world-bank", "answered")
    )
    fake_providers.set_responses("countries", FakeResponse(status=304))
    refresh()
    unchanged = scraper.scrape()
    assert counter_increases(forced, unchanged) == (
        request_samples("mutation", 200)
        | refresh_samples()
        | provider_samples("geonames", "not_modified")
        | provider_samples("er-api", "kept")
        | provider_samples("world-bank", "answered")
    )
    fake_providers.set_responses("countries", DOWN)
    refresh()
    failed = scraper.scrape()
    assert counter_increases(unchanged, failed) == (
        request_samples("mutation", 200)
        | refresh_samples("SOURCE_UNAVAILABLE")
        | error_samples("SOURCE_UNAVAILABLE")
        | provider_samples("geonames", "failed")
        | provider_samples("bundled", "answered")
        | provider_samples("er-api", "kept")
        | provider_samples("world-bank", "answered")
    )
    fake_providers.set_responses("countries", TAGGED_COUNTRIES)


def test_gauges(server: Process, scraper: Scraper) -> None:
    """Gauges report the current data, database, process and build."""
    samples: Mapping[str, float] = {}

    def is_database_idle() -> bool:
        nonlocal samples
        samples = scraper.scrape()
        return samples["graphql_api_database_pool_in_use"] == 0

    wait_until(is_database_idle, "a refresh of another test has not finished")
    ready = server.get("/readyz").json()
    revision, _, countries = ready["version"].partition("-")
    full_name = "graphql_api_{}".format
    assert {
        gauge: samples[full_name(gauge)]
        for gauge in (
            "snapshot_revision",
            "snapshot_countries",
            "snapshot_stale",
            "database_reachable",
            "database_pool_in_use",
            "database_pool_size",
            "database_pool_overflow",
            "database_pool_waits_total",
            "refresh_waiting_callers",
            "workers",
        )
    } == {
        "snapshot_revision": int(revision),
        "snapshot_countries": int(countries),
        "snapshot_stale": 0,
        "database_reachable": 1,
        "database_pool_in_use": 0,
        "database_pool_size": 10,
        "database_pool_overflow": 0,
        "database_pool_waits_total": 0,
        "refresh_waiting_callers": 0,
        "workers": 1,
    }
    assert 0 < samples["graphql_api_snapshot_age_seconds"] < 600
    [build] = [series for series in samples if series.startswith("graphql_api_build_info")]
    assert (samples[build], f'version="{__version__}"' in build) == (1, True)


def test_process(scraper: Scraper) -> None:
    """CPU time never decreases, and memory, open files and start time are reported."""
    first, second = scraper.scrape(), scraper.scrape()
    assert 0 < first["process_cpu_seconds_total"] <= second["process_cpu_seconds_total"]
    assert second["process_resident_memory_bytes"] > 10_000_000
    assert 5 < second["process_open_fds"] < second["process_max_fds"]
    assert second["process_start_time_seconds"] > 1_700_000_000


@pytest.mark.slow
def test_open_in_development(fake_providers: Upstream, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Outside production metrics need no token, and callers waiting for a refresh are counted."""
    fake_providers.set_responses("rates", FakeResponse(body=RATES, hold_until=lambda: False))
    folder = tmp_path_factory.mktemp("development")
    with running_server(folder, **fake_providers.environment, ADMIN_TOKEN=TOKEN) as server:
        fake_providers.wait_for_requests("rates", fake_providers.request_count("rates") + 1)
        samples = Scraper(server).scrape()
        assert samples["graphql_api_refresh_waiting_callers"] == 1
        assert samples["graphql_api_snapshot_stale"] == 1
        assert samples['graphql_api_refreshes_total{outcome="success",trigger="start"}'] == 1
