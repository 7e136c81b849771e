"""Preparing documents: limits come before validation, and errors are few, short and silent."""

import pytest
from graphql import GraphQLSyntaxError, get_introspection_query

from graphql_api.errors import QueryTooComplex
from graphql_api.schema.building import build_schema
from graphql_api.schema.limits import Limits
from graphql_api.schema.preparing import Preparation
from tests.rows import make_country
from tests.schema.asking import Asker, offline

OPEN = Preparation(limits=Limits(), introspection=True)
INTROSPECTION = get_introspection_query(
    descriptions=True,
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
)
PLAIN = offline([make_country("FR")])
CLOSED = Asker(
    catalog=PLAIN.catalog, refreshes=PLAIN.refreshes, schema=build_schema(introspection=False)
)


def refused(text: str) -> str:
    """Return why a document is not even validated."""
    with pytest.raises(QueryTooComplex) as caught:
        OPEN.parse(text)
    return str(caught.value)


def test_characters() -> None:
    """A document is refused for its length before it is parsed, whatever it says."""
    assert OPEN.parse("{a}" + " " * 19_997).document.definitions
    told = "The query is too complex: characters 20001, at most 20000."
    assert refused("{a}" + " " * 19_998) == told
    assert refused("}" * 20_001) == told


def test_tokens() -> None:
    """A document is refused for its tokens, and for its comments, while it is parsed."""
    told = "The query is too complex: tokens over 4000, at most 4000."
    assert refused("{" + "a " * 4000 + "}") == told
    assert OPEN.parse("#\n" * 4000 + "{a}").document.definitions
    assert refused("#\n" * 4001 + "{a}") == told


def test_not_a_document() -> None:
    """What is no document is a syntax error, even one that says what a refusal would."""
    with pytest.raises(GraphQLSyntaxError):
        OPEN.parse("Document contains more than 4000 tokens. Parsing aborted.")


async def test_introspection_query() -> None:
    """The question that playgrounds ask about the schema, in full, is within the limits."""
    answer = await offline().ask(INTROSPECTION)
    assert answer["__schema"]["queryType"]["name"] == "Query"
    names = {kind["name"] for kind in answer["__schema"]["types"]}
    assert {"CountryFilter", "Country", "RefreshReport"} <= names


async def test_limits_come_first() -> None:
    """A document that is too complex is not validated, so that nothing wrong in it costs time."""
    response = await offline().respond("{ " + "nothing " * 301 + "}")
    message = "The query is too complex: fields 301, at most 300."
    assert response.executed is False
    assert response.body == {
        "errors": [{"message": message, "extensions": {"code": "QUERY_TOO_COMPLEX"}}]
    }


async def test_few_errors() -> None:
    """Validation stops at the fifth error, and says so."""
    response = await offline().respond("{ " + "nothing " * 30 + "}")
    messages = [error["message"] for error in response.body["errors"]]
    assert messages == [
        *["Cannot query field 'nothing' on type 'Query'."] * 5,
        "Too many validation errors, error limit reached. Validation aborted.",
    ]


async def test_few_failures() -> None:
    """However many fields fail, twenty errors are told."""
    fields = " ".join(f"a{i}: country {{ id }}" for i in range(30))
    response = await PLAIN.respond(f"{{ {fields} }}")
    assert len(response.body["data"]) == 30
    assert [error["path"] for error in response.body["errors"]] == [[f"a{i}"] for i in range(20)]


async def test_short_errors() -> None:
    """A message that quotes the client is cut short."""
    response = await offline().respond("{ " + "x" * 10_000 + " }")
    [error] = response.body["errors"]
    assert error["message"] == "Cannot query field '" + "x" * 480 + "…"
    response = await offline().respond(
        "query ($n: Int) { refreshes(first: $n) { id } }", {"n": {"y" * 10_000: 1}}
    )
    [error] = response.body["errors"]
    assert len(error["message"]) <= 501


NEARLY = [
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


@pytest.mark.parametrize(("document", "variables"), NEARLY)
async def test_suggestions(document: str, variables: dict[str, object]) -> None:
    """Who is nearly right is told what would be, unless the schema is not to be known."""
    told = await PLAIN.respond(document, variables)
    assert told.executed is False
    assert "Did you mean" in " ".join(error["message"] for error in told.body["errors"])
    silent = await CLOSED.respond(document, variables)
    assert silent.executed is False
    assert [error for error in silent.body["errors"] if "Did you mean" in error["message"]] == []
