"""The graphql-transport-ws protocol on a real server: correct, malformed and hostile messages."""

import asyncio
import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.support import http_client
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.wait import WAIT_TIMEOUT
from tests.support.ws_client import PROGRESS, REFRESH, SUBPROTOCOL, open_websocket, websocket_client

QUERY = "{ __typename }"
TYPENAME_RESPONSE = {"data": {"__typename": "Query"}}
TOKEN = "s3cret-Token-of-24-letters"
BEARER = f"Bearer {TOKEN}"
INIT = {"type": "connection_init"}
NOT_JSON = (4400, "The message is not JSON.")
NO_QUERY = (4400, "query must be the text of a GraphQL document.")
NO_ID = (4400, "id must be a text of at most 200 characters")
NO_TYPE = (4400, "The message is of no known type")
OVER_WEBSOCKET = (
    "Subscriptions go over WebSocket: connect to this address with the subprotocol graphql-transport-ws. "
    "Or send Accept: text/event-stream."
)
DEEP = "[" * 20_000 + "]" * 20_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server of the bundled data, and check at the end that it logged no error."""
    with running_server(tmp_path_factory.mktemp("ws"), **BUNDLED_SOURCES) as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process
        assert "Traceback" not in process.stderr, process.stderr
        assert "ERROR" not in process.stderr, process.stderr


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """Run the providers of the server in production."""
    with Upstream() as fake_providers:
        yield fake_providers


@pytest.fixture(scope="module")
def production_server(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Process]:
    """Run a server in production, whose mutations need a token."""
    settings = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": "sqlite:///var/countries.db",
        "ADMIN_TOKEN": TOKEN,
        "PUBLIC_URL": "https://countries.example/api",
        "CORS_ORIGINS": "https://app.example",
        "INTROSPECTION": "false",
        "REFRESH_MIN_INTERVAL": "0",
        "COUNTRIES_SOURCES": f"geonames={upstream.countries_url}",
        "RATES_SOURCES": f"er-api={upstream.rates_url}",
        "STATISTICS_SOURCES": f"world-bank={upstream.statistics_url}",
    }
    with running_server(tmp_path_factory.mktemp("production_server"), **settings) as process:
        process.wait_for_log("countries from geonames, rates from er-api")
        yield process
        assert "Traceback" not in process.stderr, process.stderr


def subscribe(payload: object, operation_id: object = "1") -> dict[str, object]:
    """Return the message that starts an operation."""
    return {"type": "subscribe", "id": operation_id, "payload": payload}


async def test_query_and_mutation(server: Process) -> None:
    """Queries and mutations get the results of HTTP, once each, and their ids may be used again."""
    list_query = "{ countries { totalCount nodes { code name } } }"
    async with websocket_client(server) as client:
        assert client.connection.subprotocol == SUBPROTOCOL
        assert await client.execute(QUERY) == TYPENAME_RESPONSE
        assert await client.execute(QUERY) == TYPENAME_RESPONSE
        assert await client.execute(list_query, "x") == server.query(list_query)
        mutation = 'mutation { deleteCountry(code: "AQ") { name } }'
        assert await client.execute(mutation) == {"data": {"deleteCountry": {"name": "Antarctica"}}}
        assert (await client.execute(mutation))["errors"][0]["extensions"] == {"code": "COUNTRY_NOT_FOUND"}


async def test_variables(server: Process) -> None:
    """Variables and operation name have the same effect as over HTTP."""
    document = "query a($code: String) { country(code: $code) { name } } query b { __typename }"
    async with websocket_client(server) as client:
        await client.subscribe(document, operationName="a", variables={"code": "FR"}, extensions=None)
        assert await client.receive_next() == {"data": {"country": {"name": "France"}}}


async def test_ping(server: Process) -> None:
    """Pings get pongs before and after `connection_init`; pongs and payloads are ignored."""
    async with open_websocket(server) as client:
        for payload in ({}, {"payload": {"x": 1}}, {"payload": None}):
            await client.send({"type": "ping", **payload})
            assert await client.receive() == {"type": "pong"}
            await client.send({"type": "pong", **payload})
        await client.send(INIT)
        assert await client.receive() == {"type": "connection_ack"}
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}


async def test_complete(server: Process) -> None:
    """A completed subscription sends no more, its id is free, and a second end is harmless."""
    async with websocket_client(server) as client:
        await client.subscribe(PROGRESS)
        await client.send({"type": "complete", "id": "1"})
        await client.send({"type": "complete", "id": "1"})
        await client.send({"type": "complete", "id": "never"})
        assert await client.execute(QUERY) == TYPENAME_RESPONSE


@pytest.mark.parametrize(
    ("document", "code", "message"),
    [
        ("{", "GRAPHQL_PARSE_FAILED", "Syntax Error: Expected Name, found <EOF>."),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'nothing' on type 'Query'."),
        (
            f"{{ {' '.join(f'a{number}: __typename' for number in range(51))} }}",
            "QUERY_TOO_COMPLEX",
            "The query is too complex: aliases 51, at most 50.",
        ),
        (
            "subscription { refreshProgress { nothing } }",
            "GRAPHQL_VALIDATION_FAILED",
            "Cannot query field 'nothing' on type 'RefreshProgress'.",
        ),
        (
            "subscription { a: refreshProgress { phase } b: refreshProgress { phase } }",
            "GRAPHQL_VALIDATION_FAILED",
            "Anonymous Subscription must select only one top level field.",
        ),
        (
            f"subscription {{ refreshProgress {{ {'phase ' * 301}}} }}",
            "QUERY_TOO_COMPLEX",
            "The query is too complex: fields 302, at most 300.",
        ),
        (
            "query a { __typename } query b { __typename }",
            "BAD_USER_INPUT",
            "The document has several operations: name one in operationName.",
        ),
    ],
)
async def test_refused(server: Process, document: str, code: str, message: str) -> None:
    """A request that HTTP rejects gets an error message, and the connection stays open."""
    async with websocket_client(server) as client:
        await client.subscribe(document)
        reply = await client.receive()
        assert (reply["id"], reply["type"]) == ("1", "error")
        [error] = reply["payload"]
        assert (error["extensions"], error["message"]) == ({"code": code}, message)
        assert await client.execute(QUERY) == TYPENAME_RESPONSE


HOSTILE_MESSAGES: dict[str, tuple[object, tuple[int, str]]] = {
    "binary": (b'{"type": "ping"}', (4400, "Send text")),
    "empty": ("", NOT_JSON),
    "no JSON": ("hello", NOT_JSON),
    "NaN": ('{"type": "ping", "payload": {"x": NaN}}', NOT_JSON),
    "5000 digits": (f'{{"type": "ping", "payload": {{"x": {"9" * 5000}}}}}', NOT_JSON),
    "deep": (f'{{"type": "ping", "payload": {{"x": {DEEP}}}}}', NOT_JSON),
    "the same key twice": ('{"type": "ping", "type": "pong"}', (4400, "An object has the same key twice.")),
    "null": ("null", (4400, "The message must be an object")),
    "an array": ("[]", (4400, "The message must be an object")),
    "no type": ("{}", NO_TYPE),
    "a type that is no text": ({"type": {"type": "ping"}}, NO_TYPE),
    "a type of the server's": ({"type": "connection_ack"}, NO_TYPE),
    "a type of the legacy protocol": ({"type": "start", "id": "1"}, NO_TYPE),
    "ping with a list": ({"type": "ping", "payload": []}, (4400, "payload must be an object")),
    "no id": ({"type": "subscribe", "payload": {"query": QUERY}}, NO_ID),
    "id null": (subscribe({"query": QUERY}, None), NO_ID),
    "id a number": (subscribe({"query": QUERY}, 1), NO_ID),
    "id a list": (subscribe({"query": QUERY}, ["1"]), NO_ID),
    "id empty": (subscribe({"query": QUERY}, ""), NO_ID),
    "id long": (subscribe({"query": QUERY}, "1" * 201), NO_ID),
    "complete without an id": ({"type": "complete"}, NO_ID),
    "payload null": (subscribe(None), (4400, 'A request must be an object: {"query": …, "variables": {…}}.')),
    "no query": (subscribe({}), NO_QUERY),
    "query a number": (subscribe({"query": 1}), NO_QUERY),
    "query blank": (subscribe({"query": " "}), NO_QUERY),
    "variables a list": (subscribe({"query": QUERY, "variables": []}), (4400, "variables must be an object or null.")),
    "operationName a number": (
        subscribe({"query": QUERY, "operationName": 1}),
        (4400, "operationName must be a text or null."),
    ),
    "extensions a text": (
        subscribe({"query": QUERY, "extensions": "x"}),
        (4400, "extensions must be an object or null."),
    ),
    "hello again": (INIT, (4429, "Too many initialisation requests")),
    "too large": ("x" * 100_001, (1009, "")),
}


@pytest.mark.parametrize(("message", "closing"), HOSTILE_MESSAGES.values(), ids=HOSTILE_MESSAGES)
async def test_hostile(server: Process, message: object, closing: tuple[int, str]) -> None:
    """A malformed message closes its connection with the right code, and no other connection."""
    async with websocket_client(server) as client, websocket_client(server) as other:
        await client.send(message)
        code, reason = await client.receive_close()
        assert code == closing[0]
        assert code == 1009 or reason == closing[1]
        assert await other.execute(QUERY) == TYPENAME_RESPONSE


NO_TEXT = (4400, "Authorization must be a text")
CONFLICT = (4400, "Authorization is given twice, with different values")


@pytest.mark.parametrize(
    ("payload", "closing"),
    [
        ([], (4400, "payload must be an object")),
        ("x", (4400, "payload must be an object")),
        ({"headers": []}, (4400, "payload.headers must be an object")),
        ({"Headers": "x"}, (4400, "payload.headers must be an object")),
        ({"Authorization": 1}, NO_TEXT),
        ({"authorization": None}, NO_TEXT),
        ({"headers": {"Authorization": ["x"]}}, NO_TEXT),
        ({"Authorization": "a", "headers": {"authorization": None}}, NO_TEXT),
        ({"Authorization": "a", "authorization": "b"}, CONFLICT),
        ({"Authorization": "a", "headers": {"Authorization": "A"}}, CONFLICT),
        ({"headers": {"Authorization": "a", "AUTHORIZATION": ""}}, CONFLICT),
        ({"headers": {"Authorization": "a"}, "HEADERS": {"Authorization": "b"}}, CONFLICT),
    ],
)
async def test_hostile_hello(server: Process, payload: object, closing: tuple[int, str]) -> None:
    """A malformed `connection_init` closes the connection."""
    async with open_websocket(server) as client:
        await client.send({"type": "connection_init", "payload": payload})
        assert await client.receive_close() == closing


async def test_same_id(server: Process) -> None:
    """An id that is in use closes the connection, whatever characters it has."""
    for operation_id in ("1", "\ud800\n" + "é" * 150):
        async with websocket_client(server) as client:
            for _ in range(2):
                await client.send(subscribe({"query": PROGRESS}, operation_id))
            code, reason = await client.receive_close()
            assert code == 4409
            assert reason.startswith("Subscriber for ")


async def test_surrogates(server: Process) -> None:
    """Lone surrogates are accepted as text without a meaning."""
    async with websocket_client(server, {"Authorization": "Bearer \ud800", "\ud800": "\ud800"}) as client:
        await client.send(subscribe({"query": "{ country(code: $c) { name } }"}, "\ud800"))
        assert (await client.receive())["type"] == "error"
        document = "query ($c: String) { country(code: $c) { name } }"
        await client.subscribe(document, variables={"c": "\ud800"})
        assert await client.receive_next() == {"data": {"country": None}}


async def test_no_hello(server: Process) -> None:
    """An operation before `connection_init` is unauthorized."""
    async with open_websocket(server) as client:
        await client.send(subscribe({"query": QUERY}))
        assert await client.receive_close() == (4401, "Unauthorized")


@pytest.mark.parametrize("offered", [(), ("graphql-ws",), ("x", "graphql-ws")])
async def test_other_protocols(server: Process, offered: tuple[str, ...]) -> None:
    """A client that does not offer the protocol is closed with its name; so is a legacy one."""
    async with open_websocket(server, subprotocols=offered) as client:
        assert client.connection.subprotocol is None
        assert await client.receive_close() == (4406, "Speak graphql-transport-ws")


async def test_several_protocols(server: Process) -> None:
    """Of several protocols that a client offers, the right one is chosen."""
    async with websocket_client(server, subprotocols=("graphql-ws", SUBPROTOCOL)) as client:
        assert client.connection.subprotocol == SUBPROTOCOL


async def test_other_paths(server: Process) -> None:
    """WebSockets are served at /graphql, with or without a slash, only."""
    async with open_websocket(server, path="/graphql/") as client:
        await client.send(INIT)
        assert await client.receive() == {"type": "connection_ack"}
        assert await client.execute(QUERY) == TYPENAME_RESPONSE
    for path in ("/", "/graphql//", "/graphql/x", "/healthz", "/nothing"):
        with pytest.raises(InvalidStatus) as exc_info:
            async with open_websocket(server, path=path):
                pass
        assert exc_info.value.response.status_code == 403


async def test_many_operations(server: Process) -> None:
    """A connection may run twenty operations, and one more gets an error message."""
    async with websocket_client(server) as client:
        for number in range(20):
            await client.subscribe(PROGRESS, str(number))
        await client.subscribe(PROGRESS, "one more")
        reply = await client.receive()
        assert (reply["id"], reply["type"]) == ("one more", "error")
        assert reply["payload"] == [
            {
                "message": "At most 20 operations may go on over one connection.",
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ]
        await client.send({"type": "complete", "id": "7"})
        assert await client.execute(QUERY, "7") == TYPENAME_RESPONSE


@pytest.mark.parametrize(
    "document", [PROGRESS, QUERY, 'mutation { deleteCountry(code: "ZZ") { id } }', "{ status { version } }"]
)
@pytest.mark.parametrize("operation_id", ["1", "{}"])
async def test_completed_operations_are_no_more(server: Process, document: str, operation_id: str) -> None:
    """Operations that the client has completed count no more, even if all of them arrive in one packet."""
    async with websocket_client(server) as client:
        messages: list[dict[str, object]] = []
        for number in range(100):
            id_ = operation_id.format(number)
            messages += [subscribe({"query": document}, id_), {"type": "complete", "id": id_}]
        client.send_together([*messages, subscribe({"query": QUERY}, "last")])
        replies = [await client.receive()]
        while replies[-1]["id"] != "last":
            replies.append(await client.receive())
        assert [reply for reply in replies if reply["type"] == "error"] == []
        assert replies[-1]["payload"] == TYPENAME_RESPONSE


@pytest.mark.slow
async def test_completed_mutations_are_awaited(tmp_path: Path) -> None:
    """At most twenty operations run: a connection whose completed mutations still run is read no further."""
    released = threading.Event()
    with Upstream() as providers, running_server(tmp_path, **providers.environment) as process:
        process.wait_for_log("countries from geonames")
        request_count = providers.request_count("countries")
        providers.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
        async with websocket_client(process) as client:
            for number in range(20):
                await client.subscribe(REFRESH, str(number))
                await client.send({"type": "complete", "id": str(number)})
            await client.send({"type": "ping"})
            assert await client.receive() == {"type": "pong"}
            await client.subscribe(QUERY, "waits")
            await client.send({"type": "ping"})
            await asyncio.to_thread(providers.wait_for_requests, "countries", request_count + 1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.receive(), 0.5)
            released.set()
            replies = [await client.receive() for _ in range(3)]
            assert {reply["type"] for reply in replies} == {"next", "complete", "pong"}
            assert [reply["payload"] for reply in replies if "payload" in reply] == [TYPENAME_RESPONSE]


async def test_persisted(server: Process) -> None:
    """Persisted queries work over a WebSocket, and an unknown hash gets an error message."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
    async with websocket_client(server) as client:
        await client.send(subscribe({"extensions": extensions}))
        reply = await client.receive()
        assert reply["type"] == "error"
        assert reply["payload"][0]["extensions"] == {"code": "PERSISTED_QUERY_NOT_FOUND"}


@pytest.mark.parametrize(
    ("method", "status", "message"),
    [("GET", 405, "GET is for queries; send everything else by POST."), ("POST", 400, OVER_WEBSOCKET)],
)
def test_subscription_over_http(server: Process, method: str, status: int, message: str) -> None:
    """A subscription over plain HTTP is rejected with a message that names the WebSocket."""
    headers = {"Accept": "application/graphql-response+json"}
    with http_client.open_client(headers=headers) as client:
        if method == "GET":
            response = client.get(f"{server.url}/graphql", params={"query": PROGRESS})
        else:
            response = client.post(f"{server.url}/graphql", json={"query": PROGRESS})
    [error] = response.json()["errors"]
    assert (response.status_code, error["message"]) == (status, message)
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize(
    ("payload", "headers", "authorized"),
    [
        ({"Authorization": BEARER}, {}, True),
        ({"authorization": BEARER}, {}, True),
        ({"AUTHORIZATION": f"bearer {TOKEN}"}, {}, True),
        (None, {"Authorization": BEARER}, True),
        ({"other": 1}, {"Authorization": BEARER}, True),
        (None, {}, False),
        ({"Authorization": TOKEN}, {}, False),
        ({"Authorization": "Bearer "}, {}, False),
        ({"Authorization": f"{BEARER}x"}, {}, False),
        ({"Authorization": "Bearer wrong"}, {"Authorization": BEARER}, False),
        ({"token": BEARER}, {}, False),
        ({"headers": {"Authorization": BEARER}}, {}, True),
        ({"Headers": {"authorization": BEARER, "x": 1}, "x": []}, {}, True),
        ({"headers": {"AUTHORIZATION": BEARER}, "authorization": BEARER}, {}, True),
        ({"headers": None}, {"Authorization": BEARER}, True),
        ({"headers": {}}, {"Authorization": BEARER}, True),
        ({"headers": {"Authorization": BEARER}}, {"Authorization": "Basic x"}, True),
        ({"headers": {"Authorization": TOKEN}}, {}, False),
        ({"headers": {"Authorization": "Bearer wrong"}}, {"Authorization": BEARER}, False),
        ({"headers": {"headers": {"Authorization": BEARER}}}, {}, False),
        ({"extensions": {"Authorization": BEARER}}, {}, False),
        (None, {"Authorization": "Basic x"}, False),
    ],
)
async def test_token(
    production_server: Process,
    upstream: Upstream,
    payload: dict[str, object] | None,
    headers: dict[str, str],
    authorized: bool,
) -> None:
    """Mutations need the token, by header or `connection_init`, to fetch or write anything."""
    status_query = "{ status { version lastRefreshedAt } refreshes { id } }"
    before, requests_before = production_server.query(status_query), upstream.requests
    async with websocket_client(production_server, payload, **headers) as client:
        response = await client.execute(REFRESH)
    if authorized:
        assert response["data"]["refreshCountries"]["totalCountries"] == 250
        assert len(upstream.requests) > len(requests_before)
    else:
        assert response["data"] is None
        assert response["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        assert production_server.query(status_query) == before
        assert upstream.requests == requests_before


async def test_public_subscription(production_server: Process) -> None:
    """Progress needs no token, and its absolute URLs start with PUBLIC_URL."""
    document = "subscription { refreshProgress { phase report { imageUrl } } }"
    async with (
        websocket_client(production_server) as public,
        websocket_client(production_server, {"Authorization": BEARER}) as admin,
    ):
        await public.subscribe(document)
        await admin.execute(REFRESH)
        last_event = (await public.receive_until_done())[-1]
    assert last_event["phase"] == "DONE"
    url = last_event["report"]["imageUrl"]
    assert re.fullmatch(r"https://countries\.example/api/images/summary-\d+-250-[0-9a-f]{16}\.png", url)


async def test_urls(server: Process) -> None:
    """Without PUBLIC_URL, absolute URLs are HTTP URLs of the host that the client connected to."""
    async with websocket_client(server) as client:
        url = (await client.execute("{ status { imageUrl } }"))["data"]["status"]["imageUrl"]
    assert url.startswith(f"{server.url}/images/summary-")


async def test_no_introspection(production_server: Process) -> None:
    """Without INTROSPECTION a WebSocket offers neither introspection nor suggestions."""
    async with websocket_client(production_server) as client:
        await client.subscribe("{ __schema { types { name } } }")
        reply = await client.receive()
        assert reply["type"] == "error"
        assert "introspection has been disabled" in reply["payload"][0]["message"]
        await client.subscribe("subscription { refreshProgres { phase } }")
        [error] = (await client.receive())["payload"]
        assert error["message"] == ("Cannot query field 'refreshProgres' on type 'Subscription'.")


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        (None, True),
        ("https://app.example", True),
        ("https://countries.example", True),
        ("https://evil.example", False),
        ("https://app.example.evil.example", False),
        ("http://app.example", False),
        ("https://countries.example:8443", False),
        ("null", False),
        ("", False),
        ("http://[", False),
        ("file://", False),
    ],
)
async def test_origin(production_server: Process, origin: str | None, welcome: bool) -> None:
    """Pages of other origins may not connect; programs, which send no Origin, may."""
    if welcome:
        async with websocket_client(production_server, origin=origin) as client:
            assert await client.execute(QUERY) == TYPENAME_RESPONSE
        return
    with pytest.raises(InvalidStatus) as exc_info:
        async with open_websocket(production_server, origin=origin):
            pass
    response = exc_info.value.response
    assert response.status_code == 403
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    [error] = json.loads(response.body)["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_own_origin(server: Process) -> None:
    """The server's own pages may connect, under any of its host names."""
    by_name = server.url.replace("127.0.0.1", "localhost")
    for url, origin in ((server.url, server.url), (by_name, by_name.replace("l", "L"))):
        async with websocket_client(url, origin=origin) as client:
            assert await client.execute(QUERY) == TYPENAME_RESPONSE


@pytest.mark.slow
async def test_hello_in_time(tmp_path: Path) -> None:
    """A client without `connection_init` in time is closed; after it, a client may be silent."""
    with running_server(tmp_path, **BUNDLED_SOURCES, REQUEST_TIMEOUT="0.3") as process:
        async with websocket_client(process) as client, open_websocket(process) as silent:
            await silent.send({"type": "ping"})
            assert await silent.receive() == {"type": "pong"}
            assert await silent.receive_close() == (4408, "Connection initialisation timeout")
            await asyncio.sleep(0.3)
            assert await client.execute(QUERY) == TYPENAME_RESPONSE


async def test_room(tmp_path: Path) -> None:
    """WebSockets take at most half of MAX_CONNECTIONS, so that HTTP requests are always served."""
    with running_server(tmp_path, **BUNDLED_SOURCES, MAX_CONNECTIONS="6") as process:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(websocket_client(process)) for _ in range(3)]
            with pytest.raises(InvalidStatus) as exc_info:
                await stack.enter_async_context(open_websocket(process))
            assert exc_info.value.response.status_code == 503
            assert process.query(QUERY) == TYPENAME_RESPONSE
            assert await clients[0].execute(QUERY) == TYPENAME_RESPONSE
            await clients[0].connection.close()
            async with websocket_client(process) as client:
                assert await client.execute(QUERY) == TYPENAME_RESPONSE


@pytest.mark.slow
async def test_shutdown(tmp_path: Path) -> None:
    """A server that stops closes every WebSocket with 1001, and exits at once."""
    with running_server(tmp_path, **BUNDLED_SOURCES) as process:
        process.wait_for_log(r"250 countries \(0 new")
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(websocket_client(process)) for _ in range(3)]
            await clients[0].subscribe(PROGRESS)
            silent = await stack.enter_async_context(open_websocket(process))
            started_at = time.monotonic()
            process.send_signal(signal.SIGTERM)
            for client in (*clients, silent):
                assert await client.receive_close() == (1001, "The server stops")
        result = await asyncio.to_thread(process.wait)
    assert result.exit_code == 0
    assert "Traceback" not in result.stderr
    assert time.monotonic() - started_at < WAIT_TIMEOUT / 3
