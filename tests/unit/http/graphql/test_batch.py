"""Batches: several requests in one body, within the limits of one."""

import hashlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.app import AppClient, make_settings, parse_errors, running_client
from tests.support.fake_providers.server import Upstream
from tests.support.metrics_scrape import parse_samples

COUNT = {"query": "{ countries { totalCount } }"}
NAME = {"query": "query Name($code: String!) { country(code: $code) { name } }", "variables": {"code": "FR"}}
DELETE = {"query": 'mutation Delete { deleteCountry(code: "FR") { name } }'}
FRANCE = {"data": {"country": {"name": "France"}}}
DELETED = {"data": {"deleteCountry": {"name": "France"}}}
ALL = {"data": {"countries": {"totalCount": 250}}}
NOT_AN_OBJECT = 'A request must be an object: {"query": …, "variables": {…}}.'


@pytest_asyncio.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[AppClient]:
    """Run a server that the test may change, and whose refreshes succeed."""
    with Upstream() as upstream:
        async with running_client(make_settings(tmp_path / "countries.db", upstream, access_log=True)) as client:
            yield client


async def test_order(server: AppClient) -> None:
    """The responses come in the order of the requests, each as it would come alone."""
    requests = [NAME, COUNT, {**NAME, "variables": {"code": "NZ"}}, {"query": "{ status { version } }"}, NAME]
    response = await server.post(requests)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert response.json() == [(await server.post(request)).json() for request in requests]


INVALID: dict[str, tuple[object, str, str]] = {
    "number": (1, "BAD_USER_INPUT", NOT_AN_OBJECT),
    "null": (None, "BAD_USER_INPUT", NOT_AN_OBJECT),
    "nested list": ([COUNT], "BAD_USER_INPUT", NOT_AN_OBJECT),
    "no query": ({}, "BAD_USER_INPUT", "query must be the text of a GraphQL document."),
    "variables": ({**COUNT, "variables": []}, "BAD_USER_INPUT", "variables must be an object or null."),
    "syntax": ({"query": "{"}, "GRAPHQL_PARSE_FAILED", "Syntax Error: Expected Name, found <EOF>."),
    "field": ({"query": "{ x }"}, "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'x' on type 'Query'."),
    "variable": (
        {**NAME, "variables": {}},
        "BAD_USER_INPUT",
        "Variable '$code' has invalid value: Expected a value of non-null type 'String!' to be provided.",
    ),
    "operation": ({**NAME, "operationName": "x"}, "BAD_USER_INPUT", "The document has no operation named 'x'."),
    "subscription": (
        {"query": "subscription { refreshProgress { phase } }"},
        "BAD_USER_INPUT",
        (
            "Subscriptions go over WebSocket: connect to this address with the subprotocol graphql-transport-ws. "
            "Or send Accept: text/event-stream."
        ),
    ),
    "hash": (
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}},
        "PERSISTED_QUERY_NOT_FOUND",
        "PersistedQueryNotFound",
    ),
}


@pytest.mark.parametrize("name", INVALID)
@pytest.mark.parametrize("media_type", ["application/json", "application/graphql-response+json"])
async def test_errors(server: AppClient, name: str, media_type: str) -> None:
    """An invalid request has its error at its place, and spoils none before and after it."""
    request, code, message = INVALID[name]
    response = await server.post([NAME, request, COUNT], Accept=media_type)
    assert response.status_code == 200
    first, rejected, last = response.json()
    assert (first, last) == (FRANCE, ALL)
    assert list(rejected) == ["errors"]
    assert [(error["extensions"]["code"], error["message"]) for error in rejected["errors"]] == [(code, message)]


@pytest.mark.parametrize(
    ("limit", "count", "message"),
    [
        (10, 0, "Send 1 to 10 requests in one batch, not 0."),
        (10, 11, "Send 1 to 10 requests in one batch, not 11."),
        (1, 1, "Send one request, as an object: this server accepts no batches (BATCH_LIMIT)."),
        (1, 2, "Send one request, as an object: this server accepts no batches (BATCH_LIMIT)."),
    ],
)
async def test_number(tmp_path: Path, upstream: Upstream, limit: int, count: int, message: str) -> None:
    """An empty batch, one with too many requests, and any where batches are off, is refused and executes nothing."""
    async with running_client(make_settings(tmp_path / "x.db", upstream, batch_limit=limit)) as server:
        response = await server.post([DELETE] * count)
        assert (response.status_code, parse_errors(response)) == (400, [("BAD_USER_INPUT", message)])
        assert await server.query("{ countries { totalCount } }") == ALL["data"]
        assert (await server.post(COUNT)).json() == ALL


async def test_most(server: AppClient) -> None:
    """Ten requests are a batch by default."""
    assert (await server.post([COUNT] * 10)).json() == [ALL] * 10


async def test_not_by_get(server: AppClient) -> None:
    """A batch comes by POST only."""
    response = await server.get('/graphql?query=[{"query":"{__typename}"}]')
    assert (response.status_code, parse_errors(response)[0][0]) == (200, "GRAPHQL_PARSE_FAILED")
    response = await server.client.get("/graphql", params={"query": "{ __typename }", "variables": "[{}]"})
    assert (response.status_code, parse_errors(response)[0][1]) == (400, "variables must be an object or null.")


async def test_body_limit(tmp_path: Path, upstream: Upstream) -> None:
    """A batch has the limit of one body."""
    async with running_client(make_settings(tmp_path / "x.db", upstream, body_limit=300)) as server:
        assert (await server.post([COUNT] * 5)).status_code == 200
        response = await server.post([COUNT] * 9)
        assert (response.status_code, parse_errors(response)) == (413, [("BAD_USER_INPUT", "Send at most 300 bytes.")])


async def test_mutations(own_server: AppClient) -> None:
    """Mutations are executed one after another, at their place among the queries."""
    response = await own_server.post([NAME, COUNT, DELETE, NAME, COUNT, DELETE])
    *results, failed = response.json()
    assert results == [FRANCE, ALL, DELETED, {"data": {"country": None}}, {"data": {"countries": {"totalCount": 249}}}]
    assert failed["data"] is None
    assert [error["extensions"]["code"] for error in failed["errors"]] == ["COUNTRY_NOT_FOUND"]


async def test_token(tmp_path: Path, upstream: Upstream) -> None:
    """The token of the request authorizes all of its mutations, and without it none."""
    token = "t0ken-t0ken-t0ken"
    async with running_client(make_settings(tmp_path / "x.db", upstream, admin_token=token)) as server:
        denied, count = (await server.post([DELETE, COUNT])).json()
        assert denied["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        assert count == ALL
        assert (await server.post([DELETE], Authorization=f"Bearer {token}")).json() == [DELETED]


def messages(results: list[dict[str, Any]]) -> list[str | None]:
    """Return the message of the error of each result, or None for one without."""
    return [result["errors"][0]["message"] if "errors" in result else None for result in results]


async def test_cost(tmp_path: Path, upstream: Upstream) -> None:
    """A batch has one limit of cost, and a refused request costs nothing, so that a cheaper one is still served."""
    names = {"query": "{ countries { nodes { name } } }"}
    async with running_client(make_settings(tmp_path / "x.db", upstream, query_limits={"cost": 1600})) as server:
        results = (await server.post([names, names, names, NAME])).json()
        assert messages(results) == [None, None, "The query is too complex: cost 2250, at most 1600.", None]
        # Each batch has a limit of its own, and so has each single request.
        assert messages((await server.post([names, names])).json()) == [None, None]


@pytest.mark.parametrize("field", ["__typename", "status { version }"], ids=["compiled", "not compiled"])
async def test_bytes(server: AppClient, tmp_path: Path, upstream: Upstream, field: str) -> None:
    """A batch has one limit of bytes, of which those of an aborted response, which are not sent, do not count."""
    names = {"query": f"{{ {field} countries(first: 99) {{ nodes {{ name }} }} }}"}
    limits = {"bytes": int(2.5 * len((await server.post(names)).content))}
    async with running_client(make_settings(tmp_path / "x.db", upstream, query_limits=limits)) as limited_server:
        results = (await limited_server.post([names, names, names, NAME])).json()
        assert [message and message[:31] for message in messages(results)] == [
            None,
            None,
            "The query is too complex: bytes",
            None,
        ]
        assert (results[2]["data"], results[3]) == (None, FRANCE)


async def test_cached(server: AppClient) -> None:
    """A batch of cacheable queries that comes again is cached as a whole, under its body; another one is not."""

    async def count_hits() -> float:
        samples = parse_samples((await server.get("/metrics")).text)
        return samples['graphql_api_cache_lookups_total{result="hit"}']

    requests = [COUNT, {**NAME, "variables": {"code": "JP"}}]
    responses = [await server.post(requests) for _ in range(2)]
    before = await count_hits()
    responses.append(await server.post(requests))
    assert len({response.content for response in responses}) == 1
    assert await count_hits() == before + 1
    assert "ETag" not in responses[2].headers
    for dynamic in ({"query": "{ status { version } }"}, {"query": "{ x }"}):
        for _ in range(3):
            assert (await server.post([COUNT, dynamic])).headers["Cache-Control"] == "no-store"
        assert await count_hits() == before + 1


async def test_persisted_queries(server: AppClient) -> None:
    """A request of a batch may register its document, and later ones of the same batch send the hash alone."""
    query = "{ countries(first: 1) { nodes { code } } }"
    by_hash = {
        "extensions": {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(query.encode()).hexdigest()}}
    }
    results = (await server.post([by_hash, {**by_hash, "query": query}, by_hash])).json()
    result = {"data": {"countries": {"nodes": [{"code": "AF"}]}}}
    assert results[0]["errors"][0]["extensions"] == {"code": "PERSISTED_QUERY_NOT_FOUND"}
    assert results[1:] == [result, result]
    assert (await server.post([by_hash])).json() == [result]


async def test_log_and_timing(own_server: AppClient, caplog: pytest.LogCaptureFixture) -> None:
    """A batch is one line of the access log and one request of the metrics; its last refresh is in Server-Timing."""
    refresh = {"query": "mutation Refresh { refreshCountries { totalCountries } }"}
    with caplog.at_level(logging.INFO):
        response = await own_server.post([NAME, refresh, COUNT, {"query": "{ x }"}])
    assert [list(result) for result in response.json()] == [["data"], ["data"], ["data"], ["errors"]]
    assert "total;dur=" in response.headers["Server-Timing"]
    assert response.headers["Cache-Control"] == "no-store"
    [fields] = [record.fields for record in caplog.records if hasattr(record, "fields") and "kind" in record.fields]
    assert (fields["kind"], fields["operation"]) == ("mutation", "batch of 4: Name, Refresh, -, -")
    samples = parse_samples((await own_server.get("/metrics")).text)
    assert samples['graphql_api_requests_total{kind="mutation",status="200"}'] == 1
    assert samples['graphql_api_requests_total{kind="query",status="200"}'] == 0
    assert samples['graphql_api_errors_total{code="GRAPHQL_VALIDATION_FAILED"}'] == 1
