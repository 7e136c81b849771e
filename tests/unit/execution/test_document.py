"""Documents: limits come before validation, and errors are few, short and without hints."""

import pytest
from graphql import GraphQLSyntaxError

from graphql_api.errors import QueryTooComplex
from graphql_api.execution.compiler import Compiler
from graphql_api.execution.document import DocumentParser
from graphql_api.execution.engine import build_schema
from graphql_api.execution.limits import QueryLimits
from tests.support.factories import make_country
from tests.support.schema_client import SCHEMA, SchemaClient, offline_client

PARSER = DocumentParser(
    schema=SCHEMA.executable,
    compiler=Compiler(SCHEMA.executable, SCHEMA.config),
    limits=QueryLimits(),
    introspection=True,
)
CLIENT = offline_client([make_country("FR")])
NO_INTROSPECTION_CLIENT = SchemaClient(
    catalog=CLIENT.catalog, refreshes=CLIENT.refreshes, schema=build_schema(introspection=False)
)


def parse_error_message(text: str) -> str:
    """Return the message that a document is rejected with before its validation."""
    with pytest.raises(QueryTooComplex) as exc_info:
        PARSER.parse(text)
    return str(exc_info.value)


def test_characters() -> None:
    """Five characters, or a line, count as a token, which rejects a long document before it is parsed."""
    assert PARSER.parse("{a}" + " " * 19_997).node.definitions
    message = "The query is too complex: tokens 4001, at most 4000."
    assert parse_error_message("{a}" + " " * 19_998) == message
    assert parse_error_message("}" * 20_001) == message
    assert PARSER.parse("{a}" + "\r\n" * 2000).node.definitions
    assert parse_error_message("{a}" + "\n" * 4001) == message
    assert parse_error_message("{a}" + "\r" * 4001) == message


def test_tokens() -> None:
    """The parser stops at too many tokens, and at too many comments."""
    message = "The query is too complex: tokens over 4000, at most 4000."
    assert parse_error_message("{" + "a " * 4000 + "}") == message
    assert PARSER.parse("#\n" * 4000 + "{a}").node.definitions
    # As many lines as comments.
    assert parse_error_message("#\n" * 4001 + "{a}") == "The query is too complex: tokens 4001, at most 4000."


def test_not_a_document() -> None:
    """A text that quotes the parser's message about tokens is a syntax error like any other."""
    with pytest.raises(GraphQLSyntaxError):
        PARSER.parse("Document contains more than 4000 tokens. Parsing aborted.")


async def test_limits_come_first() -> None:
    """A document beyond a limit is not validated, so its errors cost no time."""
    response = await offline_client().request("{ " + "nothing " * 301 + "}")
    message = "The query is too complex: fields 301, at most 300."
    assert response.executed is False
    assert response.body == {"errors": [{"message": message, "extensions": {"code": "QUERY_TOO_COMPLEX"}}]}


LONG = "query long { " + "__typename " * 301 + "}"


async def test_long_document() -> None:
    """Of a document with more fields than one operation may have, the chosen operation is validated."""
    unused = "fragment f on Query { nothing }"
    document = (
        f"query a {{ __typename }} query b {{ nothing }} query c {{ ...g }} fragment g on Query {{ ...h }} {LONG}"
    )
    assert (await CLIENT.request(document, None, "a")).body == {"data": {"__typename": "Query"}}
    for name, message in (("b", "Cannot query field 'nothing' on type 'Query'."), ("c", "Unknown fragment 'h'.")):
        [error] = (await CLIENT.request(document, None, name)).body["errors"]
        assert (error["message"], error["extensions"]) == (message, {"code": "GRAPHQL_VALIDATION_FAILED"})
    [error] = (await CLIENT.request(f"{document} {unused}", None, "a")).body["errors"]
    assert error["message"] == "Fragment 'f' is never used."


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (f"{{ __typename }} {LONG}", "This anonymous operation must be the only defined operation."),
        (f"{LONG} {LONG}", "There can be only one operation named 'long'."),
        (f"{LONG} query a {{ a }} type T {{ a: Int }}", "The 'T' definition is not executable."),
        (
            f"{LONG} query a {{ ...f }} {'fragment f on Query { __typename } ' * 2}",
            "There can be only one fragment named 'f'.",
        ),
    ],
)
async def test_definitions_of_long_document(document: str, message: str) -> None:
    """The definitions of a document are validated as a whole, however long it is."""
    parsed = PARSER.parse(f"{document} query chosen {{ __typename }}")
    errors = parsed.validate(parsed.get_operation("chosen"))
    assert [error.message for error in errors] == [message]


async def test_short_document() -> None:
    """Of a short document, every operation is validated, whichever is chosen."""
    response = await CLIENT.request("query a { __typename } query b { nothing }", None, "a")
    [error] = response.body["errors"]
    assert error["message"] == "Cannot query field 'nothing' on type 'Query'."


async def test_few_errors() -> None:
    """Validation stops after five errors, and the last message says so."""
    response = await offline_client().request("{ " + "nothing " * 30 + "}")
    messages = [error["message"] for error in response.body["errors"]]
    assert messages == [
        *["Cannot query field 'nothing' on type 'Query'."] * 5,
        "Too many validation errors, error limit reached. Validation aborted.",
    ]


async def test_few_failures() -> None:
    """A response has at most twenty errors."""
    fields = " ".join(f"a{i}: country {{ id }}" for i in range(30))
    response = await CLIENT.request(f"{{ {fields} }}")
    assert len(response.body["data"]) == 30
    assert [error["path"] for error in response.body["errors"]] == [[f"a{i}"] for i in range(20)]


async def test_short_errors() -> None:
    """A message that quotes the client is cut off after 500 characters."""
    response = await offline_client().request("{ " + "x" * 10_000 + " }")
    [error] = response.body["errors"]
    assert error["message"] == "Cannot query field '" + "x" * 480 + "…"
    response = await offline_client().request(
        "query ($n: Int) { refreshes(first: $n) { id } }", {"n": {"y" * 10_000: 1}}
    )
    [error] = response.body["errors"]
    assert len(error["message"]) <= 501


MISSPELLED = [
    ("{ countris { totalCount } }", {}),
    ("{ countries { totalCont } }", {}),
    ("{ country(cod: 1) { code } }", {}),
    ("{ countries(filter: {nam: {}}) { totalCount } }", {}),
    ("{ countries(sort: {field: NAM}) { totalCount } }", {}),
    ("query ($v: Contry) { __typename }", {}),
    ("{ ... on Contry { code } }", {}),
    ("query ($f: CountryFilter) { countries(filter: $f) { totalCount } }", {"f": {"nam": {}}}),
    ("query ($s: [CountrySort!]) { countries(sort: $s) { totalCount } }", {"s": {"field": "NAM"}}),
]


@pytest.mark.parametrize(("document", "variables"), MISSPELLED)
async def test_suggestions(document: str, variables: dict[str, object]) -> None:
    """Messages suggest names of the schema only if introspection is allowed."""
    response = await CLIENT.request(document, variables)
    assert response.executed is False
    assert "Did you mean" in " ".join(error["message"] for error in response.body["errors"])
    closed_response = await NO_INTROSPECTION_CLIENT.request(document, variables)
    assert closed_response.executed is False
    assert [error for error in closed_response.body["errors"] if "Did you mean" in error["message"]] == []
