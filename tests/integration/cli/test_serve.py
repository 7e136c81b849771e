"""`graphql-api serve` over real sockets: start, restart, shutdown, production, wrong settings."""

import json
import re
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from graphql_api import __version__
from tests.support import http_client
from tests.support.fake_providers.server import FakeResponse, Upstream
from tests.support.image_urls import without_digest
from tests.support.processes import (
    BUNDLED_SOURCES,
    UNREACHABLE_SOURCES,
    CommandResult,
    Process,
    list_paths,
    run_forked,
    running_command,
    running_server,
    wait_for_port,
    wait_until_ready,
)
from tests.support.server import NEEDS_IPV6, free_port
from tests.support.server_log import (
    FILLED,
    GREETING,
    MIGRATED,
    NEEDLESS_CORRECTIONS,
    NO_DATABASE,
    REQUESTED,
    mask_log,
    refresh_line,
    stopping_line,
)
from tests.support.wait import WAIT_TIMEOUT

HANGING = FakeResponse(hold_until=threading.Event().is_set)
TOKEN = "hunter2-hunter2-hunter2"
REFRESH = "mutation { refreshCountries { totalCountries inserted updated unchanged } }"
STATUS = "{ status { version totalCountries refreshing } }"
CAPITAL = '{ country(name: "brazil") { code capital } }'
BRASILIA = {"data": {"country": {"code": "BR", "capital": "Brasilia"}}}
STOPPING_RESPONSE = (
    503,
    "1",
    {"errors": [{"message": "The server is stopping; try again.", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]},
)
"""Status, Retry-After and body of a request that the shutdown interrupts."""
REFUSAL_LINE = "TIME INFO    Request ID from 127.0.0.1 is refused, 503: The server is stopping; try again.\n"
KNOWN_PROVIDERS = "bundled, geonames, restcountries, restcountries-v3"
UNANSWERED = "the server refuses connections"


@pytest.fixture
def unhurried_settings(upstream: Upstream) -> dict[str, str]:
    """Return settings with `upstream` as the provider, and timeouts that never expire."""
    return {**upstream.environment, "API_TIMEOUT": "1000", "REFRESH_TIMEOUT": "1000"}


@pytest.fixture(scope="module")
def offline_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server in an empty folder with unreachable providers, for tests that only read."""
    with running_server(tmp_path_factory.mktemp("fresh"), **UNREACHABLE_SOURCES) as server:
        server.wait_for_log(re.escape("(Ctrl-C stops)"))
        yield server


def test_first_start(offline_server: Process) -> None:
    """A first start migrates, fills, logs the providers' failures once, and last of all what to know of the server."""
    retried = refresh_line(
        "0 new, 0 changed, 250 unchanged",
        "countries from bundled, rates from bundled, statistics from bundled",
        warning="Live sources failed. "
        f"Countries: the bundled data still serves (geonames: {UNANSWERED}). "
        f"Rates: the bundled data of 2026-09-29 still serves (er-api: {UNANSWERED}). "
        f"Statistics: the bundled data of 2024-10-24 still serves (world-bank: {UNANSWERED}). ",
    )
    lines = mask_log(offline_server.stderr).splitlines(keepends=True)
    assert lines == [MIGRATED, FILLED, retried, GREETING]
    assert offline_server.stdout == ""


def test_health(offline_server: Process) -> None:
    """/healthz and /readyz report a server that is ready with 250 countries."""
    live, ready = offline_server.get("/healthz"), offline_server.get("/readyz")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "countries": 250, "version": "2-250", "database": "ok"},
    )


def test_query(offline_server: Process) -> None:
    """A query over HTTP returns its data."""
    assert offline_server.query(CAPITAL) == BRASILIA


def test_playground(offline_server: Process) -> None:
    """The playground is at the logged URL, and image URLs start with the requested address."""
    page = offline_server.get("/graphql", Accept="text/html")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    image_url = offline_server.query("{ status { imageUrl } }")["data"]["status"]["imageUrl"]
    assert without_digest(image_url) == f"{offline_server.url}/images/summary-2-250.png"


@pytest.mark.slow
def test_live_refresh_and_restart(tmp_path: Path, unhurried_settings: dict[str, str]) -> None:
    """A first start refreshes from live providers; the next one loads that data, and no more."""
    with running_server(tmp_path, **unhurried_settings) as server:
        server.wait_for_log("countries from geonames")
        assert server.query(REFRESH) == {
            "data": {"refreshCountries": {"totalCountries": 250, "inserted": 0, "updated": 0, "unchanged": 250}}
        }
        status = server.query(STATUS)
        first_result = server.stop(signal.SIGINT)
    sources = "countries from geonames, rates from er-api, statistics from world-bank"
    assert (first_result.exit_code, first_result.stdout) == (0, "")
    assert mask_log(first_result.stderr).splitlines(keepends=True) == [
        MIGRATED,
        FILLED,
        NEEDLESS_CORRECTIONS,
        refresh_line("0 new, 250 changed, 0 unchanged", sources),
        GREETING,
        REQUESTED,
        refresh_line("0 new, 0 changed, 250 unchanged", sources),
        stopping_line(signal.SIGINT),
    ]
    with running_server(tmp_path, **unhurried_settings) as server:
        assert server.query(STATUS) == status
        second_result = server.stop(signal.SIGTERM)
    assert status == {"data": {"status": {"version": "3-250", "totalCountries": 250, "refreshing": False}}}
    assert second_result._replace(stderr=mask_log(second_result.stderr)) == CommandResult(
        0, "", GREETING + stopping_line(signal.SIGTERM)
    )


@contextmanager
def open_request(server: Process, query: str, *, body_size: int | None = None) -> Iterator[HTTPConnection]:
    """Open a connection and send a query, or only the first `body_size` bytes of its body."""
    body = json.dumps({"query": query}).encode()
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=WAIT_TIMEOUT)) as connection:
        connection.putrequest("POST", "/graphql")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        # The server sends this when it waits for the body.
        assert connection.sock.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(body[:body_size])
        yield connection


def read_response(connection: HTTPConnection) -> tuple[int, str | None, object]:
    """Return status, Retry-After and JSON body of the response."""
    with HTTPResponse(connection.sock, method="POST") as response:
        response.begin()
        return response.status, response.getheader("Retry-After"), json.load(response)


@pytest.mark.slow
def test_shutdown_is_bounded(tmp_path: Path, upstream: Upstream, unhurried_settings: dict[str, str]) -> None:
    """SIGINT and SIGTERM end a server despite an incomplete body and a hanging provider."""
    upstream.set_responses("countries", HANGING)
    signals = (signal.SIGINT, signal.SIGTERM)
    folders = [tmp_path / signum.name for signum in signals]
    with ExitStack() as stack:
        for folder in folders:
            folder.mkdir()
        servers = [stack.enter_context(running_server(folder, **unhurried_settings)) for folder in folders]
        upstream.wait_for_requests("countries", len(servers))
        connections = [stack.enter_context(open_request(server, CAPITAL, body_size=9)) for server in servers]
        for server, signum in zip(servers, signals, strict=True):
            server.send_signal(signum)
        results = [server.wait() for server in servers]
        responses = [read_response(connection) for connection in connections]
    assert [result._replace(stderr=mask_log(result.stderr)) for result in results] == [
        CommandResult(0, "", MIGRATED + FILLED + GREETING + stopping_line(signum) + REFUSAL_LINE) for signum in signals
    ]
    assert responses == [STOPPING_RESPONSE] * 2


@pytest.mark.slow
def test_second_signal_ends_at_once(tmp_path: Path, upstream: Upstream, unhurried_settings: dict[str, str]) -> None:
    """A second signal ends the server at once; a caller that waits for a refresh gets 503."""
    upstream.set_responses("countries", HANGING)
    with running_server(tmp_path, **unhurried_settings) as server, open_request(server, REFRESH) as connection:
        upstream.wait_for_requests("countries")
        # The refresh that asks for them may be the server's own.
        server.wait_for_log("requests a refresh")
        server.send_signal(signal.SIGINT)
        wait_for_port(server.port, listening=False)
        result = server.stop(signal.SIGINT)
        assert read_response(connection) == STOPPING_RESPONSE
    log = MIGRATED + FILLED + GREETING + REQUESTED + stopping_line(signal.SIGINT)
    assert result._replace(stderr=mask_log(result.stderr)) == CommandResult(0, "", log)
    assert stored_revisions(tmp_path / "var" / "countries.db") == {(1, "bundled")}


def stored_revisions(path: Path) -> set[tuple[int, str]]:
    """Return the distinct revisions and providers of the stored rows."""
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT revision, countries_provider FROM countries"))


def test_env_file_and_silence(tmp_path: Path) -> None:
    """`serve` reads .env, accepts unusual paths, and logs nothing at LOG_LEVEL=warning."""
    folder = tmp_path / "100% mine"
    folder.mkdir()
    port = free_port()
    database = {"DATABASE_URL": "sqlite:///my data/50%25 %d.db"}
    settings = {**BUNDLED_SOURCES, **database, "PORT": str(port), "LOG_LEVEL": "warning"}
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    (folder / ".env").write_text("".join(lines))
    with running_command(folder, "serve") as server:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url)
        query = {"query": REFRESH}
        response = http_client.post(f"{url}/graphql", json=query)
        assert response.json()["data"]["refreshCountries"]["totalCountries"] == 250
        result = server.stop(signal.SIGINT)
        assert result._replace(stderr=mask_log(result.stderr)) == CommandResult(0, "", "")
    assert list_paths(folder) == [".env", "my data", "my data/50% %d.db"]


PRODUCTION = {
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://countries.example.org",
    "DATABASE_URL": "sqlite:///var/countries.db",
}
TO_PRODUCTION = (
    f"graphql-api {__version__} serves https://countries.example.org, listening at http://HERE, "
    "database sqlite:///var/countries.db (Ctrl-C stops)"
)


@pytest.mark.slow
def test_production(tmp_path: Path) -> None:
    """Production has no playground, and without INTROSPECTION no schema, and mutations require the token."""
    variables = {**BUNDLED_SOURCES, **PRODUCTION, "ADMIN_TOKEN": TOKEN, "ACCESS_LOG": "true", "INTROSPECTION": "false"}
    with running_server(tmp_path, **variables) as server:
        assert server.get("/graphql", Accept="text/html").status_code == 406
        assert server.get("/schema.graphql").status_code == 404
        assert server.query("{ __schema { queryType { name } } }").keys() == {"errors"}
        denied = server.query(REFRESH, Authorization="Bearer wrong")
        assert denied["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        allowed = server.query(REFRESH, Authorization=f"Bearer {TOKEN}")
        assert allowed["data"]["refreshCountries"]["totalCountries"] == 250
        result = server.stop(signal.SIGTERM)
    expected_requests = [
        ("GET", "/graphql", "none", 406),
        ("GET", "/schema.graphql", "none", 404),
        ("POST", "/graphql", "query", 200),
        *[("POST", "/graphql", "mutation", 200)] * 2,
    ]
    log_entries = [json.loads(line) for line in result.stderr.splitlines()]
    assert (result.exit_code, result.stdout) == (0, "")
    assert TO_PRODUCTION in [mask_log(line["message"]) for line in log_entries]
    logged_requests = [
        (line["method"], line["path"], line["kind"], line["status"]) for line in log_entries if "method" in line
    ]
    assert logged_requests == expected_requests
    assert TOKEN not in result.stderr


GENERATE = "Generate one: ADMIN_TOKEN=$(openssl rand -hex 24)"
NEEDS_TOKEN = (
    "ADMIN_TOKEN is required {}; without it, any client that reaches the server can refresh and delete. " + GENERATE
)
SHORT_TOKEN = "ADMIN_TOKEN is too short; it needs at least 16 characters {}. " + GENERATE
EXPOSED = "because HOST 0.0.0.0 is not a loopback address"
NO_ADDRESS = (
    "is not an address of this machine. Set HOST to one, for example 127.0.0.1; "
    "conda and tcsh set it to something else."
)

NEEDS_URL = (
    "PUBLIC_URL is required in production, because absolute URLs start with it. "
    "Set it, for example to https://countries.example.org."
)
NEEDS_DATABASE = (
    "DATABASE_URL is required in production. Set it, for example to mysql://user:password@host:3306/database, "
    "or to sqlite:///var/countries.db for a file."
)
NOT_KNOWN = (
    "DATABASE_URL names 'oracle'; give sqlite, mysql, mariadb or postgresql, for example "
    "sqlite:///var/countries.db or mysql://user:password@host:3306/database."
)
NO_FOLDER = "Cannot create the folder diary for the database (File exists); set DATABASE_URL to a writable path."


@pytest.mark.parametrize(
    ("variables", "code", "message"),
    [
        ({"PORT": "http"}, 2, "PORT: Input should be a valid integer, unable to parse string as an integer"),
        ({"PORT": "70000"}, 2, "PORT: Input should be less than or equal to 65535"),
        ({"HOST": "0.0.0.0"}, 2, NEEDS_TOKEN.format(EXPOSED)),  # noqa: S104 - refused
        ({"HOST": "0.0.0.0", "ADMIN_TOKEN": "a"}, 2, SHORT_TOKEN.format(EXPOSED)),  # noqa: S104 - refused
        ({"ENVIRONMENT": "production"}, 2, f"{NEEDS_TOKEN.format('in production')} {NEEDS_URL} {NEEDS_DATABASE}"),
        ({**PRODUCTION, "ADMIN_TOKEN": "a"}, 2, SHORT_TOKEN.format("in production")),
        # .invalid and 192.0.2.0/24 are reserved, so no machine has them.
        ({"HOST": "x86_64-conda-linux-gnu"}, 2, f"HOST x86_64-conda-linux-gnu {NO_ADDRESS}"),
        ({"HOST": "nowhere.invalid", "ADMIN_TOKEN": TOKEN}, 2, f"HOST nowhere.invalid {NO_ADDRESS}"),
        ({"HOST": "192.0.2.1", "ADMIN_TOKEN": TOKEN}, 2, f"HOST 192.0.2.1 {NO_ADDRESS}"),
        ({"HOST": "x" * 64, "ADMIN_TOKEN": TOKEN}, 2, f"HOST {'x' * 64} {NO_ADDRESS}"),
        (
            {"COUNTRIES_SOURCES": "wikipedia,bundled"},
            2,
            f"COUNTRIES_SOURCES names 'wikipedia', which is not one of {KNOWN_PROVIDERS}.",
        ),
        ({"QUERY_LIMITS": "depth=101"}, 2, "QUERY_LIMITS: depth can be at most 100."),
        ({"DATABASE_URL": f"oracle://root:{TOKEN}@127.0.0.1/countries"}, 2, NOT_KNOWN),
        ({"DATABASE_URL": "sqlite:///diary/countries.db"}, 1, NO_FOLDER),
        ({"DATABASE_URL": "sqlite:///diary"}, 1, NO_DATABASE),
    ],
)
def test_wrong_setting(tmp_path: Path, variables: dict[str, str], code: int, message: str) -> None:
    """A wrong setting ends `serve` with one line that names it; no file is created or changed."""
    (tmp_path / "diary").write_text("Dear diary,\n" * 100)
    result = run_forked(tmp_path, "serve", **{**BUNDLED_SOURCES, "PORT": "0", **variables})
    assert result == CommandResult(code, "", f"graphql-api: {message}\n")
    assert list_paths(tmp_path) == ["diary"]
    assert (tmp_path / "diary").read_text() == "Dear diary,\n" * 100


@pytest.mark.slow
@NEEDS_IPV6
@pytest.mark.parametrize("workers", ["1", "2"])
def test_dual_stack(tmp_path: Path, workers: str) -> None:
    """With HOST=:: a server is reached on one port over IPv4 and IPv6, and IPv4 proxies are trusted by address."""
    variables = {**BUNDLED_SOURCES, "HOST": "::", "ADMIN_TOKEN": TOKEN, "WORKERS": workers}
    with running_server(tmp_path, **variables) as server:
        port = server.port
        addresses = f"listening at http://0.0.0.0:{port} and http://[::]:{port}"
        server.wait_for_log(
            rf"serves http://127\.0\.0\.1:{port}, {re.escape(addresses)}, "
            rf"playground http://127\.0\.0\.1:{port}/graphql, "
        )
        for host in ("127.0.0.1", "[::1]"):
            for _ in range(4):
                health = http_client.get(f"http://{host}:{port}/healthz")
                assert health.status_code == 200
        image = server.query("{ status { imageUrl } }", **{"X-Forwarded-Proto": "https"})
        assert image["data"]["status"]["imageUrl"].startswith(f"https://127.0.0.1:{port}/")
        assert server.stop(signal.SIGTERM).exit_code == 0
    wait_for_port(port, listening=False)


def test_port_is_taken(tmp_path: Path) -> None:
    """A port that is in use ends `serve` before any file is created."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        result = run_forked(tmp_path, "serve", **BUNDLED_SOURCES, PORT=str(port))
    assert result == CommandResult(
        2,
        "",
        f"graphql-api: Cannot listen on PORT {port} of HOST 127.0.0.1: "
        "Address already in use. Set PORT to a free one, for example 8001.\n",
    )
    assert list_paths(tmp_path) == []
