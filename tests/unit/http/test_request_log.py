"""The log of a real server: one line an event, with its fields, whatever clients send."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support import http_client
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import open_connection, request_head

REQUEST_FIELDS = {
    *("time", "level", "logger", "message"),
    *("request_id", "client", "method", "path", "kind", "operation"),
    *("status", "bytes", "duration_ms"),
}
"""The fields of a line about a request."""
NAMES = ["a\nb", "\r\n{}", "\"'\\", "\x1b[31m\x00\x7f", "\u2028\u2029", "\ud83c", "é" * 10_000, "%s%n"]
SECRET = "hunter2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server that logs everything, as JSON."""
    variables = {**BUNDLED_SOURCES, "LOG_FORMAT": "json", "LOG_SQL": "true", "ACCESS_LOG": "true"}
    with running_server(tmp_path_factory.mktemp("logging"), **variables) as process:
        process.wait_for_log("Refresh .* [1-9]\\d* unchanged")
        yield process


def post(server: Process, content: object, **headers: str) -> httpx.Response:
    """POST JSON to /graphql, with lone surrogates as JSON writes them."""
    return http_client.post(
        f"{server.url}/graphql?q={SECRET}",
        content=json.dumps(content),
        headers={"Content-Type": "application/json", **headers},
    )


def read_log(server: Process) -> list[dict[str, Any]]:
    """Return every line of the log so far."""
    return [json.loads(line) for line in server.stderr.split("\n")[:-1]]


def find_request_line(server: Process, response: httpx.Response, *more_fields: str) -> dict[str, Any]:
    """Return the log line about the request with this response, which has `more_fields` than others."""
    request_id = response.headers["X-Request-Id"]
    [line] = [entry for entry in read_log(server) if set(entry) >= REQUEST_FIELDS and entry["request_id"] == request_id]
    assert set(line) == {*REQUEST_FIELDS, *more_fields}
    return line


def test_request(server: Process) -> None:
    """A request is one line: client, operation, name, status, duration and size."""
    document = "query Small($code: String) { country(code: $code) { name } }"
    for _ in range(2):  # the second one is answered as the first was
        response = post(server, {"query": document, "variables": {"code": "FR"}})
        line = find_request_line(server, response)
        assert line["duration_ms"] > 0
        assert {
            "level": "info",
            "logger": "graphql_api.http.request_log",
            "client": "127.0.0.1",
            "method": "POST",
            "path": "/graphql",
            "kind": "query",
            "operation": "Small",
            "status": 200,
            "bytes": len(response.content),
        }.items() <= line.items()
        assert response.json() == {"data": {"country": {"name": "France"}}}


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names(server: Process, name: str) -> None:
    """A hostile operation name is one field of one line, truncated if it is long."""
    response = post(server, {"query": "query A { __typename }", "operationName": name})
    line = find_request_line(server, response, "codes")
    expected = name if len(name) <= 100 else f"{name[:100]}…"
    assert (line["kind"], line["operation"], line["status"]) == ("none", expected, 200)


def test_hostile_path(server: Process) -> None:
    """A hostile path is one field of one line, without the query string."""
    with open_connection(server) as connection:
        connection.send(request_head(f"GET /%0a%1b%ff{'x' * 1000}?token={SECRET}"))
        request_id = connection.read_response("GET").headers["X-Request-Id"]
    [line] = [entry for entry in read_log(server) if entry.get("request_id") == request_id]
    assert (line["path"], line["status"]) == (f"/\n\x1b\ufffd{'x' * 96}…", 404)


def test_hostile_address(server: Process) -> None:
    """Text that a trusted proxy forwards in place of an address is ignored."""
    with open_connection(server) as connection:
        connection.send(request_head("GET /healthz", **{"X-Forwarded-For": "a\x85" + "x" * 1000}))
        request_id = connection.read_response("GET").headers["X-Request-Id"]
    [line] = [entry for entry in read_log(server) if entry.get("request_id") == request_id]
    assert line["client"] == "127.0.0.1"


def test_refusals(server: Process) -> None:
    """A request rejected before GraphQL is logged with its id and status."""
    response = post(server, 7)
    request_id = response.headers["X-Request-Id"]
    [refusal, _] = [entry for entry in read_log(server) if entry.get("request_id") == request_id]
    assert (refusal["level"], refusal["status"]) == ("info", 400)
    assert refusal["message"].startswith(f"Request {request_id} from 127.0.0.1 is refused, 400: A request must be")


def test_error_codes(server: Process) -> None:
    """The codes of a response's errors are in its line, each once, though its status is 200."""
    document = 'mutation A { a: deleteCountry(code: "ZZ") { id } b: deleteCountry(code: "YY") { id } }'
    line = find_request_line(server, post(server, {"query": document}), "codes")
    assert (line["level"], line["status"], line["codes"]) == ("info", 200, ["COUNTRY_NOT_FOUND"])
    assert ": POST /graphql, mutation A with COUNTRY_NOT_FOUND, status 200, " in line["message"]
    line = find_request_line(server, post(server, {"query": "{ nothing }"}), "codes")
    assert (line["status"], line["codes"]) == (200, ["GRAPHQL_VALIDATION_FAILED"])


def test_ids_of_others(server: Process) -> None:
    """The id that a request brings and the id of its trace are in its line, and the trace in that of its refresh."""
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"X-Request-Id": "of-the-proxy", "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    response = post(server, {"query": "mutation { refreshCountries { id } }"}, **headers)
    assert response.headers["X-Request-Id"] == "of-the-proxy"
    assert find_request_line(server, response, "trace_id")["trace_id"] == trace_id
    refresh_id = response.json()["data"]["refreshCountries"]["id"]
    [line] = [entry for entry in read_log(server) if entry.get("refresh") == refresh_id]
    assert (line["trace_id"], line["request_id"]) == (trace_id, "of-the-proxy")
    assert len([entry for entry in read_log(server) if "total_ms" in entry and "trace_id" in entry]) == 1


def test_acts(server: Process) -> None:
    """Deletions and refreshes on request are a line each, with client and request id; failed ones are none."""
    deletion = 'deleteCountry(code: "AQ") { id }'
    mutations = (deletion, deletion, "refreshCountries(force: true) { id }")
    responses = [post(server, {"query": f"mutation {{ {mutation} }}"}) for mutation in mutations]
    ids = [response.headers["X-Request-Id"] for response in responses]
    lines = [entry for entry in read_log(server) if "act" in entry and entry["request_id"] in ids]
    assert [(line["request_id"], line["client"], line["act"], line["message"]) for line in lines] == [
        (request_id, "127.0.0.1", act, f"Request {request_id} from 127.0.0.1 {description}.")
        for request_id, act, description in (
            (ids[0], "deleteCountry", "has deleted Antarctica (AQ)"),
            (ids[2], "refreshCountries", "requests a refresh of all sources"),
        )
    ]


def test_refresh(server: Process) -> None:
    """A refresh is one line with each of its phases."""
    refresh_line = next(line for line in read_log(server) if "total_ms" in line)
    assert (refresh_line["trigger"], refresh_line["countries"], refresh_line["inserted"]) == ("start", 250, 250)
    assert refresh_line["providers"] == {"countries": "bundled", "rates": "bundled", "statistics": "bundled"}
    assert refresh_line["revision"] == 1
    phases = ("fetch_countries", "fetch_rates", "fetch_statistics", "fetch", "transform", "upsert", "image", "total")
    assert all(refresh_line[f"{phase}_ms"] > 0 for phase in phases)


def test_statements(server: Process) -> None:
    """Each statement is one line with its duration, the upsert once a refresh, without values."""
    entries = read_log(server)
    statements = [entry for entry in entries if entry["logger"] == "graphql_api.storage.sql_logging"]
    assert [entry for entry in statements if not entry["duration_ms"] >= 0] == []
    upserts = [entry for entry in statements if "INSERT INTO countries" in entry["message"]]
    refreshes = [entry for entry in entries if "total_ms" in entry]
    assert len(upserts) == len(refreshes) >= 2
    text = upserts[0]["message"]
    assert "VALUES (?, ?, " in text
    assert "\n" not in text
    assert "France" not in json.dumps(statements)


def test_secrets(server: Process) -> None:
    """The log contains neither query strings nor variables."""
    post(server, {"query": "query($a: String) { country(code: $a) { id } }", "variables": {"a": SECRET}})
    assert SECRET not in server.stderr
