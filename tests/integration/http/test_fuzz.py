"""Fuzzing: whatever bytes, JSON or documents a real server receives, it responds well-formed."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes
from hypothesis_graphql import strategies as graphql

from tests.support import http_client
from tests.support.paths import ROOT
from tests.support.processes import BUNDLED_SOURCES, Process, running_server

pytestmark = pytest.mark.slow

SCHEMA = (ROOT / "schema.graphql").read_text()
CLIENT_ERROR_CODES = {
    "BAD_USER_INPUT",
    "COUNTRY_NOT_FOUND",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "PERSISTED_QUERY_NOT_FOUND",
    "QUERY_TOO_COMPLEX",
    "UNAUTHENTICATED",
}
"""Codes of errors that are the client's fault."""
ACCEPTS = ("application/json", "application/graphql-response+json", "*/*", "text/html", "")
few_examples = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
many_examples = settings(few_examples, max_examples=1000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server that fetches nothing and rejects mutations, and check that it logs no error."""
    folder = tmp_path_factory.mktemp("fuzzed")
    with running_server(folder, **BUNDLED_SOURCES, ADMIN_TOKEN="s3cret-Token-of-24-letters") as process:
        process.wait_for_log("Ctrl-C stops")
        yield process
        assert [line for line in process.stderr.splitlines() if " ERROR " in line] == []
        assert "Traceback" not in process.stderr


@pytest.fixture(scope="module")
def client(server: Process) -> Iterator[httpx.Client]:
    """Return a client with a persistent connection."""
    with http_client.open_client(base_url=server.url) as client:
        yield client


def check_response(response: httpx.Response) -> None:
    """Check the shape of a response, each of a batch alone, and that its errors are the client's fault."""
    assert response.status_code in {200, 400, 406, 413, 415}
    content: dict[str, Any] | list[dict[str, Any]] = response.json()
    for body in content if isinstance(content, list) else [content]:
        check_body(body)
        if response.status_code >= 400:
            assert "data" not in body


def check_body(body: dict[str, Any]) -> None:
    """Check one response."""
    assert set(body) <= {"data", "errors", "extensions"}
    assert set(body.get("extensions", ())) <= {"suggestions"}
    errors = body.get("errors", [])
    assert {error["extensions"]["code"] for error in errors} <= CLIENT_ERROR_CODES
    assert all(len(error["message"]) <= 501 for error in errors)
    assert errors or "data" in body


FIELDS = st.sampled_from(("query", "variables", "operationName", "extensions", "id", "x"))
DOCUMENTS = st.sampled_from(
    (
        "{ __typename }",
        "{ countries(first: 1) { nodes { code } } }",
        "query a { status { version } } query b { __typename }",
        "query ($f: CountryFilter, $n: Int) { countries(filter: $f, first: $n) { totalCount } }",
        "mutation { refreshCountries { id } }",
        "subscription { a }",
        "{",
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | DOCUMENTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)
JSON_VALUES = st.dictionaries(FIELDS, VALUES) | VALUES
ENCODINGS = st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Return bytes: any, or JSON in some encoding, of which a part may be replaced."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=50))
    text = json.dumps(draw(JSON_VALUES), ensure_ascii=draw(st.booleans()))
    body = text.encode(draw(ENCODINGS), errors="replace")
    if draw(st.booleans()):
        start, stop = draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))
        body = body[:start] + draw(st.binary(max_size=5)) + body[stop:]
    return body


def send_body(client: httpx.Client, body: bytes, accept: str) -> None:
    """POST a body, and check the response."""
    headers = {"Content-Type": "application/json", "Accept": accept}
    check_response(client.post("/graphql", content=body, headers=headers))


@few_examples
@given(body=bodies(), accept=st.sampled_from(ACCEPTS))
def test_bodies(client: httpx.Client, body: bytes, accept: str) -> None:
    """Any body gets a GraphQL response."""
    send_body(client, body, accept)


@many_examples
@given(body=bodies(), accept=st.sampled_from(ACCEPTS))
def test_many_bodies(client: httpx.Client, body: bytes, accept: str) -> None:
    """So do ten times as many."""
    send_body(client, body, accept)


@few_examples
@given(parameters=st.dictionaries(FIELDS, st.text(max_size=9) | DOCUMENTS))
def test_parameters(client: httpx.Client, parameters: dict[str, str]) -> None:
    """Any parameters of a GET get a GraphQL response; a mutation is rejected."""
    encoded = httpx.QueryParams({name: text.encode("utf-8", "replace").decode() for name, text in parameters.items()})
    response = client.get(f"/graphql?{encoded}")
    if response.status_code != 405:
        check_response(response)


INSTANTS = st.datetimes().map(lambda instant: instant.isoformat() + "Z") | st.text(max_size=9)
SCALARS: dict[str, st.SearchStrategy[Any]] = {"DateTime": INSTANTS.map(nodes.String)}
QUERIES = graphql.queries(SCHEMA, custom_scalars=SCALARS)
OPERATIONS = graphql.from_schema(SCHEMA, custom_scalars=SCALARS)


def send_document(client: httpx.Client, document: str) -> dict[str, Any]:
    """POST a document, and return the checked response."""
    text = document.encode("utf-8", "replace").decode()
    response = client.post("/graphql", json={"query": text})
    check_response(response)
    body: dict[str, Any] = response.json()
    return body


@few_examples
@given(document=QUERIES)
def test_documents(client: httpx.Client, document: str) -> None:
    """Any query that the schema allows is valid for the server too."""
    body = send_document(client, document)
    codes = {error["extensions"]["code"] for error in body.get("errors", [])}
    # Arguments can contradict one another, and DateTime is no text to the schema.
    assert codes <= {"BAD_USER_INPUT", "QUERY_TOO_COMPLEX", "GRAPHQL_VALIDATION_FAILED"}


@many_examples
@given(document=OPERATIONS, cut=st.integers(0, 400), patch=st.text('{}()[]$@!:."#a1 \n', max_size=4))
def test_many_documents(client: httpx.Client, document: str, cut: int, patch: str) -> None:
    """Any operation that the schema allows, intact or broken, gets a GraphQL response."""
    send_document(client, document)
    send_document(client, document[:cut] + patch + document[cut:])
