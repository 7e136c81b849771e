"""Preparing documents: limits come before validation, and errors are few, short and silent."""

import pytest
from graphql import GraphQLSyntaxError, get_introspection_query

from graphql_api.errors import QueryTooComplex
from graphql_api.execution.engine import build_schema
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.preparation import DocumentParser
from tests.support.factories import make_country
from tests.support.schema_client import SchemaClient, offline_client

PARSER = DocumentParser(limits=QueryLimits(), introspection=True)
INTROSPECTION = get_introspection_query(
    descriptions=True,
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
)
CLIENT = offline_client([make_country("FR")])
NO_INTROSPECTION_CLIENT = SchemaClient(
    catalog=CLIENT.catalog, refreshes=CLIENT.refreshes, schema=build_schema(introspection=False)
)


def parse_error_message(text: str) -> str:
    """Return why a document is not even validated."""
    with pytest.raises(QueryTooComplex) as exc_info:
        PARSER.parse(text)
    return str(exc_info.value)


def test_characters() -> None:
    """A document is refused for its length before it is parsed, whatever it says."""
    assert PARSER.parse("{a}" + " " * 19_997).document.definitions
    message = "The query is too complex: characters 20001, at most 20000."
    assert parse_error_message("{a}" + " " * 19_998) == message
    assert parse_error_message("}" * 20_001) == message


def test_tokens() -> None:
    """A document is refused for its tokens, and for its comments, while it is parsed."""
    message = "The query is too complex: tokens over 4000, at most 4000."
    assert parse_error_message("{" + "a " * 4000 + "}") == message
    assert PARSER.parse("#\n" * 4000 + "{a}").document.definitions
    assert parse_error_message("#\n" * 4001 + "{a}") == message


def test_not_a_document() -> None:
    """What is no document is a syntax error, even one that says what a refusal would."""
    with pytest.raises(GraphQLSyntaxError):
        PARSER.parse("Document contains more than 4000 tokens. Parsing aborted.")


async def test_introspection_query() -> None:
    """The question that playgrounds ask about the schema, in full, is within the limits."""
    data = await offline_client().query(INTROSPECTION)
    assert data["__schema"]["queryType"]["name"] == "Query"
    names = {kind["name"] for kind in data["__schema"]["types"]}
    assert {"CountryFilter", "Country", "RefreshReport"} <= names


async def test_limits_come_first() -> None:
    """A document that is too complex is not validated, so that nothing wrong in it costs time."""
    response = await offline_client().request("{ " + "nothing " * 301 + "}")
    message = "The query is too complex: fields 301, at most 300."
    assert response.executed is False
    assert response.body == {
        "errors": [{"message": message, "extensions": {"code": "QUERY_TOO_COMPLEX"}}]
    }


async def test_few_errors() -> None:
    """Validation stops at the fifth error, and says so."""
    response = await offline_client().request("{ " + "nothing " * 30 + "}")
    messages = [error["message"] for error in response.body["errors"]]
    assert messages == [
        *["Cannot query field 'nothing' on type 'Query'."] * 5,
        "Too many validation errors, error limit reached. Validation aborted.",
    ]


async def test_few_failures() -> None:
    """However many fields fail, twenty errors are told."""
    fields = " ".join(f"a{i}: country {{ id }}" for i in range(30))
    response = await CLIENT.request(f"{{ {fields} }}")
    assert len(response.body["data"]) == 30
    assert [error["path"] for error in response.body["errors"]] == [[f"a{i}"] for i in range(20)]


async def test_short_errors() -> None:
    """A message that quotes the client is cut short."""
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
    """Who is nearly right is told what would be, unless the schema is not to be known."""
    response = await CLIENT.request(document, variables)
    assert response.executed is False
    assert "Did you mean" in " ".join(error["message"] for error in response.body["errors"])
    closed_response = await NO_INTROSPECTION_CLIENT.request(document, variables)
    assert closed_response.executed is False
    assert [
        error for error in closed_response.body["errors"] if "Did you mean" in error["message"]
    ] == []
