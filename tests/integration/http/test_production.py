"""A server in production, from outside: what it rejects, what it hides, which pages may use it."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import build_client_schema, build_schema, get_introspection_query, lexicographic_sort_schema, print_schema

from tests.support.fake_providers.server import FakeResponse, Upstream
from tests.support.processes import BUNDLED_SOURCES, Process, run_command, running_server
from tests.support.raw_http import QUERY, RawResponse, open_connection, request_head
from tests.support.ws_client import websocket_client

TOKEN = "t0ken-SECRET-t0ken"
API_KEY = "k3y-SECRET-k3y"
PASSWORD = "p4ss-SECRET-p4ss"
ORIGIN = "https://app.example"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://countries.example",
    "ADMIN_TOKEN": TOKEN,
    "DATABASE_URL": "sqlite:///var/countries.db",
}
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server in production that fetches nothing and allows one other origin."""
    folder = tmp_path_factory.mktemp("production")
    variables = {**BUNDLED_SOURCES, **PRODUCTION, "CORS_ORIGINS": ORIGIN, "FORWARDED_ALLOW_IPS": "192.0.2.1"}
    with running_server(folder, **variables, ACCESS_LOG="true") as process:
        process.wait_for_log("250 unchanged")  # after its first start it refreshes
        yield process


def get(server: Process, path: str, **headers: str) -> RawResponse:
    """GET a path with these headers."""
    with open_connection(server) as connection:
        connection.send(request_head(f"GET {path}", **headers))
        return connection.read_response("GET")


def post(server: Process, query: str, **headers: str) -> RawResponse:
    """POST a query with these headers."""
    with open_connection(server) as connection:
        return connection.post(json.dumps({"query": query}).encode(), **headers)


PATHS = ["/", "/graphql", "/schema.graphql", "/healthz", "/readyz", "/images/summary.png", "/none"]


@pytest.mark.parametrize("path", PATHS)
def test_headers(server: Process, path: str) -> None:
    """Every response has an id and the security headers, and none names the software."""
    headers = get(server, path).headers
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-Id"])
    assert "Server" not in headers
    assert "X-Powered-By" not in headers
    actual = {name: headers[name] for name in SECURITY_HEADERS}
    if path == "/":
        assert actual.pop("Content-Security-Policy").startswith("default-src 'none'; script-src 'self';")
    assert {**SECURITY_HEADERS, **actual} == SECURITY_HEADERS


def test_page_keeps_its_own_policy(server: Process) -> None:
    """The landing page allows its own style, script and image, all of them files; the data in it is no script."""
    page = get(server, "/")
    policy = page.headers["Content-Security-Policy"]
    assert "; script-src 'self'; style-src 'self'; img-src 'self';" in policy
    scripts = page.body.count(b'<script type="module" src="./static/')
    assert page.body.count(b"<script") == scripts + page.body.count(b'<script type="application/ld+json">')
    assert scripts == 2


def test_introspection(server: Process) -> None:
    """Code generators get the schema, by introspection and as text, and a wrong name gets suggestions."""
    schema = get(server, "/schema.graphql").body.decode()
    introspection = post(server, get_introspection_query(specified_by_url=True)).json["data"]
    by_introspection, by_text = build_client_schema(introspection), build_schema(schema)
    assert print_schema(lexicographic_sort_schema(by_introspection)) == print_schema(lexicographic_sort_schema(by_text))
    assert "Did you mean 'countries'" in post(server, "{ countris { totalCount } }").json["errors"][0]["message"]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
def test_mutations_need_the_token(server: Process, authorization: str) -> None:
    """Without the token nothing is fetched, written or deleted."""
    before = server.get("/readyz").json(), server.stderr.count("Refresh ")
    for mutation in ("refreshCountries { id }", 'deleteCountry(code: "FR") { id }'):
        response = post(server, f"mutation {{ {mutation} }}", Authorization=authorization)
        [error] = response.json["errors"]
        assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert (server.get("/readyz").json(), server.stderr.count("Refresh ")) == before


def test_refresh_without_the_token_asks_nobody(tmp_path: Path, upstream: Upstream) -> None:
    """A rejected refresh does not reach the providers."""
    with running_server(tmp_path, **PRODUCTION, **upstream.environment) as server:
        server.wait_for_log("countries from geonames")
        request_count = len(upstream.requests)
        for _ in range(5):
            post(server, "mutation { refreshCountries { id } }", Authorization="Bearer wrong")
        assert len(upstream.requests) == request_count


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain", 415),
        ("text/plain\r\nContent-Type: application/json", 415),
        ("application/json\r\nContent-Type: text/plain", 415),
        ("application/json", 200),
    ],
)
def test_only_json(server: Process, content_type: str, status: int) -> None:
    """Requests that other sites' pages can send without a preflight are rejected."""
    with open_connection(server) as connection:
        assert connection.post(QUERY, Content_Type=content_type).status == status


def preflight(server: Process, origin: str, header_names: str = "authorization,content-type") -> RawResponse:
    """Send the preflight of a page that wants to send JSON with a token."""
    headers = {
        "Origin": origin,
        "Access_Control_Request_Method": "POST",
        "Access_Control_Request_Headers": header_names,
    }
    with open_connection(server) as connection:
        connection.send(request_head("OPTIONS /graphql", **headers))
        return connection.read_response("OPTIONS")


def test_cors(server: Process) -> None:
    """Pages of the configured origins may send requests, without credentials; others may not."""
    allowed = preflight(server, ORIGIN)
    assert allowed.status == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
    response = post(server, "{ __typename }", Origin=ORIGIN)
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Origin" in response.headers["Vary"]
    for origin in ("https://evil.example", "https://app.example.evil.example", "null", "http://app.example"):
        refused = preflight(server, origin)
        assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (400, None)
        assert post(server, "{ __typename }", Origin=origin).headers["Access-Control-Allow-Origin"] is None
    assert allowed.headers["Access-Control-Allow-Credentials"] is None
    assert response.headers["Access-Control-Allow-Credentials"] is None


@pytest.mark.parametrize(
    "names",
    ["content-type", "baggage, sentry-trace, traceparent", "apollo-require-preflight", "content-type,x-anything"],
)
def test_headers_of_clients(server: Process, names: str) -> None:
    """A page of an allowed origin may send any header, never with credentials; another page none."""
    allowed = preflight(server, ORIGIN, names)
    assert (allowed.status, allowed.headers["Access-Control-Allow-Headers"]) == (200, names)
    assert allowed.headers["Access-Control-Allow-Credentials"] is None
    refused = preflight(server, "https://evil.example", names)
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (400, None)


@pytest.mark.parametrize("path", ["/graphql", "/graphql?query={countries{totalCount}}", "/readyz", "/none"])
def test_exposed_headers(server: Process, path: str) -> None:
    """A page may read the id, the ETag, and when to retry, also of errors."""
    response = get(server, path, Origin=ORIGIN)
    assert (
        response.headers["Access-Control-Expose-Headers"]
        == "ETag, RateLimit, RateLimit-Policy, Retry-After, Server-Timing, X-Request-Id"
    )


def test_cors_for_all(tmp_path: Path) -> None:
    """`*` allows every page, without credentials."""
    with running_server(tmp_path, **BUNDLED_SOURCES, CORS_ORIGINS="*") as server:
        for response in (preflight(server, ORIGIN), post(server, "{ __typename }", Origin=ORIGIN)):
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.headers["Access-Control-Allow-Credentials"] is None


FORGED_HEADERS = {
    "Host": "evil.example",
    "X_Forwarded_Host": "evil.example",
    "X_Forwarded_Proto": "gopher",
    "X_Forwarded_For": "198.51.100.7",
    "Forwarded": "host=evil.example;for=198.51.100.7",
}


def test_forged_headers(server: Process) -> None:
    """URLs start with PUBLIC_URL, and the log has the true peer, whatever a client sends."""
    response = post(server, "{ status { imageUrl } }", **FORGED_HEADERS)
    url = response.json["data"]["status"]["imageUrl"]
    assert url.startswith("https://countries.example/images/summary-")
    assert "198.51.100.7" not in server.stderr


@pytest.fixture(scope="module")
def proxied_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server in development, which trusts proxies at 127.0.0.1."""
    with running_server(tmp_path_factory.mktemp("proxied"), **BUNDLED_SOURCES, ACCESS_LOG="true") as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"X_Forwarded_Proto": "https, http", "X_Forwarded_Host": "countries.example"}, "https://countries.example"),
        ({"X_Forwarded_Proto": "https", "X_Forwarded_Host": "a.example:8443, b"}, "https://a.example:8443"),
        ({"X_Forwarded_Proto": "HTTPS", "X_Forwarded_Host": "[2001:db8::1]:8443"}, "https://[2001:db8::1]:8443"),
        ({"X_Forwarded_Proto": "https"}, "https://localhost"),
        ({"X_Forwarded_Host": "countries.example"}, "http://countries.example"),
        ({"X_Forwarded_Proto": "gopher", "X_Forwarded_Host": "evil.example/path?"}, "http://localhost"),
        ({"X_Forwarded_Proto": "", "X_Forwarded_Host": ""}, "http://localhost"),
        ({"Forwarded": "host=evil.example;proto=https"}, "http://localhost"),
        ({"Host": "[::1]:8000"}, "http://[::1]:8000"),
    ],
)
def test_trusted_proxy(proxied_server: Process, headers: dict[str, str], url: str) -> None:
    """URLs have the scheme and the host that a trusted proxy reports, if they are valid."""
    response = post(proxied_server, "{ status { imageUrl } }", **headers)
    assert response.json["data"]["status"]["imageUrl"].startswith(f"{url}/images/summary-")


def test_client_behind_a_trusted_proxy(proxied_server: Process) -> None:
    """The log has the client's address that a trusted proxy reports."""
    post(proxied_server, "{ __typename }", X_Forwarded_For="203.0.113.9, 198.51.100.8:1234")
    assert " from 198.51.100.8: POST /graphql" in proxied_server.stderr


async def test_websocket_behind_a_trusted_proxy(proxied_server: Process) -> None:
    """URLs of results over a WebSocket have the scheme and host that the proxy reports at the handshake."""
    host = "countries.example:8443"
    origin = f"https://{host}"
    async with websocket_client(
        proxied_server, origin=origin, X_Forwarded_Proto="https, http", X_Forwarded_Host=host
    ) as client:
        result = await client.execute("{ status { imageUrl } }")
    assert result["data"]["status"]["imageUrl"].startswith(f"{origin}/images/summary-")


def test_without_a_host(proxied_server: Process) -> None:
    """URLs of a request of HTTP/1.0 without Host have the address that it was sent to."""
    body = json.dumps({"query": "{ status { imageUrl } }"}).encode()
    head = f"POST /graphql HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with open_connection(proxied_server) as connection:
        connection.send(head.encode() + body)
        url = connection.read_response().json["data"]["status"]["imageUrl"]
    assert url.startswith(f"http://127.0.0.1:{proxied_server.port}/images/summary-")


@pytest.mark.slow
def test_untrusted_proxy(tmp_path: Path) -> None:
    """Without PUBLIC_URL, URLs have the Host of the request, whatever an untrusted client claims besides."""
    with running_server(tmp_path, **BUNDLED_SOURCES, FORWARDED_ALLOW_IPS="192.0.2.1", ACCESS_LOG="true") as server:
        forged = {**FORGED_HEADERS, "Host": "countries.example:1", "X_Forwarded_Proto": "https"}
        response = post(server, "{ status { imageUrl } }", **forged)
        assert " from 127.0.0.1: POST /graphql" in server.stderr
    assert response.json["data"]["status"]["imageUrl"].startswith("http://countries.example:1/images/summary-")


@pytest.mark.slow
def test_public_url_wins(tmp_path: Path) -> None:
    """URLs start with PUBLIC_URL, whatever a trusted proxy reports."""
    with running_server(tmp_path, **BUNDLED_SOURCES, PUBLIC_URL="https://countries.example/api") as server:
        response = post(server, "{ status { imageUrl } }", X_Forwarded_Host="proxy.example", X_Forwarded_Proto="http")
    assert response.json["data"]["status"]["imageUrl"].startswith("https://countries.example/api/images/summary-")


def collect_responses(server: Process) -> list[str]:
    """Return the server's responses to many requests, with and without the token."""
    refresh_mutation = "mutation { refreshCountries { sources { provider failures attribution } } }"
    status_query = "{ status { lastRefresh { sources { failures } } lastFailure { message } } }"
    queries: list[tuple[str, dict[str, str]]] = [
        (refresh_mutation, {"Authorization": f"Bearer {TOKEN}"}),
        (refresh_mutation, {"Authorization": f"Bearer {TOKEN}x"}),
        (refresh_mutation, {}),
        (status_query, {}),
        ("{ nothing }", {"Authorization": f"Bearer {TOKEN}"}),
        ("{", {"Authorization": f"Bearer {TOKEN}"}),
    ]
    responses: list[Any] = [post(server, query, **headers) for query, headers in queries]
    responses += [get(server, path, Authorization=f"Bearer {TOKEN}") for path in PATHS]
    return [str((response.status, response.headers.items(), response.body)) for response in responses]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["debug", "info"])
def test_secrets_are_never_told(tmp_path: Path, upstream: Upstream, level: str) -> None:
    """Neither the token nor a key is in any output or response, at any log level."""
    upstream.set_responses("countries", FakeResponse(status=500))
    upstream.set_responses("rates", FakeResponse(status=403))
    settings = {
        **PRODUCTION,
        "RESTCOUNTRIES_API_KEY": API_KEY,
        "COUNTRIES_SOURCES": f"restcountries={upstream.countries_url},"
        f"geonames={upstream.countries_url}?key={API_KEY},bundled",
        "RATES_SOURCES": f"er-api={upstream.rates_url}?key={API_KEY},bundled",
        "STATISTICS_SOURCES": f"world-bank={upstream.url}/nowhere?key={API_KEY},bundled",
    }
    with running_server(tmp_path, **settings, LOG_LEVEL=level, ACCESS_LOG="true") as server:
        server.wait_for_log('"warning".*countries from bundled')
        responses = collect_responses(server)
        result = server.stop(signal.SIGTERM)
    outputs = [result.stdout, result.stderr, *responses]
    assert "UNAUTHENTICATED" in "".join(responses)
    assert [text for text in outputs if "SECRET" in text] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "url", [f"oracle://root:{PASSWORD}@127.0.0.1:1/countries", f"mysql://root:{PASSWORD}@127.0.0.1:port/countries"]
)
def test_password_is_never_told(tmp_path: Path, url: str) -> None:
    """The error about an unusable database does not contain its password."""
    result = run_command(tmp_path, "serve", **BUNDLED_SOURCES, DATABASE_URL=url, LOG_LEVEL="debug")
    assert result.exit_code != 0
    assert "SECRET" not in result.stdout + result.stderr
