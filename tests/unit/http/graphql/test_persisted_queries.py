"""Automatic persisted queries: clients send a document once, and then only its hash."""

import gc
import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import pytest

from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.http.graphql.persisted_queries import PersistedQueries
from graphql_api.schema import operations
from tests.support.app import AppClient, make_settings, parse_errors, running_client
from tests.support.fake_providers.server import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOT_FOUND = [("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")]
HASH_MISMATCH = "extensions.persistedQuery.sha256Hash is not the hash of query."
SPEC = "application/graphql-response+json"
FRANCE = {"data": {"country": {"code": "FR"}}}


def hash_document(query: str) -> str:
    """Return the hash of a document."""
    return hashlib.sha256(query.encode()).hexdigest()


def persisted_extensions(digest: str) -> dict[str, Any]:
    """Return the extensions of a document's hash, as Apollo Client writes them."""
    return {"persistedQuery": {"version": 1, "sha256Hash": digest}}


async def post(server: AppClient, document: str, /, **fields: object) -> httpx.Response:
    """POST the hash of a document, with more fields if there are any."""
    return await server.post({"extensions": persisted_extensions(hash_document(document)), **fields})


async def get(server: AppClient, document: str, /, **options: str) -> httpx.Response:
    """GET by the hash of a document, without compression unless the headers ask for it."""
    headers = {name: value for name, value in options.items() if name[0].isupper()}
    fields = {name: value for name, value in options.items() if name not in headers}
    parameters = {"extensions": json.dumps(persisted_extensions(hash_document(document))), **fields}
    request_headers = {"Accept_Encoding": "identity", **headers}
    return await server.get(f"/graphql?{httpx.QueryParams(parameters)}", **request_headers)


@pytest.mark.slow
async def test_memory() -> None:
    """Held documents take at most what they count, and the collector visits none of them."""
    persisted, limit = PersistedQueries(max_bytes=1_000_000), 1_000_000
    gc.collect()
    objects_before = len(gc.get_objects())
    tracemalloc.start()
    try:
        for number in range(10_000):
            document = f"{{ country(code: {number}) {{ name }} }}"
            persisted.put(hash_document(document), document)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    gc.collect()
    assert len(gc.get_objects()) - objects_before < 100
    assert 0.5 * limit < held_bytes < limit
    assert persisted.size <= limit


async def test_registering(server: AppClient) -> None:
    """A hash is unknown until it comes with its document; then POST and GET may use it alone."""
    query = '{ country(code: "FR") { code } } # registering'
    for send in (post, get):
        response = await send(server, query)
        assert (response.status_code, parse_errors(response)) == (200, NOT_FOUND)
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers
    assert (await post(server, query, query=query)).json() == FRANCE
    assert (await post(server, query)).json() == FRANCE
    assert (await get(server, query)).json() == FRANCE


async def test_registering_by_get(server: AppClient) -> None:
    """Hash and document may come by GET too; other extensions are ignored."""
    query = '{ country(code: "FR") { code } } # by GET'
    extensions = {"persistedQuery": {**persisted_extensions(hash_document(query))["persistedQuery"], "miss": True}}
    parameters = {"query": query, "extensions": json.dumps({**extensions, "clientLibrary": {"name": "x"}})}
    assert (await server.get(f"/graphql?{httpx.QueryParams(parameters)}")).json() == FRANCE
    assert (await get(server, query)).json() == FRANCE


async def test_not_found_by_specification(server: AppClient) -> None:
    """Under the specification's media type, a response without data has the status 400."""
    response = await get(server, "{ nobody }", Accept=SPEC)
    assert (response.status_code, parse_errors(response)) == (400, NOT_FOUND)
    assert response.headers["Content-Type"] == f"{SPEC}; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"


async def test_variables_and_operation_name(server: AppClient) -> None:
    """A persisted document is executed with any variables and operation name."""
    query = "query a($c: String) { country(code: $c) { code } } query b { __typename }"
    fields = {"operationName": "a", "variables": {"c": "FR"}}
    assert (await post(server, query, query=query, **fields)).json() == FRANCE
    assert (await post(server, query, **fields)).json() == FRANCE
    other = await get(server, query, operationName="a", variables='{"c": "TR"}')
    assert other.json() == {"data": {"country": {"code": "TR"}}}
    assert (await get(server, query, operationName="b")).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("query", "module", "name"),
    [
        ("{ countries(first: 9) { nodes { code } } }", operations, "paginate"),
        ('{ search(text: "germny") { matched } }', SnapshotReader, "search"),
        ('{ convert(amount: 0.1, from: "EUR", to: "EUR") { amount } }', operations, "convert"),
    ],
)
async def test_http_caching(
    server: AppClient, monkeypatch: pytest.MonkeyPatch, query: str, module: object, name: str
) -> None:
    """A GET by hash has an ETag, and a repeated one, or one with that ETag, executes nothing."""
    await post(server, query, query=query)
    first = await get(server, query)
    assert first.json().keys() == {"data"}
    assert first.headers["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert first.headers["Vary"] == "Accept, Accept-Encoding, Origin"
    monkeypatch.delattr(module, name)
    assert (await get(server, query)).content == first.content
    not_modified = await get(server, query, If_None_Match=first.headers["ETag"])
    assert (not_modified.status_code, not_modified.content) == (304, b"")


async def test_registering_is_never_answered_from_the_cache(server: AppClient) -> None:
    """A request with hash and document is always executed, so an evicted document comes back."""
    query = '{ country(code: "FR") { code } } # comes back'
    for _ in range(2):
        response = await post(server, query, query=query)
        assert response.json() == FRANCE
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("wrong", [hash_document("{ other }"), "0" * 64])
async def test_wrong_hash(server: AppClient, wrong: str) -> None:
    """A document with another hash is rejected, and held under neither."""
    query = '{ country(code: "FR") { code } } # never registered'
    body = {"query": query, "extensions": persisted_extensions(wrong)}
    response = await server.post(body)
    assert (response.status_code, parse_errors(response)) == (400, [("BAD_USER_INPUT", HASH_MISMATCH)])
    assert parse_errors(await post(server, query)) == NOT_FOUND
    assert parse_errors(await server.post({"extensions": persisted_extensions(wrong)})) == NOT_FOUND


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("x", "must be an object or null."),
        ([], "must be an object or null."),
        ({}, ".version must be 1."),
        ({"version": 2, "sha256Hash": "0" * 64}, ".version must be 1."),
        ({"version": True, "sha256Hash": "0" * 64}, ".version must be 1."),
        ({"version": "1", "sha256Hash": "0" * 64}, ".version must be 1."),
        ({"version": 1}, ".sha256Hash must be 64 hexadecimal digits."),
        ({"version": 1, "sha256Hash": 7}, ".sha256Hash must be 64 hexadecimal digits."),
        ({"version": 1, "sha256Hash": "F" * 64}, ".sha256Hash must be 64 hexadecimal digits."),
        ({"version": 1, "sha256Hash": "0" * 63}, ".sha256Hash must be 64 hexadecimal digits."),
        ({"version": 1, "sha256Hash": "0" * 64 + "\n"}, ".sha256Hash must be 64 hexadecimal digits."),
    ],
)
async def test_malformed(server: AppClient, given: object, message: str) -> None:
    """Another version, or a malformed hash, is rejected, with a document and without."""
    prefix = "extensions.persistedQuery"
    separator = "" if message.startswith(".") else " "
    for query in ({}, {"query": "{ __typename }"}):
        response = await server.post({**query, "extensions": {"persistedQuery": given}})
        expected = [("BAD_USER_INPUT", f"{prefix}{separator}{message}")]
        assert (response.status_code, parse_errors(response)) == (400, expected)


async def test_null_is_as_if_not_given(server: AppClient) -> None:
    """A persistedQuery of null is ignored."""
    response = await server.post({"query": "{ __typename }", "extensions": {"persistedQuery": None}})
    assert response.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ " + "__typename " * 301 + "}", "QUERY_TOO_COMPLEX"),
        ("query ($x: Int!) { countries(first: $x) { totalCount } }", "BAD_USER_INPUT"),
        ('{ country(code: "\ud800") { code } } {', "GRAPHQL_PARSE_FAILED"),
    ],
)
async def test_only_what_can_be_executed_is_kept(server: AppClient, query: str, code: str) -> None:
    """A rejected document is not persisted: its hash stays unknown."""
    digest = hashlib.sha256(query.encode(errors="surrogatepass")).hexdigest()
    body = {"query": query, "extensions": persisted_extensions(digest)}
    [(error_code, _)] = parse_errors(await server.post(json.dumps(body)))
    assert error_code == code
    assert parse_errors(await server.post({"extensions": persisted_extensions(digest)})) == NOT_FOUND


async def test_limits_hold(server: AppClient) -> None:
    """The cost of a persisted document is checked with the variables of each request."""
    query = """query ($c: [CountryFilter!]) {
        countries(filter: {or: $c}, first: 1) { nodes { code } }
    }"""
    assert "data" in (await post(server, query, query=query)).json()
    variables = {"c": [{"name": {"contains": "a"}}] * 400}
    [(code, _)] = parse_errors(await post(server, query, variables=variables))
    assert code == "QUERY_TOO_COMPLEX"


async def test_mutations(tmp_path: Path, upstream: Upstream) -> None:
    """A mutation may be persisted, and is still rejected by GET."""
    sources = {"countries_sources": (("bundled", None),), "rates_sources": (("bundled", None),)}
    async with running_client(make_settings(tmp_path / "countries.db", upstream, **sources)) as server:
        query = 'mutation { deleteCountry(code: "FR") { code } }'
        refused = await get(server, query, query=query)
        assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
        assert parse_errors(await post(server, query)) == NOT_FOUND
        assert (await post(server, query, query=query)).json()["data"]["deleteCountry"]
        assert parse_errors(await get(server, query)) == [
            ("BAD_USER_INPUT", "GET is for queries; send everything else by POST.")
        ]
        errors = (await post(server, query)).json()["errors"]
        assert [error["extensions"]["code"] for error in errors] == ["COUNTRY_NOT_FOUND"]
        assert await server.query("{ countries { totalCount } }") == {"countries": {"totalCount": 249}}


async def test_not_of_the_data(server: AppClient) -> None:
    """A persisted query that does not depend on the data alone is executed and is not cacheable."""
    query = "{ status { version } }"
    await post(server, query, query=query)
    response = await get(server, query)
    assert response.json() == {"data": {"status": {"version": "1-250"}}}
    assert response.headers["Cache-Control"] == "no-store"


def stored_documents(store: PersistedQueries, names: str) -> str:
    """Return the names of these documents that are held, which marks them as used."""
    return "".join((store.get(name) or "")[:1] for name in names)


async def test_bounded() -> None:
    """Beyond `max_bytes` the least recently used documents go; one larger than that is not held."""
    store = PersistedQueries(max_bytes=4_500)
    for name in "abc":
        store.put(name, name * 1_000)
    assert stored_documents(store, "cba") == "cba"
    store.put("d", "d" * 1_000)
    assert stored_documents(store, "abcd") == "abd"
    store.put("a", "a" * 1_000)
    store.put("e", "e" * 1_000)
    assert stored_documents(store, "abcde") == "ade"
    store.put("f", "f" * 4_200)
    assert stored_documents(store, "abcdef") == "ade"
    store.put("g", "😀" * 1_000)
    store.put("h", "h")
    assert stored_documents(store, "gh") == "h"
