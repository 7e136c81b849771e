"""Introspection: stock tools stay far within the limits, circular selections do not get beyond them."""

import re
from dataclasses import replace
from typing import Any

import pytest
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    NameNode,
    SelectionNode,
    SelectionSetNode,
    get_introspection_query,
    graphql_sync,
    parse,
    print_ast,
)

from graphql_api.execution.engine import build_schema
from graphql_api.execution.introspection_cost import IntrospectionCounter
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.row_count import DataSizes
from tests.support.schema_client import SCHEMA, offline_client

ALL_OPTIONS: dict[str, Any] = {
    "descriptions": True,
    "specified_by_url": True,
    "directive_is_repeatable": True,
    "schema_description": True,
    "input_value_deprecation": True,
    "experimental_directive_deprecation": True,
    "one_of": True,
}
"""Every option of get_introspection_query, which GraphiQL, Altair, Insomnia, graphql-codegen and Relay's tools use."""
DEFAULTS = QueryLimits()
SIZES = DataSizes(0, {}, {})
HALF = QueryLimits(tokens=2_500, depth=10, fields=150, aliases=25, items=250, cost=DEFAULTS.cost * 3 // 4)
"""About half of each limit, three quarters of the cost, and all of the time."""


def inline_fragments(document: str, *, typename: bool) -> str:
    """Return an operation with its fragments written out, as generated clients have it."""
    definitions = parse(document).definitions
    fragments = {node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)}

    def inline(selection_set: SelectionSetNode) -> SelectionSetNode:
        selections: list[SelectionNode] = [FieldNode(name=NameNode(value="__typename"))] if typename else []
        for selection in selection_set.selections:
            if isinstance(selection, FragmentSpreadNode):
                selections += inline(fragments[selection.name.value].selection_set).selections[typename:]
            elif isinstance(selection, FieldNode) and selection.selection_set:
                selections.append(
                    FieldNode(
                        name=selection.name,
                        arguments=selection.arguments,
                        selection_set=inline(selection.selection_set),
                    )
                )
            else:
                selections.append(selection)
        return SelectionSetNode(selections=tuple(selections))

    operation: Any = definitions[0]
    return print_ast(inline(operation.selection_set))


FULL = {depth: get_introspection_query(**ALL_OPTIONS, type_depth=depth) for depth in (0, 9, 12, 24)}
STOCK_QUERIES = {
    "default": get_introspection_query(),
    **{f"type depth {depth}": query for depth, query in FULL.items()},
    "inlined": inline_fragments(FULL[12], typename=False),
    "inlined with __typename": inline_fragments(FULL[12], typename=True),
    "capabilities": """query Capabilities {
        schema: __type(name: "__Schema") { fields { name } }
        type: __type(name: "__Type") { fields { name args { name } } }
        directive: __type(name: "__Directive") { fields { name args { name } } }
        field: __type(name: "__Field") { fields { name args { name } } }
        input: __type(name: "__InputValue") { fields { name } }
    }""",
    "root types": """query Roots {
        __schema { queryType { ...Root } mutationType { ...Root } subscriptionType { ...Root } }
    }
    fragment Root on __Type {
        __typename kind name
        fields(includeDeprecated: true) { name args { ...Value } type { ...Ref fields { name type { ...Ref } } } }
    }
    fragment Value on __InputValue { name defaultValue type { ...Ref inputFields { name type { ...Ref } } } }
    fragment Ref on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }""",
    "one type": """query One($name: String!) {
        __type(name: $name) { name fields { name description type { name kind ofType { name kind } } } }
    }""",
}


@pytest.mark.parametrize("limits", [DEFAULTS, HALF])
@pytest.mark.parametrize("name", STOCK_QUERIES)
async def test_stock_queries(name: str, limits: QueryLimits) -> None:
    """Stock tools get graphql-core's answer, even with half of each limit."""
    client = replace(offline_client(), schema=build_schema(introspection=True, query_limits=limits))
    variables = {"name": "Country"} if name == "one type" else {}
    expected = graphql_sync(SCHEMA.executable, STOCK_QUERIES[name], variable_values=variables)
    assert expected.errors is None
    assert await client.query(STOCK_QUERIES[name], **variables) == expected.data


def count_values(result: dict[str, object]) -> int:
    """Return the number of values in an object of a response, itself included. A list of scalars is one."""
    objects = [item for value in result.values() for item in (value if isinstance(value, list) else [value])]
    return 1 + len(result) + sum(count_values(item) for item in objects if isinstance(item, dict))


@pytest.mark.parametrize("query", [*FULL.values(), STOCK_QUERIES["root types"]])
def test_exact_cost(query: str) -> None:
    """The cost of introspection is its number of values."""
    result = graphql_sync(SCHEMA.executable, query).data
    assert result is not None
    operation = SCHEMA.document_cache.get_or_parse(query).get_operation(None)
    assert operation.cost.check({}, SIZES) == count_values(result["__schema"])


async def test_cost_of_the_largest_type() -> None:
    """The cost of `__type` is that of the type with most values, whatever its name turns out to be."""
    query = 'query ($name: String = "Country") { __type(name: $name) { fields { name args { name } } } }'
    costs = []
    for name in SCHEMA.executable.type_map:
        result = graphql_sync(SCHEMA.executable, query, variable_values={"name": name}).data
        assert result is not None
        costs.append(count_values(result["__type"]))
    operation = SCHEMA.document_cache.get_or_parse(query).get_operation(None)
    assert operation.cost.check({"name": "Int"}, SIZES) == max(costs)


FIELDS_OF_FIELDS = "types { fields { name type { name fields { name description } } } }"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "{ __schema { types { " + "fields { type { " * 4 + "name" + " } }" * 4 + " } } }",
            "Maximum introspection depth exceeded",
        ),
        (
            "{ __schema { types { " + "ofType { " * 60 + "name" + " }" * 60 + " } } }",
            "The query is too complex: depth 51, at most 50.",
        ),
        (
            "{ __schema { types { ...f } } } fragment f on __Type { fields { type { ...f } } }",
            "Maximum introspection depth exceeded",
        ),
        (
            "{ __schema { ...f } } fragment f on Query { __schema { ...f } }",
            "Fragment 'f' cannot be spread here as objects of type '__Schema' can never be of type 'Query'.",
        ),
        (
            "{ " + " ".join(f"a{i}: __schema {{ {FIELDS_OF_FIELDS} }}" for i in range(30)) + " }",
            r"The query is too complex: cost \d+, at most 50000.",
        ),
        (
            "{ __schema { types { fields { type { fields { "
            + " ".join(f"a{i}: description" for i in range(200))
            + " } } } } } }",
            r"The query is too complex: cost \d+, at most 50000.",
        ),
        (
            "{ __schema { types { ...f0 } } } "
            + " ".join(
                f"fragment f{i} on __Type {{ ofType {{ ...f{i + 1} }} ofType {{ ...f{i + 1} }} }}" for i in range(16)
            )
            + " fragment f16 on __Type { name }",
            "The query is too complex: fields 5116, at most 3000.",
        ),
    ],
)
async def test_bombs(query: str, message: str) -> None:
    """Circular and repeated introspection is rejected, by depth, by cost or by the number of fields."""
    response = await offline_client().request(query)
    assert response.executed is False
    assert re.fullmatch(message, response.body["errors"][0]["message"])


async def test_counting_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the cost is beyond the limit, the remaining fields are not counted, because that takes time too."""
    counted = []
    count = IntrospectionCounter.count

    def record(counter: IntrospectionCounter, node: FieldNode) -> int:
        counted.append(node)
        return count(counter, node)

    monkeypatch.setattr(IntrospectionCounter, "count", record)
    query = "{ " + " ".join(f"a{i}: __schema {{ {FIELDS_OF_FIELDS} }}" for i in range(50)) + " }"
    assert (await offline_client().request(query)).executed is False
    assert 0 < len(counted) < 25
