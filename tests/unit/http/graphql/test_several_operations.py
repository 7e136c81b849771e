"""Documents of several operations: the limits measure the one that operationName chooses, and no other."""

import json
from collections.abc import Iterator, Mapping

import pytest

from tests.support import http_client
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.ws_client import websocket_client

CHEAP = "query cheap { __typename }"
CHEAP_RESPONSE = {"data": {"__typename": "Query"}}
ALL_FIELDS = "nodes { code name capital region subregion population areaKm2 flagUrl }"
OVER_LIMIT = {
    "depth": ("query dear { countries { " + "... { " * 20 + "totalCount" + " }" * 21 + " }", "depth 21, at most 20"),
    "fields": ("query dear { " + "__typename " * 301 + "}", "fields 301, at most 300"),
    "fragments": (
        "query dear { ...f0 } "
        + " ".join(f"fragment f{i} on Query {{ ...f{i + 1} ...f{i + 1} }}" for i in range(9))
        + " fragment f9 on Query { __typename }",
        "fields 382, at most 300",
    ),
    "aliases": ("query dear { " + " ".join(f"a{i}: __typename" for i in range(51)) + " }", "aliases 51, at most 50"),
    "items": (
        "query dear { countries(filter: {name: {in: [" + '"x" ' * 501 + "]}}) { totalCount } }",
        "items 501, at most 500",
    ),
    "default items": (
        "query dear($names: [String!] = ["
        + '"x" ' * 501
        + "]) { countries(filter: {name: {in: $names}}) { totalCount } }",
        "items 501, at most 500",
    ),
    "items of a variable": (
        "query dear($names: [String!]) { countries(filter: {name: {in: $names}}) { totalCount } }",
        "items 501, at most 500",
    ),
    "cost": (
        "query dear { " + " ".join(f"a{i}: countries {{ {ALL_FIELDS} }}" for i in range(21)) + " }",
        "cost 52500, at most 50000",
    ),
    "cost of mutations": (
        "mutation dear { " + " ".join(f'a{i}: deleteCountry(code: "ZW") {{ id }}' for i in range(25)) + " }",
        "cost 50025, at most 50000",
    ),
}
"""Documents with an operation over a limit, and what it exceeds."""
VARIABLES = {"names": ["x"] * 501}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server of the bundled data."""
    with running_server(tmp_path_factory.mktemp("operations"), **BUNDLED_SOURCES) as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process


def get(server: Process, payload: Mapping[str, object]) -> object:
    """Return the body of the response to a GET."""
    parameters = {name: value if isinstance(value, str) else json.dumps(value) for name, value in payload.items()}
    return http_client.get(f"{server.url}/graphql", params=parameters).json()


def post(server: Process, payload: Mapping[str, object]) -> object:
    """Return the body of the response to a POST."""
    return http_client.post(f"{server.url}/graphql", json=payload).json()


async def execute(server: Process, payload: Mapping[str, object]) -> object:
    """Return the first payload of an operation over WebSocket."""
    async with websocket_client(server) as client:
        await client.send({"type": "subscribe", "id": "1", "payload": payload})
        message = await client.receive()
        return {"errors": message["payload"]} if message["type"] == "error" else message["payload"]


@pytest.mark.parametrize("limit", OVER_LIMIT)
async def test_each_limit(server: Process, limit: str) -> None:
    """An operation over a limit is rejected if it is chosen, and harmless otherwise, on every way and again."""
    document, excess = OVER_LIMIT[limit]
    rejection = {
        "errors": [{"message": f"The query is too complex: {excess}.", "extensions": {"code": "QUERY_TOO_COMPLEX"}}]
    }
    for text in (f"{CHEAP} {document}", f"{document} {CHEAP}"):
        cheap = {"query": text, "operationName": "cheap", "variables": VARIABLES}
        dear = {"query": text, "operationName": "dear", "variables": VARIABLES}
        for _ in range(2):
            assert get(server, cheap) == post(server, cheap) == await execute(server, cheap) == CHEAP_RESPONSE
            assert post(server, dear) == await execute(server, dear) == rejection
            if not document.startswith("mutation"):
                assert get(server, dear) == rejection
    assert post(server, {"query": '{ country(code: "ZW") { code } }'}) == {"data": {"country": {"code": "ZW"}}}


async def test_tokens(server: Process) -> None:
    """Tokens are limited for the whole document, which has to be parsed to find the operation."""
    document = f"{CHEAP} query dear {{ {'a ' * 4000} }}"
    payload = {"query": document, "operationName": "cheap"}
    message = "The query is too complex: tokens over 4000, at most 4000."
    rejection = {"errors": [{"message": message, "extensions": {"code": "QUERY_TOO_COMPLEX"}}]}
    assert get(server, payload) == post(server, payload) == await execute(server, payload) == rejection
