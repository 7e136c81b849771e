"""Validation finds graphql-core's errors, in its order."""

import re
from collections import Counter
from collections.abc import Collection

import graphql
import pytest
from graphql import GraphQLError, Lexer
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from graphql_api.execution.document import Document
from graphql_api.execution.validation import validate_document
from tests.support.document_strategies import documents
from tests.support.schema_client import SCHEMA

RULES = graphql.specified_rules
KITCHEN_SINK = """
query One($code: String! = "FR", $first: Int, $filter: CountryFilter, $keys: [CountrySort!] = [{field: NAME}]) {
  country(code: $code) { ...names @include(if: true) ... on Country { id name: capital rateFrom { asOf } } }
  countries(filter: {and: [$filter, {region: {in: ["Europe", null]}}], or: []}, sort: $keys, first: $first) {
    totalCount edges { cursor node { ...names figuresFrom { provider live } } } nodes { alias: name ...loop }
  }
  node(id: 7) { __typename ... @skip(if: false) { id } }
}
mutation Two { deleteCountry(code: "FR", name: null) { code } refreshCountries { id } }
subscription Three { refreshProgress { phase } }
fragment names on Country { code name ...more }
fragment more on Node { id ... on Country { population } }
fragment loop on Country { code ...names }
fragment other on Status { version lastRefresh { sources { kind failures } } }
"""
NAMES = (
    *("country", "countries", "code", "name", "names", "more", "loop", "other", "id", "nodes", "node"),
    *("Country", "Query", "Node", "CountryFilter", "Int", "String", "Missing", "first", "filter", "keys", "sort"),
    *("totalCount", "status", "version", "if", "skip", "include", "deprecated", "One", "Two", "x", "on", "eq", "in"),
    *("__schema", "__typename", "refreshProgress", "fragment", "query", "subscription", "POPULATION", "DESC"),
)
VALUES = ("1", "1.5", '"text"', "null", "true", "[]", "{}", "[1, [null]]", "{eq: 1}", "$first", "$x", "NAME")
INSERTED = (
    *("name", "...names", "...more", "...missing", "x: name", "code: name", "... on Country { code ...loop }"),
    *("... on Status { version }", "... { }", "nodes { code }", "country { name }", "country(code: $x) { id }"),
    *("__schema { types { fields { type { fields { name } } } } }", "{ }", "@skip(if: $first)", "@defer(label: $x)"),
    *('@stream(initialCount: "1")', "@skip", "@missing", "(code: 1, code: 2)", "(x: 1)", "($x: Int, $x: Country!)"),
    *(
        "type Missing { a: Int }",
        "extend type Country { b: Int }",
        "directive @missing on FIELD",
        "schema { query: X }",
    ),
    *("query One { x }", "{ a }", "fragment names on Missing { a }", "fragment x on CountryFilter { eq }", "(eq: $x)"),
)
TOKENS = re.compile(r'\.\.\.|"[^"]*"|[$@]?\w+|[^\s\w]')


@st.composite
def documents_with_errors(draw: st.DrawFn) -> str:
    """Draw a document with some tokens changed, added and removed. Many of them cannot be parsed."""
    tokens = TOKENS.findall(draw(st.just(KITCHEN_SINK) | documents()))
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(tokens) - 1))
        action = draw(st.integers(0, 3))
        if action == 0:
            tokens.insert(index, draw(st.sampled_from(INSERTED)))
        elif action == 1 and len(tokens) > 1:
            del tokens[index]
        elif tokens[index].isidentifier():
            tokens[index] = draw(st.sampled_from(NAMES))
        else:
            values = VALUES if tokens[index][0] in '"$' or tokens[index].isdigit() else INSERTED
            tokens[index] = draw(st.sampled_from(values))
    return " ".join(tokens)


def describe(errors: Collection[GraphQLError]) -> list[tuple[str, list[tuple[str, object]]]]:
    """Return the messages of errors, and kind and position of the nodes that they are about."""
    return [
        (error.message, [(node.kind, node.loc and (node.loc.start, node.loc.end)) for node in error.nodes or ()])
        for error in errors
    ]


def validate_both(document: str, *, max_errors: int = 100, hide_suggestions: bool = False) -> list[GraphQLError]:
    """Return the errors of a document, after they were compared with graphql-core's."""
    node = graphql.parse(document)
    rules = (*RULES, graphql.NoSchemaIntrospectionCustomRule) if hide_suggestions else RULES
    errors, expected = (
        validate(SCHEMA.executable, node, rules, max_errors=max_errors, hide_suggestions=hide_suggestions)
        for validate in (validate_document, graphql.validate)
    )
    assert describe(errors) == describe(expected)
    return errors


@settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(documents_with_errors(), st.sampled_from((1, 5, 100)), st.booleans())
def test_same_errors(document: str, max_errors: int, hide_suggestions: bool) -> None:
    """Any document has the same errors, about the same nodes, in the same order, up to the same number."""
    try:
        graphql.parse(document)
    except graphql.GraphQLSyntaxError:
        return
    validate_both(document, max_errors=max_errors, hide_suggestions=hide_suggestions)


@pytest.mark.parametrize("inserted", INSERTED)
def test_rules_by_token(inserted: str) -> None:
    """The rules that no token of a document asks for find nothing in it."""
    plain, compared = '{ country(code: "FR") { name } }', 0
    for document in (f"{plain} {inserted}", plain.replace("name", f"name {inserted}"), f"query {inserted} {plain}"):
        try:
            node = Document(SCHEMA.document_cache._parser, graphql.parse(document), count_tokens(document))
        except graphql.GraphQLSyntaxError:
            continue
        errors = validate_document(SCHEMA.executable, node.node, node.rules, max_errors=100, hide_suggestions=False)
        assert describe(errors) == describe(validate_both(document))
        compared += 1
    assert compared


def count_tokens(document: str) -> Counter[graphql.TokenKind]:
    """Return the number of tokens of each kind."""
    lexer = Lexer(graphql.Source(document))
    return Counter(iter(lambda: lexer.advance().kind, graphql.TokenKind.EOF))


def test_kitchen_sink() -> None:
    """A document with most kinds of nodes has exactly the errors that it was written with."""
    conflict = "Fields 'name' conflict because 'capital' and 'name' are different fields."
    assert [error.message for error in validate_both(KITCHEN_SINK)] == [
        f"{conflict} Use different aliases on the fields to fetch both if this was intentional.",
        "Expected value of non-null type 'String!' not to be None.",
        "Variable '$filter' of type 'CountryFilter' used in position expecting type 'CountryFilter!'.",
        "Fragment 'other' is never used.",
    ]


@pytest.mark.parametrize(
    "document",
    [
        f"{'{ a ' * 199}{'}' * 199}",
        f"{{ countries(filter: {'{and: ' * 190}1{'}' * 190}) {{ totalCount }} }}",
        f"{{ countries(filter: {'[' * 190}1{']' * 190}) {{ totalCount }} }}",
    ],
)
def test_deep_documents(document: str) -> None:
    """A document as deep as the parser accepts is validated to its end, also far down the stack."""

    def descend(frames: int) -> list[GraphQLError]:
        return descend(frames - 1) if frames else validate_both(document)

    assert descend(50)


@pytest.mark.slow
@pytest.mark.parametrize("inserted", INSERTED)
def test_each_place(inserted: str) -> None:
    """A wrong part has the same errors wherever it can be parsed."""
    tokens = TOKENS.findall(KITCHEN_SINK)
    parsed = 0
    for index in range(len(tokens) + 1):
        document = " ".join((*tokens[:index], inserted, *tokens[index:]))
        try:
            graphql.parse(document)
        except graphql.GraphQLSyntaxError:
            continue
        parsed += 1
        validate_both(document)
    assert parsed
