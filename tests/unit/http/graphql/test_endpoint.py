"""GraphQL over HTTP: methods, media types, status codes, and malformed bodies."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from starlette.types import Message

from graphql_api.http.content_negotiation import GRAPHQL_RESPONSE, JSON
from graphql_api.http.graphql.endpoint import GraphQLEndpoint
from graphql_api.http.graphql.persisted_queries import PersistedQueries
from graphql_api.http.graphql.response_cache import ResponseCache
from graphql_api.http.graphql.trusted_documents import TrustedDocuments
from graphql_api.http.request_log import RequestLog
from graphql_api.http.site.playground import Playground
from graphql_api.http.wrong_tokens import WrongTokens
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.schema.context import GraphQLContext
from tests.support.app import AppClient, parse_errors
from tests.support.factories import few_examples
from tests.support.schema_client import SCHEMA, STALE_AFTER, now, offline_client

pytestmark = pytest.mark.asyncio(loop_scope="module")
TYPENAME_RESPONSE = {"data": {"__typename": "Query"}}
NOT_JSON = [("BAD_USER_INPUT", "The body is not JSON.")]
NOT_AN_OBJECT = [("BAD_USER_INPUT", 'A request must be an object: {"query": …, "variables": {…}}.')]
NOT_UTF_8 = [("BAD_USER_INPUT", "The body is not UTF-8.")]
NOT_JSON_VARIABLES = [("BAD_USER_INPUT", "variables is not JSON.")]
DUPLICATE_KEY = [("BAD_USER_INPUT", "An object has the same key twice.")]
NO_QUERY = [("BAD_USER_INPUT", "query must be the text of a GraphQL document.")]
NO_VARIABLES = [("BAD_USER_INPUT", "variables must be an object or null.")]
NO_EXTENSIONS = [("BAD_USER_INPUT", "extensions must be an object or null.")]
NO_NAME = [("BAD_USER_INPUT", "operationName must be a text or null.")]
BROWSER_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def media_type(response: httpx.Response) -> str:
    """Return the whole Content-Type."""
    return str(response.headers["Content-Type"])


async def get(server: AppClient, parameters: Mapping[str, str], **headers: str) -> httpx.Response:
    """GET /graphql with parameters."""
    return await server.get(f"/graphql?{httpx.QueryParams(dict(parameters))}", **headers)


async def test_post(server: AppClient) -> None:
    """The response to a POST is JSON, with its charset, and contains data only."""
    response = await server.post({"query": "{ __typename }"})
    assert (response.status_code, response.json()) == (200, TYPENAME_RESPONSE)
    assert media_type(response) == "application/json; charset=utf-8"


async def test_get(server: AppClient) -> None:
    """The response to a GET is that to a POST."""
    response = await get(server, {"query": "{ __typename }"})
    assert (response.status_code, response.json()) == (200, TYPENAME_RESPONSE)
    assert media_type(response) == "application/json; charset=utf-8"


async def test_text_is_utf8(server: AppClient) -> None:
    """Letters beyond ASCII are sent as UTF-8."""
    response = await server.post({"query": '{ country(code: "CI") { name } }'})
    assert response.content == '{"data":{"country":{"name":"Côte d’Ivoire"}}}'.encode()


@pytest.mark.parametrize(
    "body",
    [
        {"query": "query ($c: String) { country(code: $c) { code } }", "variables": {"c": "FR"}},
        {"query": 'query a { __typename } query b { country(code: "FR") { code } }', "operationName": "b"},
        {
            "query": '{ country(code: "FR") { code } }',
            "variables": None,
            "operationName": None,
            "extensions": {"anything": 1},
            "id": 7,
        },
        {"query": '{ country(code: "FR") { code } }', "operationName": "", "variables": {"x": 1}},
    ],
)
async def test_fields(server: AppClient, body: dict[str, Any]) -> None:
    """POST and GET use variables and operation name; null and unknown fields are ignored."""
    expected = {"data": {"country": {"code": "FR"}}}
    assert (await server.post(body)).json() == expected
    parameters = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in body.items()
        if value is not None
    }
    assert (await get(server, parameters)).json() == expected


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods(server: AppClient, method: str) -> None:
    """Methods other than GET and POST are rejected, and the response names those."""
    response = await server.client.request(method, "/graphql", json={"query": "{ __typename }"})
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, POST")
    assert parse_errors(response) == [("BAD_USER_INPUT", "Send GET or POST.")]


async def test_head(server: AppClient) -> None:
    """HEAD is rejected too, without a body."""
    response = await server.client.head("/graphql")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, POST")
    assert response.content == b""


@pytest.mark.parametrize("accept", ["image/png", "text/html", "application/jsonx", "*/*;q=0"])
async def test_not_acceptable(server: AppClient, accept: str) -> None:
    """A client that accepts neither media type gets a 406 that names one."""
    response = await server.post({"query": "{ __typename }"}, Accept=accept)
    assert (response.status_code, media_type(response)) == (406, "application/json; charset=utf-8")
    assert parse_errors(response) == [("BAD_USER_INPUT", "Accept application/json.")]


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/jsonx",
        "application/graphql",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "text/plain; application/json",
    ],
)
async def test_unsupported_media_type(server: AppClient, content_type: str) -> None:
    """A body of any other type is rejected, which also stops forms on other sites."""
    body = b'{"query": "{ __typename }"}'
    response = await server.post(body, Content_Type=content_type)
    assert (response.status_code, parse_errors(response)) == (415, [("BAD_USER_INPUT", "Send application/json.")])


@pytest.mark.parametrize("content_type", ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8"])
async def test_supported_media_type(server: AppClient, content_type: str) -> None:
    """JSON is accepted in upper case and with parameters."""
    response = await server.post('{"query": "{ __typename }"}', Content_Type=content_type)
    assert (response.status_code, response.json()) == (200, TYPENAME_RESPONSE)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b"", NOT_JSON),
        (b"{", NOT_JSON),
        (b'{"query": "{ __typename }"} x', NOT_JSON),
        (b"{'query': '{ __typename }'}", NOT_JSON),
        (b'{"query": "\n"}', NOT_JSON),
        (b'{"query": "{ __typename }", "variables": {"a": NaN}}', NOT_JSON),
        (b'{"query": "{ __typename }", "variables": {"a": -Infinity}}', NOT_JSON),
        (b'{"query": "{ __typename }", "variables": {"a": ' + b"1" * 5000 + b"}}", NOT_JSON),
        (b"\xef\xbb\xbf" + b'{"query": "{ __typename }"}', NOT_JSON),
        (b"[" * 100_000, NOT_JSON),
        (b"[" * 40_000 + b"]" * 40_000, NOT_JSON),
        (b'{"a":' * 16_000 + b"1" + b"}" * 16_000, NOT_JSON),
        (b'{"query": "{ __typename }", "query": "{ __typename }"}', DUPLICATE_KEY),
        (b'{"query": "{ __typename }", "variables": {"a": {"b": 1, "b": 1}}}', DUPLICATE_KEY),
        (b"null", NOT_AN_OBJECT),
        (b"1", NOT_AN_OBJECT),
        (b"true", NOT_AN_OBJECT),
        (b'"x"', NOT_AN_OBJECT),
        (b"\xff", NOT_UTF_8),
        ('{"query": "é"}'.encode("latin-1"), NOT_UTF_8),
        ('{"query": "{ __typename }"}'.encode("utf-16"), NOT_UTF_8),
        (b"{}", NO_QUERY),
        (b'{"query": null}', NO_QUERY),
        (b'{"query": ""}', NO_QUERY),
        (b'{"query": " "}', NO_QUERY),
        (b'{"query": ["{ __typename }"]}', NO_QUERY),
        (b'{"query": "{ __typename }", "variables": []}', NO_VARIABLES),
        (b'{"query": "{ __typename }", "variables": "{}"}', NO_VARIABLES),
        (b'{"query": "{ __typename }", "operationName": 1}', NO_NAME),
        (b'{"query": "{ __typename }", "extensions": []}', NO_EXTENSIONS),
    ],
)
@pytest.mark.parametrize("accept", [JSON, GRAPHQL_RESPONSE])
async def test_malformed_bodies(server: AppClient, body: bytes, errors: list[tuple[str, str]], accept: str) -> None:
    """A malformed body gets a 400 with one GraphQL error that says what is wrong."""
    response = await server.post(body, Accept=accept)
    assert (response.status_code, parse_errors(response)) == (400, errors)
    assert media_type(response) == f"{accept}; charset=utf-8"


@pytest.mark.parametrize(
    ("parameters", "errors"),
    [
        ({}, NO_QUERY),
        ({"query": ""}, NO_QUERY),
        ({"query": "{ __typename }", "variables": "{"}, NOT_JSON_VARIABLES),
        ({"query": "{ __typename }", "variables": "[" * 20_000}, NOT_JSON_VARIABLES),
        ({"query": "{ __typename }", "variables": "[1]"}, NO_VARIABLES),
        ({"query": "{ __typename }", "extensions": "1"}, NO_EXTENSIONS),
    ],
)
async def test_malformed_parameters(
    server: AppClient, parameters: dict[str, str], errors: list[tuple[str, str]]
) -> None:
    """Malformed parameters of a GET get a 400 with one GraphQL error."""
    response = await get(server, parameters)
    assert (response.status_code, parse_errors(response)) == (400, errors)


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
@pytest.mark.parametrize("query", ["{ __typename }", "{ countries { totalCount } }", "{ status { version } }"])
async def test_empty_parameters(server: AppClient, query: str, empty: str) -> None:
    """Empty parameters of a GET are the same as none, for a response that is cached as for any other."""
    expected = (await get(server, {"query": query})).json()
    assert list(expected) == ["data"], expected
    parameters = dict.fromkeys(("variables", "extensions", "operationName", "unknown"), empty)
    for _ in range(2):
        response = await get(server, {"query": query, **parameters})
        assert (response.status_code, response.json()) == (200, expected)


INVALID_DOCUMENTS = {
    "{": "GRAPHQL_PARSE_FAILED",
    "{ nothing }": "GRAPHQL_VALIDATION_FAILED",
    "query ($first: Int!) { refreshes(first: $first) { id } }": "BAD_USER_INPUT",
    "query a { __typename } query b { __typename }": "BAD_USER_INPUT",
}


@pytest.mark.parametrize(("query", "code"), INVALID_DOCUMENTS.items())
@pytest.mark.parametrize(("accept", "status"), [(JSON, 200), (GRAPHQL_RESPONSE, 400)])
async def test_status_of_refused_requests(server: AppClient, query: str, code: str, accept: str, status: int) -> None:
    """A request rejected before execution is 400 under the new media type and 200 under JSON."""
    for response in (
        await server.post({"query": query}, Accept=accept),
        await get(server, {"query": query}, Accept=accept),
    ):
        assert (response.status_code, media_type(response)) == (status, f"{accept}; charset=utf-8")
        assert [error_code for error_code, _ in parse_errors(response)] == [code]


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_RESPONSE])
async def test_status_of_executed_requests(server: AppClient, accept: str) -> None:
    """A request that was executed is 200, whatever its fields returned."""
    query = "{ countries(first: -1) { totalCount } }"
    response = await server.post({"query": query}, Accept=accept)
    assert (response.status_code, media_type(response)) == (200, f"{accept}; charset=utf-8")
    assert response.headers["Vary"] == "Accept, Origin"
    assert response.json()["data"] is None
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize("mutation", ["refreshCountries { id }", 'deleteCountry(code: "FR") { id }'])
async def test_mutation_by_get(server: AppClient, mutation: str) -> None:
    """A mutation by GET is rejected, and nothing happens."""
    response = await get(server, {"query": f"mutation {{ {mutation} }}"})
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    message = "GET is for queries; send everything else by POST."
    assert parse_errors(response) == [("BAD_USER_INPUT", message)]
    assert await server.version() == "1-250"


async def test_mutation_by_get_beside_a_query(server: AppClient) -> None:
    """By GET the named operation must be a query, whatever else the document contains."""
    document = 'query a { __typename } mutation b { deleteCountry(code: "FR") { id } }'
    response = await get(server, {"query": document, "operationName": "a"})
    assert (response.status_code, response.json()) == (200, TYPENAME_RESPONSE)
    refused = await get(server, {"query": document, "operationName": "b"})
    assert refused.status_code == 405
    assert await server.version() == "1-250"


LONE_SURROGATE = {"half": "\ud83c"}


async def test_lone_surrogates(server: AppClient) -> None:
    """A lone surrogate, which JSON can express and UTF-8 cannot, gets a response."""
    query = "query ($half: String) { country(name: $half) { id } }"
    response = await server.post(json.dumps({"query": query, "variables": LONE_SURROGATE}))
    assert (response.status_code, response.json()["data"]) == (200, {"country": None})
    assert [entry["value"] for entry in response.json()["extensions"]["suggestions"]] == ["?"]
    response = await server.post(json.dumps([{"query": "{ __typename }"}, {"query": "{ \ud83c }"}]))
    assert (response.status_code, response.json()[0]) == (200, {"data": {"__typename": "Query"}})
    for field in ("search(text: $half) { score }", 'convert(amount: 1, from: $half, to: "EUR") { rate }'):
        body = {"query": f"query ($half: String!) {{ {field} }}", "variables": LONE_SURROGATE}
        assert (await server.post(json.dumps(body))).status_code == 200
    mutation = "mutation ($half: String) { deleteCountry(name: $half) { id } }"
    response = await server.post(json.dumps({"query": mutation, "variables": LONE_SURROGATE}))
    assert response.json()["errors"][0]["extensions"] == {"code": "COUNTRY_NOT_FOUND"}
    response = await server.post(json.dumps({"query": "{ \ud83c }"}))
    assert (response.status_code, [code for code, _ in parse_errors(response)]) == (200, ["GRAPHQL_PARSE_FAILED"])


@pytest.mark.parametrize("accept", ["text/html", BROWSER_ACCEPT])
async def test_playground(server: AppClient, accept: str) -> None:
    """A browser that sends no query gets the playground."""
    response = await server.get("/graphql", Accept=accept)
    assert (response.status_code, media_type(response)) == (200, "text/html; charset=utf-8")
    assert response.headers["Vary"] == "Accept, Origin"
    assert "graphiql" in response.text.lower()


@pytest.mark.parametrize("accept", ["*/*", JSON, GRAPHQL_RESPONSE, "application/json, text/html"])
async def test_no_playground_for_programs(server: AppClient, accept: str) -> None:
    """A program that sends no query gets an error."""
    response = await server.get("/graphql", Accept=accept)
    assert (response.status_code, parse_errors(response)) == (400, NO_QUERY)


async def test_query_of_a_browser(server: AppClient) -> None:
    """A browser that follows a link with a query gets its result."""
    response = await get(server, {"query": "{ __typename }"}, Accept=BROWSER_ACCEPT)
    assert (response.status_code, response.json()) == (200, TYPENAME_RESPONSE)


async def test_post_of_a_browser(server: AppClient) -> None:
    """A POST never gets the playground."""
    response = await server.post({"query": "{ __typename }"}, Accept=BROWSER_ACCEPT)
    assert (response.status_code, response.json()) == (200, TYPENAME_RESPONSE)


OFFLINE_CLIENT = offline_client()


def make_context(*_: object) -> GraphQLContext:
    """Return a context for requests that do not use it."""
    return GraphQLContext(
        catalog=OFFLINE_CLIENT.catalog,
        refresh_service=OFFLINE_CLIENT.refreshes,
        clock=now,
        stale_after=STALE_AFTER,
        public_url="",
        denial="no",
    )


METRICS = MetricsRecorder.standalone()
TRUSTED_DOCUMENTS = TrustedDocuments(only=False)
ENDPOINT = GraphQLEndpoint(
    schema=SCHEMA,
    create_context=make_context,
    anonymous_context=make_context(),
    response_cache=ResponseCache(
        response_cache_bytes=0, cache_max_age=0, metrics=METRICS, trusted_documents=TRUSTED_DOCUMENTS
    ),
    trusted_documents=TRUSTED_DOCUMENTS,
    persisted_queries=PersistedQueries(),
    playground=Playground.load(
        Path("not-installed"), is_token_required=False, get_base_url=lambda _: "http://a.example"
    ),
    body_limit=1000,
    batch_limit=10,
    rate_limiter=None,
    request_log=RequestLog(metrics=METRICS, access_log=False),
    wrong_tokens=WrongTokens(),
)
FIELDS = st.sampled_from(("query", "variables", "operationName", "extensions", "x"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(("{ __typename }", "query a { __typename }", "{", "mutation { a }")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=6,
)
BODIES = st.binary(max_size=20) | VALUES.map(lambda value: json.dumps(value).encode())


@few_examples
@drawn(body=BODIES | st.dictionaries(FIELDS, VALUES).map(lambda value: json.dumps(value).encode()))
async def test_any_body(body: bytes) -> None:
    """Any body gets a GraphQL response, with a status that blames the client."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"content-type", b"application/json")],
        "state": {"request_id": "drawn"},
    }
    await ENDPOINT(scope, receive, send)
    start, content = messages
    payload = json.loads(content["body"])
    assert start["status"] in {200, 400}
    responses = payload if isinstance(payload, list) else [payload]
    assert all(set(response) <= {"data", "errors"} for response in responses)
    codes = {error["extensions"]["code"] for response in responses for error in response.get("errors", [])}
    allowed_codes = {"BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"}
    assert codes <= allowed_codes
