"""TRUSTED_DOCUMENTS: manifests of three tools, requests by id, and the refusal of everything else."""

import hashlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from graphql_api.app import create_app
from graphql_api.errors import InvalidSetting
from graphql_api.execution.document_cache import DocumentCache
from graphql_api.http.graphql.endpoint import GraphQLEndpoint
from graphql_api.http.site.built_in_documents import list_built_in_documents
from tests.support.app import AppClient, find_endpoint, make_settings, parse_errors, running_client
from tests.support.fake_providers.server import Upstream

COUNTRY = "query Country($code: String!) { country(code: $code) { name } }"
COUNT = "query Count { countries { totalCount } }"
FRANCE = {"data": {"country": {"name": "France"}}}
VARIABLES = {"code": "FR"}
HASH = hashlib.sha256(COUNTRY.encode()).hexdigest()
MD5 = hashlib.md5(COUNTRY.encode(), usedforsecurity=False).hexdigest()
APOLLO = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [
        {"id": HASH, "name": "Country", "type": "query", "body": COUNTRY},
        {"id": "count", "name": "Count", "type": "query", "body": COUNT},
    ],
}
RELAY = {MD5: COUNTRY, "count": COUNT}
CODEGEN = {f"sha256:{HASH}": COUNTRY, "count": COUNT}
NOT_TRUSTED = (
    "This server executes the documents of its manifest only (TRUSTED_DOCUMENTS_ONLY), and this is none of them. "
    "Add it to the manifest, or request one by its documentId."
)
REFUSED = [("DOCUMENT_NOT_TRUSTED", NOT_TRUSTED)]


@asynccontextmanager
async def server_with(
    path: Path, upstream: Upstream, manifest: object, **changes: object
) -> AsyncIterator[tuple[AppClient, GraphQLEndpoint]]:
    """Run a server with a manifest."""
    file = path / "documents.json"
    file.write_text(json.dumps(manifest), "utf-8")
    settings = make_settings(path / "c.db", upstream, trusted_documents=file, **changes)
    async with running_client(settings) as client:
        yield client, find_endpoint(client.app).http_endpoint


@pytest.mark.parametrize("manifest", [APOLLO, RELAY, CODEGEN], ids=["apollo", "relay", "codegen"])
async def test_request_by_id(tmp_path: Path, upstream: Upstream, manifest: dict[str, object]) -> None:
    """A document is found by the id of its manifest and by its SHA-256, under each parameter, by GET and POST."""
    own_ids = [key for key in manifest if key not in ("count", "format", "version", "operations")]
    by_hash = {"persistedQuery": {"version": 1, "sha256Hash": HASH}}
    async with server_with(tmp_path, upstream, manifest, trusted_documents_only=True) as (server, _):
        for document_id in {HASH, f"sha256:{HASH}", *own_ids}:
            for name in ("documentId", "doc_id", "id"):
                parameters = {name: document_id, "variables": VARIABLES}
                assert (await server.post(parameters)).json() == FRANCE
                query = httpx.QueryParams({name: document_id, "variables": json.dumps(VARIABLES)})
                for _ in range(2):
                    response = await server.get(f"/graphql?{query}", Accept="text/html, application/json;q=0.5")
                    assert (response.json(), response.headers["Content-Type"]) == (
                        FRANCE,
                        "application/json; charset=utf-8",
                    )
                held = await server.get(f"/graphql?{query}", If_None_Match=response.headers["ETag"])
                assert held.status_code == 304
        assert (await server.post({"variables": VARIABLES, "extensions": by_hash})).json() == FRANCE
        assert (await server.post({"variables": VARIABLES, "query": COUNTRY, "extensions": by_hash})).json() == FRANCE
        assert (await server.post({"variables": VARIABLES, "query": COUNTRY, "id": 7})).json() == FRANCE
        batch = await server.post([{"doc_id": "count"}, {"query": "{ __typename }"}, {"documentId": "unknown"}])
        assert [body.get("data") for body in batch.json()] == [{"countries": {"totalCount": 250}}, None, None]
        invalid = await server.post({"documentId": 7})
        assert parse_errors(invalid) == [("BAD_USER_INPUT", "documentId must be the id of a trusted document, a text.")]


async def test_only(tmp_path: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """With TRUSTED_DOCUMENTS_ONLY every other document is refused, also one that was persisted, unparsed."""
    other = "{ __typename }"
    by_hash = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(other.encode()).hexdigest()}}
    async with server_with(tmp_path, upstream, RELAY, trusted_documents_only=True) as (server, endpoint):
        documents = vars(endpoint.schema.document_cache)["_documents"]
        size = documents.size
        caplog.clear()
        with caplog.at_level(logging.INFO):
            for parameters in (
                {"query": other},
                {"query": other, "extensions": by_hash},
                {"extensions": by_hash},
                {"documentId": "unknown"},
                {"query": COUNTRY + " ", "variables": VARIABLES},
                {"query": "mutation { refreshCountries { id } }"},
                {"query": "not even GraphQL"},
            ):
                assert parse_errors(await server.post(parameters)) == REFUSED
        lines = [record for record in caplog.records if record.name == "graphql_api.http.errors"]
        assert len(lines) == 7
        assert documents.size == size
        assert endpoint.persisted_queries.size == 0
        strict = await server.post({"query": other}, Accept="application/graphql-response+json")
        assert (strict.status_code, parse_errors(strict)) == (400, REFUSED)
        for document in list_built_in_documents():
            if "mutation" not in document:
                response = await server.post({"query": document})
                assert "DOCUMENT_NOT_TRUSTED" not in response.text
                own_hash = f"sha256:{hashlib.sha256(document.encode()).hexdigest()}"
                assert (await server.post({"documentId": own_hash})).json() == response.json()
        stream = await server.post({"query": other}, Accept="text/event-stream")
        assert "DOCUMENT_NOT_TRUSTED" in stream.text
        stream = await server.post({"documentId": "count"}, Accept="text/event-stream")
        assert '"totalCount":250' in stream.text
        assert (await server.get("/readyz")).status_code == (await server.get("/")).status_code == 200


async def test_log(tmp_path: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """With `log` every other document is executed, and is one warning with its hash and its operation."""
    other = "query Other { __typename }"
    digest = hashlib.sha256(other.encode()).hexdigest()
    async with server_with(tmp_path, upstream, RELAY, trusted_documents_only="log") as (server, _):
        caplog.clear()
        for number in range(3):
            assert (await server.post({"query": other, "variables": {"x": number}})).json()["data"]
            assert (await server.post({"documentId": "count"})).json()["data"]
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
            f"TRUSTED_DOCUMENTS_ONLY=true would refuse the document with SHA-256 {digest}, operation Other."
        ]
        assert parse_errors(await server.post({"documentId": "x"})) == [
            ("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
        ]


async def test_cached_ahead(tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trusted document is parsed at the start only, however many others the cache has seen."""
    async with server_with(tmp_path, upstream, RELAY) as (server, endpoint):
        documents = vars(endpoint.schema.document_cache)["_documents"]
        documents.clear()
        monkeypatch.delattr(DocumentCache, "parse_ahead")
        monkeypatch.setattr(endpoint.schema.document_cache, "_parser", None)
        assert (await server.post({"documentId": MD5, "variables": VARIABLES})).json() == FRANCE


UNKNOWN_FIELD = "Cannot query field 'nothing' on type 'Query'."
MANY_ALIASES = f"{{ {' '.join(f'a{number}: __typename' for number in range(60))} }}"
SHAPES = (
    'should be an object of texts by their ids, or have "format": "apollo-persisted-query-manifest" '
    'and a list "operations"'
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"a": "query A { nothing }"}', f": A (a): {UNKNOWN_FIELD}"),
        ('{"a": "{", "b": "{ __typename }"}', ": a: Syntax Error: Expected Name, found <EOF>."),
        ('{"a": "fragment F on Country { name }"}', ": a: The document has no operation."),
        ('{"a": "query A { a: __typename } query B { nothing }"}', f": A (a): {UNKNOWN_FIELD}"),
        (json.dumps({"a": MANY_ALIASES}), ": a: The query is too complex: aliases 60, at most 50."),
        ("{", " cannot be used: it is not JSON."),
        ('"text"', f" cannot be used: it {SHAPES}."),
        ('{"a": 1}', f" cannot be used: 'a' is not the text of a document; the manifest {SHAPES}."),
        ('{"a": "{a}", "a": "{b}"}', " cannot be used: An object has the same key twice."),
        ('{"operations": []}', f" cannot be used: it {SHAPES}, in version 1."),
        (
            json.dumps({**APOLLO, "operations": [{"name": "Country", "body": COUNTRY}]}),
            " cannot be used: operation 0, 'Country', has no id or no body.",
        ),
        (
            json.dumps({**APOLLO, "operations": [{"id": "a", "body": COUNTRY}, {"id": "a", "body": COUNT}]}),
            " cannot be used: 'a' is the id of two documents.",
        ),
    ],
)
def test_invalid_manifest(tmp_path: Path, upstream: Upstream, content: str, reason: str) -> None:
    """A server with an unusable manifest does not start, and the error names file, document and fault."""
    file = tmp_path / "documents.json"
    file.write_text(content, "utf-8")
    with pytest.raises(InvalidSetting) as exc_info:
        create_app(make_settings(tmp_path / "c.db", upstream, trusted_documents=file))
    assert str(exc_info.value).startswith(f"TRUSTED_DOCUMENTS: {file}{reason}")


def test_unusable_file(tmp_path: Path, upstream: Upstream) -> None:
    """A file that is missing, a folder or not UTF-8 is named, and so is a setting without its manifest."""
    (tmp_path / "latin").write_bytes(b'{"a": "\xe9"}')
    for name, reason in (
        ("missing", "No such file or directory"),
        ("", "Is a directory"),
        ("latin", "it is not UTF-8"),
    ):
        with pytest.raises(InvalidSetting) as exc_info:
            create_app(make_settings(tmp_path / "c.db", upstream, trusted_documents=tmp_path / name))
        assert str(exc_info.value) == f"TRUSTED_DOCUMENTS: {tmp_path / name} cannot be used: {reason}."
    with pytest.raises(InvalidSetting) as exc_info:
        create_app(make_settings(tmp_path / "c.db", upstream, trusted_documents_only=True))
    message = "TRUSTED_DOCUMENTS_ONLY needs TRUSTED_DOCUMENTS: the manifest of the documents."
    assert str(exc_info.value) == message


def test_built_in_documents() -> None:
    """Every document of the pages, of their scripts and of the command `status` is found, whole."""
    documents = list_built_in_documents()
    names = [document.split("{")[0].rpartition("\n")[2].strip().partition("(")[0] for document in documents]
    tabs = ["query Countries", "query Graph", "query Groups", "query Search", "query Convert"]
    pages = ["query Country", "", "mutation", "subscription"]
    assert names == ["", *pages, *tabs, "mutation Refresh", "subscription Progress"]
    assert all(document.count("{") == document.count("}") for document in documents)
