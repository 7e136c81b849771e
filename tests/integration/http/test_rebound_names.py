"""A server without a token, reached under a name that a hostile page has rebound to the loopback."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import open_connection
from tests.support.ws_client import websocket_client

MUTATIONS = ['mutation { deleteCountry(code: "FR") { code } }', "mutation { refreshCountries { id } }"]
QUERY = '{ status { version } country(code: "FR") { name } }'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server in development with PUBLIC_URL, whose start-up refresh is over."""
    settings = {**BUNDLED_SOURCES, "PUBLIC_URL": "http://countries.example:8080/api"}
    with running_server(tmp_path_factory.mktemp("rebound"), **settings) as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process


def post(server: Process, document: str, **headers: str) -> dict[str, Any]:
    """POST a document with these headers, and return the body of the response."""
    with open_connection(server) as connection:
        body: dict[str, Any] = connection.post(json.dumps({"query": document}).encode(), **headers).json
        return body


@pytest.mark.parametrize("document", MUTATIONS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "evil.example", "X_Forwarded_Host": "localhost"},
        {"Host": "evil.example", "Forwarded": "host=localhost"},
        {"Host": "countries.example.evil.example"},
        {"Host": "192.168.0.1"},
    ],
)
def test_mutations(server: Process, document: str, headers: dict[str, str]) -> None:
    """A mutation under such a name is refused and changes nothing; a query is served."""
    before = post(server, QUERY)
    response = post(server, document, **headers)
    assert response["data"] is None
    [error] = response["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert error["message"] == (
        "Without ADMIN_TOKEN, data may be changed only under the name localhost, a loopback address, HOST or "
        "PUBLIC_URL. Use one of these in the URL, or set PUBLIC_URL or ADMIN_TOKEN."
    )
    assert post(server, QUERY, **headers) == post(server, QUERY) == before


async def test_websocket(server: Process) -> None:
    """A page of such a name may subscribe and query over a WebSocket, and change nothing."""
    before = post(server, QUERY)
    origin = server.url.replace("127.0.0.1", "evil.example")
    async with websocket_client(server, origin=origin, host_name="evil.example") as client:
        for document in MUTATIONS:
            response = await client.execute(document)
            assert (response["data"], response["errors"][0]["extensions"]["code"]) == (None, "UNAUTHENTICATED")
        assert await client.execute(QUERY) == before
    assert post(server, QUERY) == before


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:1", "[::1]:8000", "COUNTRIES.example", "countries.example:8080"]
)
def test_own_names(server: Process, host: str) -> None:
    """Under a name of its own a server without a token executes mutations."""
    response = post(server, 'mutation { deleteCountry(code: "ZZ") { code } }', Host=host)
    [error] = response["errors"]
    assert error["extensions"] == {"code": "COUNTRY_NOT_FOUND"}
