"""The attacks of graphql-cop and of OWASP's list on a real server in production."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.expensive_queries import EXPENSIVE_QUERIES, to_body
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import TYPENAME_RESPONSE, RawResponse, open_connection, request_head

PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "sqlite:///var/countries.db",
    "PUBLIC_URL": "https://countries.example",
    "ADMIN_TOKEN": "s3cret-Token-of-24-letters",
}
DELETION = 'mutation { deleteCountry(code: "ZW") { code } }'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server in production with bundled sources."""
    with running_server(tmp_path_factory.mktemp("attacked"), **BUNDLED_SOURCES, **PRODUCTION) as process:
        process.wait_for_log("Ctrl-C stops")
        yield process


@pytest.fixture(scope="module")
def closed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server in production that does not publish its schema."""
    settings = {**BUNDLED_SOURCES, **PRODUCTION, "INTROSPECTION": "false"}
    with running_server(tmp_path_factory.mktemp("closed"), **settings) as process:
        process.wait_for_log("Ctrl-C stops")
        yield process


@pytest.fixture(scope="module")
def development_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server in development, which allows introspection."""
    with running_server(tmp_path_factory.mktemp("open"), **BUNDLED_SOURCES) as process:
        process.wait_for_log("Ctrl-C stops")
        yield process


def post(server: Process, body: object, **headers: str) -> RawResponse:
    """POST JSON."""
    with open_connection(server) as connection:
        return connection.post(json.dumps(body).encode(), **headers)


def get(server: Process, path: str, **headers: str) -> RawResponse:
    """GET a path."""
    with open_connection(server) as connection:
        connection.send(request_head(f"GET {path}", **headers))
        return connection.read_response("GET")


def error_messages(response: RawResponse) -> list[str]:
    """Return the messages of a response that consists of errors."""
    assert list(response.json) == ["errors"]
    return [error["message"] for error in response.json["errors"]]


def too_complex(detail: str) -> list[str]:
    """Return the error messages of a rejected query."""
    return [f"The query is too complex: {detail}."]


def test_alias_overloading(server: Process) -> None:
    """A hundred aliases are rejected."""
    query = "query cop { " + " ".join(f"alias{i}: __typename" for i in range(101)) + " }"
    assert error_messages(post(server, {"query": query})) == too_complex("aliases 101, at most 50")


def test_batching(server: Process) -> None:
    """A batch of more than ten queries is rejected as a whole, and ten share the limits of one."""
    response = post(server, [{"query": "query cop { __typename }"}] * 11)
    assert (response.status, response.error_codes) == (400, ["BAD_USER_INPUT"])
    query = "query cop { countries { nodes { name neighbours { name neighbours { name } } } } }"
    alone, *_, last = post(server, [{"query": query}] * 10).json
    assert list(alone) == ["data"]
    assert [error["extensions"]["code"] for error in last["errors"]] == ["QUERY_TOO_COMPLEX"]


def test_directive_overloading(server: Process) -> None:
    """Too many directives are rejected, and ten unknown ones return six errors."""
    query = f"query cop {{ __typename {'@aa' * 300} }}"
    assert error_messages(post(server, {"query": query})) == too_complex("fields 301, at most 300")
    response = post(server, {"query": f"query cop {{ __typename {'@aa' * 10} }}"})
    assert len(response.error_codes) == 6


def test_circular_introspection(development_server: Process) -> None:
    """Circular introspection is rejected even where introspection is allowed."""
    cycle = "fields { type { " * 4 + "name" + " } }" * 4
    query = f"query cop {{ __schema {{ types {{ {cycle} }} }} }}"
    response = post(development_server, {"query": query})
    assert error_messages(response) == ["Maximum introspection depth exceeded"]


def test_field_duplication(server: Process) -> None:
    """Five hundred times the same field is rejected."""
    query = "query cop { " + "__typename " * 500 + "}"
    assert error_messages(post(server, {"query": query})) == too_complex("fields 500, at most 300")


def test_mutation_by_get(server: Process) -> None:
    """A mutation by GET is rejected."""
    response = get(server, "/graphql?query=mutation+cop+%7B__typename%7D")
    assert (response.status, response.headers["Allow"]) == (405, "POST")
    assert response.error_codes == ["BAD_USER_INPUT"]


def test_query_by_get(server: Process) -> None:
    """A query by GET changes nothing, and no page of another origin can read the response."""
    response = get(server, "/graphql?query=query+cop+%7B__typename%7D", Origin="https://evil.example")
    assert (response.status, response.json) == (200, TYPENAME_RESPONSE)
    assert response.headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_form(server: Process, content_type: str) -> None:
    """A form, which any page may send, is rejected; so are uploads."""
    with open_connection(server) as connection:
        response = connection.post(b"query=query+cop+%7B__typename%7D", Content_Type=content_type)
    assert (response.status, response.error_codes) == (415, ["BAD_USER_INPUT"])


def test_tracing(server: Process) -> None:
    """No response has extensions, so none contains a trace."""
    response = post(server, {"query": "query cop { __typename }"}, X_Apollo_Tracing="1")
    assert response.json == TYPENAME_RESPONSE


def test_suggestions(closed_server: Process) -> None:
    """Where the schema is not public, a wrong field name gets no suggestion."""
    response = post(closed_server, {"query": "query cop { __schema { directive } countris }"})
    assert "Did you mean" not in response.body.decode()


def test_introspection(closed_server: Process) -> None:
    """INTROSPECTION=false hides the schema."""
    response = post(closed_server, {"query": "query cop { __schema { types { name fields { name } } } }"})
    assert set(response.error_codes) == {"GRAPHQL_VALIDATION_FAILED"}
    assert get(closed_server, "/schema.graphql").status == 404


@pytest.mark.parametrize("path", ["/graphiql", "/playground", "/console", "/graphql", "/v1/graphql"])
def test_playground(server: Process, path: str) -> None:
    """There is no playground at any of the usual paths."""
    response = get(server, path, Accept="text/html")
    assert response.status in {404, 406}
    assert b"graphiql" not in response.body.lower()


def test_unhandled_errors(server: Process) -> None:
    """Errors contain no stack trace."""
    response = post(server, {"query": "qwerty cop { abc }"})
    assert response.error_codes == ["GRAPHQL_PARSE_FAILED"]
    [error] = response.json["errors"]
    assert set(error) == {"message", "locations", "extensions"}
    assert set(error["extensions"]) == {"code"}


INJECTIONS = ["' OR 1=1 --", '"; DROP TABLE countries; --', "%s%n{0}${7*7}{{7*7}}", "\\0\\", "😀" * 9]


@pytest.mark.parametrize("text", INJECTIONS)
def test_injection(server: Process, text: str) -> None:
    """OWASP, injection: an argument is compared as text and matches nothing."""
    query = """query ($t: String) {
        country(name: $t) { code }
        countries(filter: {or: [{name: {eq: $t}}, {capital: {contains: $t}}]}) { totalCount }
    }"""
    response = post(server, {"query": query, "variables": {"t": text}})
    assert response.json["data"] == {"country": None, "countries": {"totalCount": 0}}
    (suggestion,) = response.json["extensions"]["suggestions"]
    assert (suggestion["value"], suggestion["didYouMean"]) == (text, [])


def test_depth(server: Process) -> None:
    """OWASP, depth: a circular query is rejected."""
    query = "query { a " + "{ a " * 30 + "} " * 30 + "}"
    assert error_messages(post(server, {"query": query})) == too_complex("depth 21, at most 20")


def test_fragment_bomb(server: Process) -> None:
    """Denial of service: fragments that double one another are counted and rejected."""
    fragments = [f"fragment f{i} on Query {{ ...f{i + 1} ...f{i + 1} }}" for i in range(17)]
    query = f"{{ ...f0 }} {' '.join(fragments)} fragment f17 on Query {{ __typename }}"
    assert error_messages(post(server, {"query": query})) == too_complex("fields 382, at most 300")


def test_fragment_circle(server: Process) -> None:
    """Denial of service: a fragment that uses itself is rejected."""
    query = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }"
    assert error_messages(post(server, {"query": query})) == ["Cannot spread fragment 'a' within itself via 'b'."]


def test_amount(server: Process) -> None:
    """OWASP, amount: many complete lists are rejected for their cost; many pages are not."""
    fields = "nodes { code name capital region subregion population areaKm2 flagUrl }"
    expensive_query = "{ " + " ".join(f"a{i}: countries {{ {fields} }}" for i in range(21)) + " }"
    assert error_messages(post(server, {"query": expensive_query})) == too_complex("cost 52500, at most 50000")
    cheap_query = "{ " + " ".join(f"a{i}: countries(first: 9) {{ {fields} }}" for i in range(21)) + " }"
    assert len(post(server, {"query": cheap_query}).json["data"]) == 21


def test_brute_force(server: Process) -> None:
    """OWASP, batching: one request cannot run many mutations."""
    query = "mutation { " + " ".join(f'a{i}: deleteCountry(code: "ZW") {{ id }}' for i in range(25)) + " }"
    assert error_messages(post(server, {"query": query})) == too_complex("cost 50025, at most 50000")


@pytest.mark.parametrize("origin", [None, "https://evil.example"])
def test_access(server: Process, origin: str | None) -> None:
    """OWASP, access control: a mutation without the token changes nothing."""
    headers = {} if origin is None else {"Origin": origin}
    response = post(server, {"query": DELETION}, **headers)
    [error] = response.json["errors"]
    assert (response.json["data"], error["extensions"]) == (None, {"code": "UNAUTHENTICATED"})
    query = {"query": '{ country(code: "ZW") { name } }'}
    assert post(server, query).json == {"data": {"country": {"name": "Zimbabwe"}}}


@pytest.mark.slow
def test_other_limits(tmp_path: Path) -> None:
    """QUERY_LIMITS sets the limits."""
    with running_server(tmp_path, **BUNDLED_SOURCES, QUERY_LIMITS="depth=2,aliases=1") as limited:
        deep_response = post(limited, {"query": "{ status { lastRefresh { id } } }"})
        assert error_messages(deep_response) == too_complex("depth 3, at most 2")
        wide_response = post(limited, {"query": "{ a: __typename b: __typename }"})
        assert error_messages(wide_response) == too_complex("aliases 2, at most 1")
        assert post(limited, {"query": "{ __typename }"}).json == TYPENAME_RESPONSE


def test_expensive_queries(development_server: Process) -> None:
    """Queries made to be expensive get at most two megabytes each, and the server goes on serving."""
    with open_connection(development_server) as connection:
        for query in EXPENSIVE_QUERIES.values():
            response = connection.post(to_body(query))
            assert response.status == 200
            assert len(response.body) < 2_000_100
            assert "INTERNAL_SERVER_ERROR" not in response.body[-10_000:].decode(errors="replace")
        assert connection.post(b'{"query": "{ __typename }"}').json == TYPENAME_RESPONSE
