"""Pages of other origins during development: those of this computer may use the server, others may not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import RawResponse, open_connection, request_head
from tests.support.ws_client import open_websocket, websocket_client

TOKEN = "t0ken-t0ken-t0ken"
PAGES = ["http://localhost:5173", "http://127.0.0.1:3000", "https://localhost", "http://[::1]:8080"]
OTHER_PAGES = [
    "http://localhost.evil.example:5173",
    "http://evil.example",
    "http://127.0.0.1.evil.example",
    "http://localhost:5173@evil.example",
    "http://localhost:5173/",
    "http://127.0.0.2:3000",
    "null",
]
DELETION = 'mutation { deleteCountry(code: "ZZ") { code } }'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server as `make run` does, whose start-up refresh is over."""
    with running_server(tmp_path_factory.mktemp("development"), **BUNDLED_SOURCES) as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process


def preflight(server: Process, origin: str, method: str = "POST") -> RawResponse:
    """Send the preflight of a page that wants to send JSON with a token."""
    headers = {
        "Origin": origin,
        "Access_Control_Request_Method": method,
        "Access_Control_Request_Headers": "authorization,content-type",
    }
    with open_connection(server) as connection:
        connection.send(request_head("OPTIONS /graphql", **headers))
        return connection.read_response("OPTIONS")


def post(server: Process, document: str, **headers: str) -> RawResponse:
    """POST a document with these headers."""
    with open_connection(server) as connection:
        return connection.post(json.dumps({"query": document}).encode(), **headers)


def codes(response: RawResponse) -> list[str]:
    """Return the codes of the errors."""
    return [error["extensions"]["code"] for error in response.json["errors"]]


@pytest.mark.parametrize("origin", PAGES)
async def test_local_pages(server: Process, origin: str) -> None:
    """A page of this computer, on any port, may read, change and subscribe without a setting."""
    allowed = preflight(server, origin)
    assert (allowed.status, allowed.headers["Access-Control-Allow-Origin"]) == (200, origin)
    for document in ("{ __typename }", DELETION):
        response = post(server, document, Origin=origin)
        assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, origin)
        assert response.headers["Access-Control-Allow-Credentials"] is None
    assert codes(response) == ["COUNTRY_NOT_FOUND"]  # and not UNAUTHENTICATED
    with open_connection(server) as connection:  # a rejection by the server itself
        rejected = connection.post(b"{}", Origin=origin, Host="")
    assert (rejected.status, rejected.headers["Access-Control-Allow-Origin"]) == (400, origin)
    async with websocket_client(server, origin=origin) as client:
        assert await client.execute("{ __typename }") == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("origin", OTHER_PAGES)
async def test_other_pages(server: Process, origin: str) -> None:
    """Any other page is refused, and response and log name its origin and CORS_ORIGINS."""
    before = len(server.stderr)
    message = f"Pages of {origin} may not send requests here; CORS_ORIGINS names the origins whose pages may."
    refused = preflight(server, origin)
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (400, None)
    assert refused.json == {"errors": [{"message": message, "extensions": {"code": "BAD_USER_INPUT"}}]}
    assert post(server, "{ __typename }", Origin=origin).headers["Access-Control-Allow-Origin"] is None
    with pytest.raises(InvalidStatus):
        async with open_websocket(server, origin=origin):
            pass
    server.wait_for_log(f"is refused, 403: {re.escape(message)}")
    assert server.stderr[before:].count(message) == 3
    assert "405" not in server.stderr[before:]


def test_methods(server: Process) -> None:
    """The preflight of another method names those that pages may send."""
    refused = preflight(server, PAGES[0], "PUT")
    assert (refused.status, codes(refused)) == (400, ["BAD_USER_INPUT"])
    assert refused.json["errors"][0]["message"] == "Pages of other origins may send GET and POST only."


def test_own_page(server: Process) -> None:
    """The server's own page, whose POST has an Origin too, is not logged as another's."""
    before = len(server.stderr)
    own_origin = server.url.replace("127.0.0.1", "countries.localhost")
    assert post(server, "{ __typename }", Origin=own_origin, Host=own_origin.removeprefix("http://")).status == 200
    assert post(server, "{ __typename }", Origin="http://last.example").status == 200
    server.wait_for_log("last.example")
    assert own_origin not in server.stderr[before:]


@pytest.mark.slow
def test_token(tmp_path: Path) -> None:
    """If a token is set, a page of this computer changes data with it and not without."""
    with running_server(tmp_path, **BUNDLED_SOURCES, ADMIN_TOKEN=TOKEN) as server:
        assert codes(post(server, DELETION, Origin=PAGES[0])) == ["UNAUTHENTICATED"]
        response = post(server, DELETION, Origin=PAGES[0], Authorization=f"Bearer {TOKEN}")
        assert (codes(response), response.headers["Access-Control-Allow-Origin"]) == (["COUNTRY_NOT_FOUND"], PAGES[0])


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"CORS_ORIGINS": "https://app.example"}])
def test_production(tmp_path: Path, settings: dict[str, str]) -> None:
    """In production, pages of localhost are others, and a preflight is never told as 405."""
    production = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": "sqlite:///var/countries.db",
        "PUBLIC_URL": "https://countries.example",
        "ADMIN_TOKEN": TOKEN,
    }
    with running_server(tmp_path, **BUNDLED_SOURCES, **production, **settings) as server:
        refused = preflight(server, PAGES[0])
        assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (400, None)
        assert "CORS_ORIGINS" in refused.json["errors"][0]["message"]
        server.wait_for_log(PAGES[0])
        assert post(server, "{ __typename }", Origin=PAGES[0]).headers["Access-Control-Allow-Origin"] is None
        assert preflight(server, "https://countries.example").status == 400  # not another origin: it needs none
