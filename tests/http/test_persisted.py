"""Automatic persisted queries: a document is sent once, and named by its hash from then on."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from graphql_api.errors import PersistedQueryNotFound
from graphql_api.http.persisted import PersistedQueries
from graphql_api.schema import operations
from tests.serving import Server, given, serving, told
from tests.upstream.server import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOT_FOUND = [("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")]
NOT_THE_HASH = "extensions.persistedQuery.sha256Hash is not the hash of query."
SPEC = "application/graphql-response+json"
FRANCE = {"data": {"country": {"code": "FR"}}}


def hash_of(query: str) -> str:
    """Return the hash by which a document is known."""
    return hashlib.sha256(query.encode()).hexdigest()


def persisted(digest: str) -> dict[str, Any]:
    """Return the extensions that name a document, as Apollo's client writes them."""
    return {"persistedQuery": {"version": 1, "sha256Hash": digest}}


async def post(server: Server, document: str, /, **fields: object) -> httpx.Response:
    """POST the hash of a document alone, or with more fields."""
    return await server.post({"extensions": persisted(hash_of(document)), **fields})


async def get(server: Server, document: str, /, **more: str) -> httpx.Response:
    """GET by the hash of a document alone, without compression; headers are written in capitals."""
    headers = {name: value for name, value in more.items() if name[0].isupper()}
    fields = {name: value for name, value in more.items() if name not in headers}
    given = {"extensions": json.dumps(persisted(hash_of(document))), **fields}
    sent = {"Accept_Encoding": "identity", **headers}
    return await server.get(f"/graphql?{httpx.QueryParams(given)}", **sent)


async def test_registering(server: Server) -> None:
    """A hash is not found until its document came along; then it does for POST and GET."""
    query = '{ country(code: "FR") { code } } # registering'
    for ask in (post, get):
        response = await ask(server, query)
        assert (response.status_code, told(response)) == (200, NOT_FOUND)
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers
    assert (await post(server, query, query=query)).json() == FRANCE
    assert (await post(server, query)).json() == FRANCE
    assert (await get(server, query)).json() == FRANCE


async def test_registering_by_get(server: Server) -> None:
    """Hash and document by GET do as well; what a client says besides is not looked at."""
    query = '{ country(code: "FR") { code } } # by GET'
    said = {"persistedQuery": {**persisted(hash_of(query))["persistedQuery"], "miss": True}}
    given = {"query": query, "extensions": json.dumps({**said, "clientLibrary": {"name": "x"}})}
    assert (await server.get(f"/graphql?{httpx.QueryParams(given)}")).json() == FRANCE
    assert (await get(server, query)).json() == FRANCE


async def test_not_found_by_specification(server: Server) -> None:
    """Under the media type of the specification, what has no data has the status 400."""
    response = await get(server, "{ nobody }", Accept=SPEC)
    assert (response.status_code, told(response)) == (400, NOT_FOUND)
    assert response.headers["Content-Type"] == f"{SPEC}; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"


async def test_variables_and_operation_name(server: Server) -> None:
    """A document that is known by its hash is asked with any variables and operation name."""
    query = "query a($c: String) { country(code: $c) { code } } query b { __typename }"
    named = {"operationName": "a", "variables": {"c": "FR"}}
    assert (await post(server, query, query=query, **named)).json() == FRANCE
    assert (await post(server, query, **named)).json() == FRANCE
    other = await get(server, query, operationName="a", variables='{"c": "TR"}')
    assert other.json() == {"data": {"country": {"code": "TR"}}}
    assert (await get(server, query, operationName="b")).json() == {"data": {"__typename": "Query"}}


async def test_http_caching(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GET by hash has a tag, and is answered again, and with 304, without executing anything."""
    query = "{ countries(first: 9) { nodes { code } } }"
    await post(server, query, query=query)
    first = await get(server, query)
    assert len(first.json()["data"]["countries"]["nodes"]) == 9
    assert first.headers["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert first.headers["Vary"] == "Accept, Accept-Encoding"
    monkeypatch.delattr(operations, "paginate")
    assert (await get(server, query)).content == first.content
    known = await get(server, query, If_None_Match=first.headers["ETag"])
    assert (known.status_code, known.content) == (304, b"")


async def test_registering_is_never_answered_from_the_cache(server: Server) -> None:
    """Hash and document are executed and kept each time: a document that fell out comes back."""
    query = '{ country(code: "FR") { code } } # comes back'
    for _ in range(2):
        response = await post(server, query, query=query)
        assert response.json() == FRANCE
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("wrong", [hash_of("{ other }"), "0" * 64])
async def test_wrong_hash(server: Server, wrong: str) -> None:
    """A document of another hash is refused, and kept under neither."""
    query = '{ country(code: "FR") { code } } # never registered'
    body = {"query": query, "extensions": persisted(wrong)}
    response = await server.post(body)
    assert (response.status_code, told(response)) == (400, [("BAD_USER_INPUT", NOT_THE_HASH)])
    assert told(await post(server, query)) == NOT_FOUND
    assert told(await server.post({"extensions": persisted(wrong)})) == NOT_FOUND


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
        (
            {"version": 1, "sha256Hash": "0" * 64 + "\n"},
            ".sha256Hash must be 64 hexadecimal digits.",
        ),
    ],
)
async def test_malformed(server: Server, given: object, message: str) -> None:
    """Another version, or what is no hash, is refused, with a document and without."""
    start = "extensions.persistedQuery"
    space = "" if message.startswith(".") else " "
    for query in ({}, {"query": "{ __typename }"}):
        response = await server.post({**query, "extensions": {"persistedQuery": given}})
        expected = [("BAD_USER_INPUT", f"{start}{space}{message}")]
        assert (response.status_code, told(response)) == (400, expected)


async def test_null_is_as_if_not_given(server: Server) -> None:
    """A request whose persistedQuery is null is one without."""
    response = await server.post(
        {"query": "{ __typename }", "extensions": {"persistedQuery": None}}
    )
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
async def test_only_what_can_be_executed_is_kept(server: Server, query: str, code: str) -> None:
    """What is refused is not kept: it is not found by its hash afterwards."""
    digest = hashlib.sha256(query.encode(errors="surrogatepass")).hexdigest()
    body = {"query": query, "extensions": persisted(digest)}
    [(told_code, _)] = told(await server.post(json.dumps(body)))
    assert told_code == code
    assert told(await server.post({"extensions": persisted(digest)})) == NOT_FOUND


async def test_limits_hold(server: Server) -> None:
    """A document that is kept is measured by the variables of each request."""
    query = """query ($c: [CountryFilter!]) {
        countries(filter: {or: $c}, first: 1) { nodes { code } }
    }"""
    assert "data" in (await post(server, query, query=query)).json()
    many = {"c": [{"name": {"contains": "a"}}] * 400}
    [(code, _)] = told(await post(server, query, variables=many))
    assert code == "QUERY_TOO_COMPLEX"


async def test_mutations(tmp_path: Path, upstream: Upstream) -> None:
    """A mutation may be persisted, and is refused by GET all the same; nothing changes by that."""
    sources = {"countries_sources": (("bundled", None),), "rates_sources": (("bundled", None),)}
    async with serving(given(tmp_path / "countries.db", upstream, **sources)) as server:
        query = 'mutation { deleteCountry(code: "FR") { code } }'
        refused = await get(server, query, query=query)
        assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
        assert told(await post(server, query)) == NOT_FOUND
        assert (await post(server, query, query=query)).json()["data"]["deleteCountry"]
        assert told(await get(server, query)) == [
            ("BAD_USER_INPUT", "GET is for queries; send everything else by POST.")
        ]
        again = (await post(server, query)).json()["errors"]
        assert [error["extensions"]["code"] for error in again] == ["COUNTRY_NOT_FOUND"]
        assert await server.ask("{ countries { totalCount } }") == {
            "countries": {"totalCount": 249}
        }


async def test_not_of_the_data(server: Server) -> None:
    """What is not of the data is asked by hash as well, and is for nobody to keep."""
    query = "{ status { version } }"
    await post(server, query, query=query)
    response = await get(server, query)
    assert response.json() == {"data": {"status": {"version": "1-250"}}}
    assert response.headers["Cache-Control"] == "no-store"


def texts(store: PersistedQueries, names: str) -> str:
    """Return which of these documents are kept, and use them on the way."""
    kept = ""
    for name in names:
        try:
            kept += store.find(name)[0]
        except PersistedQueryNotFound:
            continue
    return kept


async def test_bounded() -> None:
    """So many bytes are kept, and the documents that were used least recently go first."""
    store = PersistedQueries(limit=4_500)
    for name in "abc":
        store.add(name, name * 1_000)
    assert texts(store, "cba") == "cba"
    store.add("d", "d" * 1_000)
    assert texts(store, "abcd") == "abd"
    store.add("a", "a" * 1_000)
    store.add("e", "e" * 1_000)
    assert texts(store, "abcde") == "ade"
    store.add("f", "f" * 4_200)
    assert texts(store, "abcdef") == ""
    store.add("g", "😀" * 1_000)
    store.add("h", "h")
    assert texts(store, "gh") == "h"
