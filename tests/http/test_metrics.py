"""Every metric counts exactly what has happened, and nobody without the token is told."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from graphql_api import __version__
from graphql_api.metrics.families import FAMILIES
from tests.cli.running import PATIENCE, Process, serving
from tests.http.scraping import Scraper, counted
from tests.http.talking import PROGRESS, talking
from tests.http.wire import connected, head, is_usable
from tests.upstream.server import COUNTRIES, RATES, Answer, Upstream

TOKEN = "t0ken-SECRET-t0ken"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://countries.example",
    "ADMIN_TOKEN": TOKEN,
    "REFRESH_MIN_INTERVAL": "0",
    "REQUEST_TIMEOUT": "1",
}
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
REFRESH = "mutation R($force: Boolean!) { refreshCountries(force: $force) { id } }"
NAMES = {"query": "query Names { countries(first: 3) { edges { node { name } } } }"}
PHASES = ("fetch_countries", "fetch_rates", "fetch", "transform", "upsert", "image", "total")
DOWN = Answer(status=404)
LASTING = Answer(body=json.dumps(json.loads(RATES) | {"time_next_update_unix": 4e9}).encode())
TAGGED = Answer(body=COUNTRIES, headers={"ETag": '"x"'})


@pytest.fixture(scope="module")
def sources() -> Iterator[Upstream]:
    """Lend the sources of the server below, which the tests may change."""
    with Upstream() as upstream:
        upstream.answer("countries", TAGGED)
        upstream.answer("rates", LASTING)
        yield upstream


@pytest.fixture(scope="module")
def server(sources: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Lend a server in production, whose first refresh is over."""
    variables = {**PRODUCTION, **sources.environment}
    with serving(tmp_path_factory.mktemp("metrics"), **variables) as process:
        process.wait_until_said("countries from geonames")
        yield process


@pytest.fixture
def scraper(server: Process) -> Scraper:
    """Return who scrapes it."""
    return Scraper(server, TOKEN)


def post(server: Process, content: object, **headers: str) -> httpx.Response:
    """POST JSON to /graphql."""
    return httpx.post(f"{server.url}/graphql", json=content, headers=headers, trust_env=False)


def requests(kind: str, status: int, times: int = 1) -> dict[str, float]:
    """Return what so many requests count."""
    return {
        f'graphql_api_requests_total{{kind="{kind}",status="{status}"}}': times,
        f'graphql_api_request_duration_seconds_count{{kind="{kind}"}}': times,
    }


def lookup(result: str, times: int = 1) -> dict[str, float]:
    """Return what so many answers of the data count."""
    return {f'graphql_api_cache_lookups_total{{result="{result}"}}': times}


def error(code: str) -> dict[str, float]:
    """Return what an error counts."""
    return {f'graphql_api_errors_total{{code="{code}"}}': 1}


def refreshed(outcome: str = "success", trigger: str = "request") -> dict[str, float]:
    """Return what a refresh counts."""
    counted = {f'graphql_api_refreshes_total{{outcome="{outcome}",trigger="{trigger}"}}': 1.0}
    if outcome == "success":
        name = 'graphql_api_refresh_phase_duration_seconds_count{{phase="{}"}}'
        counted |= {name.format(phase): 1 for phase in PHASES}
    return counted


def heard(provider: str, outcome: str) -> dict[str, float]:
    """Return what a provider counts."""
    counted = {
        f'graphql_api_provider_answers_total{{outcome="{outcome}",provider="{provider}"}}': 1.0
    }
    if outcome != "kept":
        counted[f'graphql_api_provider_duration_seconds_count{{provider="{provider}"}}'] = 1
    return counted


def test_format(scraper: Scraper) -> None:
    """The answer is Prometheus' text, and has every family with its type and text."""
    answer = scraper.server.get("/metrics", **AUTHORIZED)
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert answer.headers["Cache-Control"] == "no-store"
    told = [
        (family.name, family.type, family.documentation)
        for family in text_string_to_metric_families(answer.text)
    ]
    assert told == [
        (family.name.removesuffix("_total"), family.type, family.text) for family in FAMILIES
    ]


def test_open_metrics(server: Process) -> None:
    """Who accepts OpenMetrics gets it."""
    accept = "application/openmetrics-text; version=1.0.0"
    answer = server.get("/metrics", Accept=accept, **AUTHORIZED)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN} x", "é"],
)
def test_closed(server: Process, authorization: str) -> None:
    """In production who has not the token learns nothing but that it is needed."""
    sent = {b"Authorization": authorization.encode("latin-1")}
    answer = httpx.get(f"{server.url}/metrics", headers=sent, trust_env=False)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.text == "This needs ADMIN_TOKEN as a bearer token.\n"


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
    assert counted(before, scraper.scrape()) == (
        requests("query", 200, 3)
        | requests("mutation", 200)
        | {
            'graphql_api_requests_total{kind="none",status="200"}': 2,
            'graphql_api_requests_total{kind="none",status="400"}': 1,
            'graphql_api_requests_total{kind="none",status="404"}': 1,
            'graphql_api_requests_total{kind="none",status="405"}': 1,
            'graphql_api_request_duration_seconds_count{kind="none"}': 5,
        }
        | error("UNAUTHENTICATED")
        | error("GRAPHQL_PARSE_FAILED")
        | error("GRAPHQL_VALIDATION_FAILED")
        | {'graphql_api_errors_total{code="BAD_USER_INPUT"}': 4}
    )


def test_cache(server: Process, scraper: Scraper) -> None:
    """Answers of the data are counted as made, kept, or held by the client; so are their bytes."""
    first = post(server, {"query": "{ countries { totalCount } }"}).content
    before = scraper.scrape()
    for _ in range(5):
        post(server, NAMES)
    address = "/graphql?query={countries{totalCount}}"
    tag = server.get(address).headers["ETag"]
    assert server.get(address, **{"If-None-Match": tag}).status_code == 304
    after = scraper.scrape()
    assert counted(before, after) == (
        requests("query", 200, 6)
        | requests("query", 304)
        | {'graphql_api_request_duration_seconds_count{kind="query"}': 7}
        | lookup("miss", 2)
        | lookup("hit", 4)
        | lookup("not_modified")
    )
    kept = after["graphql_api_cache_bytes"] - before["graphql_api_cache_bytes"]
    names = post(server, NAMES)
    asked = len(names.request.content) + len(address.removeprefix("/graphql?"))
    # Plain, and as what the client accepts, which is the same for what is so short.
    assert kept == 2 * (2 * 1000 + asked + len(names.content) + len(first))


def test_protocol(server: Process, scraper: Scraper) -> None:
    """What the protocol itself answers is counted, and has an id that the log has, too."""
    before = scraper.scrape()
    statuses = {}
    for sent in (b"nonsense\r\n\r\n", head(Content_Length="9") + b"x", head(x="x" * 70_000)[:-4]):
        with connected(server) as wire:
            wire.send(sent)
            answered = wire.answer()
            statuses[answered.status] = answered.headers["X-Request-Id"]
    assert sorted(statuses) == [400, 408, 431]
    after = scraper.scrape()
    assert counted(before, after) == {
        **{
            f'graphql_api_requests_total{{kind="none",status="{status}"}}': 1 for status in statuses
        },
        'graphql_api_request_duration_seconds_count{kind="none"}': 3,
    }
    lines = [json.loads(line) for line in server.said.splitlines()]
    told = {line["status"]: line["request_id"] for line in lines if "status" in line}
    assert told | statuses == told


def test_connections(server: Process, scraper: Scraper) -> None:
    """Connections that are open are told, that of the scrape included."""
    with ExitStack() as stack:
        for _ in range(7):
            assert is_usable(stack.enter_context(connected(server)))
        assert scraper.scrape()["graphql_api_connections"] == 8


async def test_websockets(server: Process, scraper: Scraper) -> None:
    """Operations over WebSocket are counted by kind and code, as over HTTP; refusals, too."""
    before = scraper.scrape()
    unknown = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
    async with talking(server) as talk:
        await talk.ask("{ __typename }")
        await talk.ask('mutation { deleteCountry(code: "FR") { id } }')
        for document in ("{", "{ nothing }", "subscription { nothing }"):
            await talk.begin(document)
            assert (await talk.hear())["type"] == "error"
        await talk.say({"type": "subscribe", "id": "1", "payload": {"extensions": unknown}})
        assert (await talk.hear())["type"] == "error"
        await talk.begin(PROGRESS)
        assert await talk.ask("{ __typename }", "2")
    assert counted(before, scraper.scrape()) == (
        requests("query", 200, 3)
        | requests("mutation", 200)
        | requests("subscription", 200, 2)
        | requests("none", 200, 2)
        | error("UNAUTHENTICATED")
        | error("GRAPHQL_PARSE_FAILED")
        | {'graphql_api_errors_total{code="GRAPHQL_VALIDATION_FAILED"}': 2}
        | error("PERSISTED_QUERY_NOT_FOUND")
    )


async def test_open_websockets(server: Process, scraper: Scraper) -> None:
    """WebSockets that are open and subscriptions that go on are told, and no longer when over."""

    def told() -> list[float]:
        names = ("websockets", "subscriptions", "connections")
        seen = scraper.scrape()
        return [seen[f"graphql_api_{name}"] for name in names]

    async def becomes(numbers: list[float]) -> None:
        async with asyncio.timeout(PATIENCE):
            while told() != numbers:  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0.01)

    await becomes([0, 0, 1])
    async with talking(server) as one, talking(server) as other:
        for talk, keys in ((one, "abc"), (other, "d")):
            for key in keys:
                await talk.begin(PROGRESS, key)
        await becomes([2, 4, 1])
        await one.say({"type": "complete", "id": "b"})
        await becomes([2, 3, 1])
        await other.say("no message")
        assert (await other.closed())[0] == 4400
        await becomes([1, 2, 1])
    await becomes([0, 0, 1])
    with connected(server) as wire:
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
        wire.send(head("GET /graphql", **upgrade))
        assert wire.answer("GET").status == 400
    await becomes([0, 0, 1])


def test_refreshes(server: Process, sources: Upstream, scraper: Scraper) -> None:
    """Refreshes are counted by outcome, with their phases, and so is each provider."""

    def refresh(*, force: bool = False) -> None:
        post(server, {"query": REFRESH, "variables": {"force": force}}, **AUTHORIZED)

    began = scraper.scrape()
    assert began['graphql_api_refreshes_total{outcome="success",trigger="start"}'] == 2
    refresh(force=True)
    forced = scraper.scrape()
    assert counted(began, forced) == (
        requests("mutation", 200)
        | refreshed()
        | heard("geonames", "answered")
        | heard("er-api", "answered")
    )
    sources.answer("countries", Answer(status=304))
    refresh()
    unchanged = scraper.scrape()
    assert counted(forced, unchanged) == (
        requests("mutation", 200)
        | refreshed()
        | heard("geonames", "not_modified")
        | heard("er-api", "kept")
    )
    sources.answer("countries", DOWN)
    refresh()
    failed = scraper.scrape()
    assert counted(unchanged, failed) == (
        requests("mutation", 200)
        | refreshed("SOURCE_UNAVAILABLE")
        | error("SOURCE_UNAVAILABLE")
        | heard("geonames", "failed")
        | heard("bundled", "answered")
        | heard("er-api", "kept")
    )
    sources.answer("countries", TAGGED)


def test_gauges(server: Process, scraper: Scraper) -> None:
    """Gauges tell of the data, the database, the process and the build what is so now."""
    seen = scraper.scrape()
    ready = server.get("/readyz").json()
    revision, _, countries = ready["version"].partition("-")
    name = "graphql_api_{}".format
    assert {
        one: seen[name(one)]
        for one in (
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
    assert 0 < seen["graphql_api_snapshot_age_seconds"] < 600
    [build] = [one for one in seen if one.startswith("graphql_api_build_info")]
    assert (seen[build], f'version="{__version__}"' in build) == (1, True)


def test_process(scraper: Scraper) -> None:
    """CPU time rises with every scrape, and memory, files and the start are told."""
    one, two = scraper.scrape(), scraper.scrape()
    assert 0 < one["process_cpu_seconds_total"] <= two["process_cpu_seconds_total"]
    assert two["process_resident_memory_bytes"] > 10_000_000
    assert 5 < two["process_open_fds"] < two["process_max_fds"]
    assert two["process_start_time_seconds"] > 1_700_000_000


def test_open_in_development(sources: Upstream, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Outside production nobody needs the token, and callers that wait for a refresh are told."""
    sources.answer("rates", Answer(body=RATES, until=lambda: False))
    folder = tmp_path_factory.mktemp("development")
    with serving(folder, **sources.environment, ADMIN_TOKEN=TOKEN) as server:
        sources.wait_until_asked("rates", sources.asked("rates") + 1)
        seen = Scraper(server).scrape()
        assert seen["graphql_api_refresh_waiting_callers"] == 1
        assert seen["graphql_api_snapshot_stale"] == 1
        assert seen['graphql_api_refreshes_total{outcome="success",trigger="start"}'] == 1
