"""Tracing to an OTLP collector; off, nothing of OpenTelemetry is imported or called."""

import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import FrameType

import pytest
import pytest_asyncio

from graphql_api import tracing
from graphql_api.app import create_app
from graphql_api.components import Components
from graphql_api.errors import InvalidSetting
from graphql_api.http.graphql import endpoint
from tests.support.app import AppClient, make_settings, running_client
from tests.support.environments import build_environment
from tests.support.event_streams import EVENT_STREAM
from tests.support.fake_providers.server import FakeResponse, Upstream
from tests.support.otlp_collector import CollectedSpan, Collector, running_collector
from tests.support.processes import BUNDLED_SOURCES, running_process, running_server
from tests.support.wait import wait_until
from tests.support.ws_client import websocket_client

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"
QUERY = "query Page { countries(first: 2) { nodes { code } } }"
REFRESH = "mutation Renew { refreshCountries { totalCountries } }"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Run a collector."""
    with running_collector() as running:
        yield running


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Collector:
    """Configure tracing in this process."""
    for name, value in collector.environment.items():
        monkeypatch.setenv(name, value)
    return collector


def describe(span: CollectedSpan) -> dict[str, object]:
    """Return what GraphQL says of an operation, and the status."""
    names = {"http.response.status_code": "status", "graphql.operation.name": "name"}
    own = {name.removeprefix("graphql_api."): value for name, value in span.attributes.items()}
    return {names.get(name, name): value for name, value in own.items() if name in names or "." not in name}


async def test_operations(traced: Collector, path: Path, upstream: Upstream) -> None:
    """Each request is a span in its client's trace: what it asked for, its cost, and whether the cache had it."""
    async with running_client(make_settings(path, upstream)) as server:
        for query in (QUERY, QUERY, QUERY, "{ nothing }"):
            await server.post({"query": query}, traceparent=TRACEPARENT)
        await server.post([{"query": QUERY}, {"query": "{ status { version } }"}], traceparent=TRACEPARENT)
        await server.post({"query": QUERY}, Accept=EVENT_STREAM, traceparent=TRACEPARENT)
        await server.post(b"{", traceparent="forged")
        await server.get("/healthz", traceparent=TRACEPARENT)
    *spans, invalid = [span for span in traced.spans if span.kind == "SERVER"]
    assert {(span.trace_id, span.parent_id) for span in spans} == {(TRACE_ID, PARENT_ID)}
    assert [(span.name, describe(span)) for span in spans] == [
        *[("query", {"name": "Page", "cost": 6, "cache_hit": False, "status": 200})] * 2,
        ("query", {"name": "Page", "cache_hit": True, "status": 200}),
        ("query", {"cost": 0, "cache_hit": False, "error_codes": ["GRAPHQL_VALIDATION_FAILED"], "status": 200}),
        ("query", {"name": "batch of 2: Page, -", "cost": 16, "cache_hit": False, "status": 200}),
        ("query", {"name": "Page", "cost": 6, "cache_hit": False, "status": 200}),
    ]
    assert spans[0].attributes.items() >= {"http.request.method": "POST", "url.path": "/graphql"}.items()
    assert {span.is_error for span in spans} == {False}
    assert invalid.name == "GraphQL Operation"
    assert (invalid.trace_id != TRACE_ID, invalid.parent_id) == (True, "")
    assert describe(invalid) == {"error_codes": ["BAD_USER_INPUT"], "status": 400}
    assert spans[0].resource["service.name"] == "countries"


async def test_refresh(traced: Collector, path: Path, upstream: Upstream) -> None:
    """A refresh is a tree of spans: its phases, each provider, each request with the trace, and each SQL statement."""
    async with running_client(make_settings(path, upstream)) as server:
        await server.post({"query": REFRESH}, traceparent=TRACEPARENT)
        sent = [request.headers["traceparent"] for request in upstream.requests]
    spans = [span for span in traced.spans if span.trace_id == TRACE_ID]
    [mutation] = [span for span in spans if span.name == "mutation"]
    assert describe(mutation) == {"name": "Renew", "cost": 2001, "status": 200}
    parents = {span.span_id: span.name for span in spans}
    tree = Counter((parents.get(span.parent_id, ""), span.name) for span in spans)
    expected = {
        ("", "mutation"): 1,
        ("mutation", "refresh"): 1,
        **{("refresh", f"refresh {phase}"): 1 for phase in ("lease", "fetch", "transform", "upsert", "image")},
        **{("refresh fetch", f"fetch {provider}"): 1 for provider in ("geonames", "er-api", "world-bank")},
        ("fetch geonames", "GET"): 1,
        ("fetch er-api", "GET"): 1,
        ("fetch world-bank", "GET"): 3,
        ("refresh upsert", "INSERT countries"): 1,
    }
    assert expected.items() <= tree.items(), tree
    requests = [span for span in spans if span.name == "GET"]
    assert {header for header in sent if TRACE_ID in header} == {
        f"00-{TRACE_ID}-{span.span_id}-01" for span in requests
    }
    assert {span.kind for span in requests} == {"CLIENT"}
    assert requests[0].attributes["http.response.status_code"] == 200
    assert {span.attributes["server.address"] for span in requests} == {"127.0.0.1"}
    [upsert] = [span for span in spans if span.name == "INSERT countries"]
    assert upsert.kind == "CLIENT"
    assert upsert.attributes["db.system.name"] == "sqlite"
    assert upsert.attributes["db.query.text"].startswith("INSERT INTO countries (code, ")
    assert "France" not in upsert.attributes["db.query.text"]
    outcomes = {span.attributes["graphql_api.outcome"] for span in spans if span.name.startswith("fetch ")}
    assert outcomes == {"answered"}


async def test_failures(traced: Collector, path: Path, upstream: Upstream) -> None:
    """The span of a failure has the type of the error, and no message, which may repeat a key."""
    upstream.set_responses("countries", FakeResponse(status=404))
    settings = make_settings(
        path, upstream, countries_sources=(("geonames", f"{upstream.countries_url}?key=s3cret"), ("bundled", None))
    )
    async with running_client(settings) as server:
        await server.post({"query": REFRESH}, traceparent=TRACEPARENT)
    failed = [span for span in traced.spans if span.trace_id == TRACE_ID and span.is_error]
    assert [(span.name, span.attributes["error.type"]) for span in failed] == [
        ("GET", "404"),
        ("fetch geonames", "ProviderError"),
    ]
    assert failed[0].attributes["url.full"] == upstream.countries_url
    assert "s3cret" not in str(traced.spans)


def test_configuration() -> None:
    """An endpoint or an exporter turns tracing on, the standard switches turn it off, and the rest is refused."""
    endpoint = {ENDPOINT: "http://collector:4318"}
    on = [endpoint, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a"}, {"OTEL_TRACES_EXPORTER": "otlp"}]
    off = [{}, {ENDPOINT: " "}, {"OTEL_SERVICE_NAME": "a"}]
    off += [{**endpoint, "OTEL_SDK_DISABLED": "TRUE"}, {**endpoint, "OTEL_TRACES_EXPORTER": "none"}]
    for variables, expected in (*((case, True) for case in on), *((case, False) for case in off)):
        assert tracing.is_configured(variables) is expected, variables
        tracing.check_configuration(variables)
    for wrong, message in (
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'; set otlp or none."),
        ({ENDPOINT: "collector:4318"}, f"{ENDPOINT} is 'collector:4318'; set a URL such as http://collector:4318."),
        (
            {**endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'; set http/protobuf, because spans are sent over HTTP.",
        ),
    ):
        with pytest.raises(InvalidSetting) as exc_info:
            tracing.check_configuration(wrong)
        assert str(exc_info.value) == message


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error names the variable, the extra, and how to turn tracing off."""
    monkeypatch.setattr(tracing, "find_spec", lambda _: None)
    tracing.check_configuration({})
    with pytest.raises(InvalidSetting) as exc_info:
        tracing.check_configuration({ENDPOINT: "http://collector:4318"})
    assert str(exc_info.value) == (
        "OTEL_EXPORTER_OTLP_ENDPOINT turns tracing on, but OpenTelemetry is not installed. Install the extra otel "
        "(pip install 'graphql-api[otel]'), or set OTEL_SDK_DISABLED=true."
    )


@pytest_asyncio.fixture
async def untraced(path: Path, upstream: Upstream) -> AsyncIterator[AppClient]:
    """Run an application without tracing."""
    async with running_client(make_settings(path, upstream)) as server:
        yield server


async def test_no_calls(untraced: AppClient) -> None:
    """Off, no request calls anything of tracing, and a refresh calls it for its phases and providers only."""
    calls: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename == tracing.__file__:
            calls[frame.f_code.co_name] += 1

    sys.setprofile(profile)
    try:
        for query in (QUERY, QUERY, "{ nothing }", "{ status { version } }"):
            await untraced.post({"query": query}, traceparent=TRACEPARENT)
        assert calls == {}
        await untraced.post({"query": REFRESH})
    finally:
        sys.setprofile(None)
    assert calls == {"span": 9, "set_attributes": 3}


@pytest.mark.slow
def test_not_imported(tmp_path: Path) -> None:
    """Off, a refresh with its requests and statements imports nothing of OpenTelemetry."""
    command = [sys.executable, "-X", "importtime", "-m", "graphql_api", "refresh"]
    variables = build_environment({**BUNDLED_SOURCES, "OTEL_SERVICE_NAME": "countries"})
    with running_process(command, tmp_path, variables) as process:
        assert process.wait().exit_code == 0
        assert "sqlalchemy" in process.stderr
        assert "opentelemetry" not in process.stderr


@pytest.mark.slow
async def test_workers(tmp_path: Path, collector: Collector) -> None:
    """Each worker exports its own spans, also of WebSockets, and the last ones when it stops."""
    settings = {**BUNDLED_SOURCES, **collector.environment, "WORKERS": "2", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running_server(tmp_path, **settings) as server:

        def has_both() -> bool:
            server.query(QUERY)
            pids = {span.resource["process.pid"] for span in collector.spans if span.name == "query"}
            return len(pids) == 2

        wait_until(has_both, poll_interval=0.05)
        collector.spans.clear()
        async with websocket_client(server, traceparent=TRACEPARENT) as client:
            await client.execute("query Socket { __typename }")
            await client.subscribe("subscription { refreshProgress { phase } }", "2")
            await client.execute("{ __typename }", "3")
            result = server.stop(signal.SIGTERM)
    assert result.exit_code == 0
    assert "Traceback" not in result.stderr
    spans = [span for span in collector.spans if span.trace_id == TRACE_ID]
    assert {(span.kind, span.parent_id) for span in spans} == {("SERVER", PARENT_ID)}
    assert [(span.name, span.attributes.get("graphql.operation.name")) for span in spans] == [
        ("query", "Socket"),
        ("subscription", None),
        ("query", None),
    ]


@pytest.mark.slow
def test_silent_collector(tmp_path: Path) -> None:
    """A collector that never responds delays no request; the server stops without it, and says so."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        running_server(
            tmp_path, **BUNDLED_SOURCES, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{listener.getsockname()[1]}"
        ) as server,
    ):
        assert server.query(QUERY)["data"]
        result = server.stop(signal.SIGTERM)
    assert result.exit_code == 0
    assert "WARNING The collector of OTEL_EXPORTER_OTLP_ENDPOINT did not take the last spans in time." in result.stderr
    assert "Traceback" not in result.stderr


def test_refused_start(path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server, and every command that records spans, refuses to start with a protocol that is not supported."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    for build in (create_app, Components):
        with pytest.raises(InvalidSetting, match="OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'"):
            build(make_settings(path, upstream))


async def test_internal_error(
    traced: Collector, path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect is a failed span with its type and the status of the response; two traces of a client are none."""

    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("s3cret")

    async with running_client(make_settings(path, upstream)) as server:
        monkeypatch.setattr(endpoint, "execute", fail)
        response = await server.client.post(
            "/graphql", json={"query": QUERY}, headers=[("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)]
        )
        assert response.status_code == 500
    [span] = [span for span in traced.spans if span.kind == "SERVER"]
    assert (span.is_error, span.attributes["error.type"], span.parent_id) == (True, "ZeroDivisionError", "")
    assert "s3cret" not in str(span)


@pytest.mark.slow
def test_migrate_without_extra(tmp_path: Path) -> None:
    """A command that records nothing needs no extra, whatever the variables."""
    command = [sys.executable, "-X", "importtime", "-m", "graphql_api", "migrate"]
    variables = build_environment({ENDPOINT: "http://127.0.0.1:1"})
    with running_process(command, tmp_path, variables) as process:
        assert process.wait().exit_code == 0
        assert "sqlalchemy" in process.stderr
        assert "opentelemetry" not in process.stderr
