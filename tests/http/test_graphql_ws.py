"""The protocol graphql-transport-ws, spoken to a real server: well, badly, with hostile intent."""

import asyncio
import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.cli.running import BUNDLED, PATIENCE, Process, serving
from tests.http.talking import PROGRESS, PROTOCOL, REFRESH, connected, talking
from tests.upstream.server import Upstream

QUERY = "{ __typename }"
ANSWER = {"data": {"__typename": "Query"}}
TOKEN = "s3cret-Token"
BEARER = f"Bearer {TOKEN}"
INIT = {"type": "connection_init"}
NOT_JSON = (4400, "The message is not JSON.")
NO_QUERY = (4400, "query must be the text of a GraphQL document.")
NO_ID = (4400, "id must be a text of at most 200 characters")
NO_TYPE = (4400, "The message is of no known type")
OVER_WEBSOCKET = (
    "Subscriptions go over WebSocket: connect to this address with the subprotocol "
    "graphql-transport-ws."
)
DEEP = "[" * 20_000 + "]" * 20_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Lend a server of the bundled data; what it logs is looked at when all is done."""
    with serving(tmp_path_factory.mktemp("ws"), **BUNDLED) as process:
        process.wait_until_said(r"250 countries \(0 new")
        yield process
        assert "Traceback" not in process.said, process.said
        assert "ERROR" not in process.said, process.said


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """Lend the sources of the closed server."""
    with Upstream() as started:
        yield started


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Process]:
    """Lend a server in production, whose mutations need a token."""
    settings = {
        "ENVIRONMENT": "production",
        "ADMIN_TOKEN": TOKEN,
        "PUBLIC_URL": "https://countries.example/api",
        "CORS_ORIGINS": "https://app.example",
        "REFRESH_MIN_INTERVAL": "0",
        "COUNTRIES_SOURCES": f"geonames={upstream.countries_url}",
        "RATES_SOURCES": f"er-api={upstream.rates_url}",
    }
    with serving(tmp_path_factory.mktemp("closed"), **settings) as process:
        process.wait_until_said("countries from geonames, rates from er-api")
        yield process
        assert "Traceback" not in process.said, process.said


def subscribe(payload: object, key: object = "1") -> dict[str, object]:
    """Return the message that asks for an operation."""
    return {"type": "subscribe", "id": key, "payload": payload}


async def test_query_and_mutation(server: Process) -> None:
    """Queries and mutations are answered as over HTTP, each once, and their ids are free again."""
    full = "{ countries { totalCount nodes { code name } } }"
    async with talking(server) as talk:
        assert talk.connection.subprotocol == PROTOCOL
        assert await talk.ask(QUERY) == ANSWER
        assert await talk.ask(QUERY) == ANSWER
        assert await talk.ask(full, "x") == server.query(full)
        mutation = 'mutation { deleteCountry(code: "AQ") { name } }'
        assert await talk.ask(mutation) == {"data": {"deleteCountry": {"name": "Antarctica"}}}
        assert (await talk.ask(mutation))["errors"][0]["extensions"] == {
            "code": "COUNTRY_NOT_FOUND"
        }


async def test_variables(server: Process) -> None:
    """Variables and the name of an operation are taken as over HTTP."""
    document = "query a($code: String) { country(code: $code) { name } } query b { __typename }"
    async with talking(server) as talk:
        await talk.begin(document, operationName="a", variables={"code": "FR"}, extensions=None)
        assert await talk.answer() == {"data": {"country": {"name": "France"}}}


async def test_ping(server: Process) -> None:
    """Pings are answered before and after hello, pongs are taken, and payloads do not matter."""
    async with connected(server) as talk:
        for payload in ({}, {"payload": {"x": 1}}, {"payload": None}):
            await talk.say({"type": "ping", **payload})
            assert await talk.hear() == {"type": "pong"}
            await talk.say({"type": "pong", **payload})
        await talk.say(INIT)
        assert await talk.hear() == {"type": "connection_ack"}
        await talk.say({"type": "ping"})
        assert await talk.hear() == {"type": "pong"}


async def test_complete(server: Process) -> None:
    """A subscription that is completed says no more, its id is free, and a stray end is no harm."""
    async with talking(server) as talk:
        await talk.begin(PROGRESS)
        await talk.say({"type": "complete", "id": "1"})
        await talk.say({"type": "complete", "id": "1"})
        await talk.say({"type": "complete", "id": "never"})
        assert await talk.ask(QUERY) == ANSWER


@pytest.mark.parametrize(
    ("document", "code", "message"),
    [
        ("{", "GRAPHQL_PARSE_FAILED", "Syntax Error: Expected Name, found <EOF>."),
        (
            "{ nothing }",
            "GRAPHQL_VALIDATION_FAILED",
            "Cannot query field 'nothing' on type 'Query'.",
        ),
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
    """What is refused over HTTP is refused by a message, and the connection stays of use."""
    async with talking(server) as talk:
        await talk.begin(document)
        refused = await talk.hear()
        assert (refused["id"], refused["type"]) == ("1", "error")
        [error] = refused["payload"]
        assert (error["extensions"], error["message"]) == ({"code": code}, message)
        assert await talk.ask(QUERY) == ANSWER


HOSTILE: dict[str, tuple[object, tuple[int, str]]] = {
    "binary": (b'{"type": "ping"}', (4400, "Send text")),
    "empty": ("", NOT_JSON),
    "no JSON": ("hello", NOT_JSON),
    "NaN": ('{"type": "ping", "payload": {"x": NaN}}', NOT_JSON),
    "5000 digits": (f'{{"type": "ping", "payload": {{"x": {"9" * 5000}}}}}', NOT_JSON),
    "deep": (f'{{"type": "ping", "payload": {{"x": {DEEP}}}}}', NOT_JSON),
    "the same key twice": (
        '{"type": "ping", "type": "pong"}',
        (4400, "An object has the same key twice."),
    ),
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
    "payload null": (
        subscribe(None),
        (4400, 'The body must be an object: {"query": …, "variables": {…}}.'),
    ),
    "no query": (subscribe({}), NO_QUERY),
    "query a number": (subscribe({"query": 1}), NO_QUERY),
    "query blank": (subscribe({"query": " "}), NO_QUERY),
    "variables a list": (
        subscribe({"query": QUERY, "variables": []}),
        (4400, "variables must be an object or null."),
    ),
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


@pytest.mark.parametrize(("message", "closing"), HOSTILE.values(), ids=HOSTILE)
async def test_hostile(server: Process, message: object, closing: tuple[int, str]) -> None:
    """What is not the protocol closes the connection by the right code, and harms nobody else."""
    async with talking(server) as talk, talking(server) as other:
        await talk.say(message)
        code, reason = await talk.closed()
        assert code == closing[0]
        assert code == 1009 or reason == closing[1]
        assert await other.ask(QUERY) == ANSWER


@pytest.mark.parametrize(
    ("payload", "closing"),
    [
        ([], (4400, "payload must be an object")),
        ("x", (4400, "payload must be an object")),
        ({"Authorization": 1}, (4400, "Authorization must be a text")),
        ({"authorization": None}, (4400, "Authorization must be a text")),
    ],
)
async def test_hostile_hello(server: Process, payload: object, closing: tuple[int, str]) -> None:
    """A hello that is not one closes the connection."""
    async with connected(server) as talk:
        await talk.say({"type": "connection_init", "payload": payload})
        assert await talk.closed() == closing


async def test_same_id(server: Process) -> None:
    """An id that is in use closes the connection, whatever it is made of."""
    for key in ("1", "\ud800\n" + "é" * 150):
        async with talking(server) as talk:
            for _ in range(2):
                await talk.say(subscribe({"query": PROGRESS}, key))
            code, reason = await talk.closed()
            assert code == 4409
            assert reason.startswith("Subscriber for ")


async def test_surrogates(server: Process) -> None:
    """Lone surrogates are taken as text that means nothing."""
    async with talking(server, {"Authorization": "Bearer \ud800", "\ud800": "\ud800"}) as talk:
        await talk.say(subscribe({"query": "{ country(code: $c) { name } }"}, "\ud800"))
        assert (await talk.hear())["type"] == "error"
        document = "query ($c: String) { country(code: $c) { name } }"
        await talk.begin(document, variables={"c": "\ud800"})
        assert await talk.answer() == {"data": {"country": None}}


async def test_no_hello(server: Process) -> None:
    """Who asks before hello is unauthorised."""
    async with connected(server) as talk:
        await talk.say(subscribe({"query": QUERY}))
        assert await talk.closed() == (4401, "Unauthorized")


@pytest.mark.parametrize("offered", [(), ("graphql-ws",), ("x", "graphql-ws")])
async def test_other_protocols(server: Process, offered: tuple[str, ...]) -> None:
    """Who does not offer the protocol is told which one is spoken; the legacy one is not."""
    async with connected(server, subprotocols=offered) as talk:
        assert talk.connection.subprotocol is None
        assert await talk.closed() == (4406, "Speak graphql-transport-ws")


async def test_several_protocols(server: Process) -> None:
    """Who offers others besides gets the right one."""
    async with talking(server, subprotocols=("graphql-ws", PROTOCOL)) as talk:
        assert talk.connection.subprotocol == PROTOCOL


async def test_other_paths(server: Process) -> None:
    """There are WebSockets at /graphql alone."""
    for path in ("/", "/graphql/", "/healthz", "/nothing"):
        with pytest.raises(InvalidStatus) as raised:
            async with connected(server, path=path):
                pass
        assert raised.value.response.status_code == 403


async def test_many_operations(server: Process) -> None:
    """Twenty operations may go on over one connection, and one more is refused by a message."""
    async with talking(server) as talk:
        for number in range(20):
            await talk.begin(PROGRESS, str(number))
        await talk.begin(PROGRESS, "one more")
        refused = await talk.hear()
        assert (refused["id"], refused["type"]) == ("one more", "error")
        assert refused["payload"] == [
            {
                "message": "At most 20 operations may go on over one connection.",
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ]
        await talk.say({"type": "complete", "id": "7"})
        assert await talk.ask(QUERY, "7") == ANSWER


async def test_persisted(server: Process) -> None:
    """Persisted queries are known over a WebSocket as over HTTP, and an unknown one is told."""
    unknown = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
    async with talking(server) as talk:
        await talk.say(subscribe({"extensions": unknown}))
        refused = await talk.hear()
        assert refused["type"] == "error"
        assert refused["payload"][0]["extensions"] == {"code": "PERSISTED_QUERY_NOT_FOUND"}


@pytest.mark.parametrize(
    ("method", "status", "message"),
    [
        ("GET", 405, "GET is for queries; send everything else by POST."),
        ("POST", 400, OVER_WEBSOCKET),
    ],
)
def test_subscription_over_http(server: Process, method: str, status: int, message: str) -> None:
    """A subscription that comes by plain HTTP is refused at once, and told where to go."""
    accept = {"Accept": "application/graphql-response+json"}
    with httpx.Client(trust_env=False, timeout=PATIENCE, headers=accept) as client:
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
        (None, {"Authorization": "Basic x"}, False),
    ],
)
async def test_token(
    closed: Process,
    upstream: Upstream,
    payload: dict[str, object] | None,
    headers: dict[str, str],
    authorized: bool,
) -> None:
    """Mutations need the token, by header or hello; without it nothing is fetched or written."""
    served = "{ status { version lastRefreshedAt } refreshes { id } }"
    before, asked = closed.query(served), upstream.requests
    async with talking(closed, payload, **headers) as talk:
        answer = await talk.ask(REFRESH)
    if authorized:
        assert answer["data"]["refreshCountries"]["totalCountries"] == 250
        assert len(upstream.requests) > len(asked)
    else:
        assert answer["data"] is None
        assert answer["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        assert closed.query(served) == before
        assert upstream.requests == asked


async def test_public_subscription(closed: Process) -> None:
    """Progress is told to everybody, with absolute URLs that begin as PUBLIC_URL says."""
    document = "subscription { refreshProgress { phase report { imageUrl } } }"
    async with talking(closed) as public, talking(closed, {"Authorization": BEARER}) as admin:
        await public.begin(document)
        await admin.ask(REFRESH)
        last = (await public.to_the_end())[-1]
    assert last["phase"] == "DONE"
    url = last["report"]["imageUrl"]
    assert re.fullmatch(r"https://countries\.example/api/images/summary-\d+-250\.png", url)


async def test_urls(server: Process) -> None:
    """Without PUBLIC_URL, absolute URLs are those of the host that was connected to, by HTTP."""
    async with talking(server) as talk:
        url = (await talk.ask("{ status { imageUrl } }"))["data"]["status"]["imageUrl"]
    assert url.startswith(f"{server.url}/images/summary-")


async def test_production(closed: Process) -> None:
    """In production there are no introspection and no suggestions over a WebSocket either."""
    async with talking(closed) as talk:
        await talk.begin("{ __schema { types { name } } }")
        refused = await talk.hear()
        assert refused["type"] == "error"
        assert "introspection has been disabled" in refused["payload"][0]["message"]
        await talk.begin("subscription { refreshProgres { phase } }")
        [error] = (await talk.hear())["payload"]
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
async def test_origin(closed: Process, origin: str | None, welcome: bool) -> None:
    """Pages of other origins may not connect; programs, which name none, may."""
    if welcome:
        async with talking(closed, origin=origin) as talk:
            assert await talk.ask(QUERY) == ANSWER
        return
    with pytest.raises(InvalidStatus) as raised:
        async with connected(closed, origin=origin):
            pass
    response = raised.value.response
    assert response.status_code == 403
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    [error] = json.loads(response.body)["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_own_origin(server: Process) -> None:
    """The server's own pages may connect, by whichever name it was reached."""
    by_name = server.url.replace("127.0.0.1", "localhost")
    for url, origin in ((server.url, server.url), (by_name, by_name.replace("l", "L"))):
        async with talking(url, origin=origin) as talk:
            assert await talk.ask(QUERY) == ANSWER


async def test_hello_in_time(tmp_path: Path) -> None:
    """Who does not say hello in time is closed, and who has said it may be silent."""
    with serving(tmp_path, **BUNDLED, REQUEST_TIMEOUT="0.3") as process:
        async with talking(process) as talk, connected(process) as silent:
            await silent.say({"type": "ping"})
            assert await silent.hear() == {"type": "pong"}
            assert await silent.closed() == (4408, "Connection initialisation timeout")
            await asyncio.sleep(0.3)
            assert await talk.ask(QUERY) == ANSWER


async def test_room(tmp_path: Path) -> None:
    """WebSockets take half of MAX_CONNECTIONS at most, so that requests are always answered."""
    with serving(tmp_path, **BUNDLED, MAX_CONNECTIONS="6") as process:
        async with AsyncExitStack() as stack:
            talks = [await stack.enter_async_context(talking(process)) for _ in range(3)]
            with pytest.raises(InvalidStatus) as raised:
                await stack.enter_async_context(connected(process))
            assert raised.value.response.status_code == 503
            assert process.query(QUERY) == ANSWER
            assert await talks[0].ask(QUERY) == ANSWER
            await talks[0].connection.close()
            async with talking(process) as talk:
                assert await talk.ask(QUERY) == ANSWER


async def test_shutdown(tmp_path: Path) -> None:
    """A server that stops tells every WebSocket that it goes away, and ends at once."""
    with serving(tmp_path, **BUNDLED) as process:
        process.wait_until_said(r"250 countries \(0 new")
        async with AsyncExitStack() as stack:
            greeted = [await stack.enter_async_context(talking(process)) for _ in range(3)]
            await greeted[0].begin(PROGRESS)
            silent = await stack.enter_async_context(connected(process))
            began = time.monotonic()
            process.send(signal.SIGTERM)
            for talk in (*greeted, silent):
                assert await talk.closed() == (1001, "The server stops")
        ended = await asyncio.to_thread(process.wait)
    assert ended.code == 0
    assert "Traceback" not in ended.stderr
    assert time.monotonic() - began < PATIENCE / 3
