"""The schema keeps the contract, describes everything, and equals schema.graphql."""

from collections.abc import Iterator
from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    print_type,
)
from graphql import build_schema as read_schema
from graphql.type import is_introspection_type, is_specified_scalar_type
from graphql.utilities import find_breaking_changes

from graphql_api.execution.engine import build_schema
from tests.support.paths import ROOT
from tests.support.schema_client import SCHEMA, SchemaClient, offline_client

PARSED_SCHEMA = read_schema(str(SCHEMA))


def load_contract() -> GraphQLSchema:
    """Return the contract that clients rely on."""
    return read_schema((Path(__file__).parent / "contract.graphql").read_text())


def iter_descriptions(schema: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    """Yield the name and the description of everything that can have one."""
    for name, graphql_type in schema.type_map.items():
        if is_introspection_type(graphql_type) or is_specified_scalar_type(graphql_type):
            continue
        yield name, graphql_type.description
        if isinstance(graphql_type, GraphQLEnumType):
            yield from ((f"{name}.{key}", value.description) for key, value in graphql_type.values.items())
        if isinstance(graphql_type, GraphQLObjectType | GraphQLInputObjectType):
            yield from ((f"{name}.{key}", field.description) for key, field in graphql_type.fields.items())
        if isinstance(graphql_type, GraphQLObjectType):
            for key, field in graphql_type.fields.items():
                for argument, argument_def in field.args.items():
                    yield f"{name}.{key}({argument})", argument_def.description


def build_signatures(schema: GraphQLSchema) -> dict[str, str]:
    """Return the type of every field, argument, input field and enum value."""
    types = {}
    for name, graphql_type in schema.type_map.items():
        if is_introspection_type(graphql_type):
            continue
        if isinstance(graphql_type, GraphQLObjectType):
            for key, field in graphql_type.fields.items():
                types[f"{name}.{key}"] = str(field.type)
                types |= {
                    f"{name}.{key}({argument})": str(argument_def.type) for argument, argument_def in field.args.items()
                }
        if isinstance(graphql_type, GraphQLInputObjectType):
            types |= {f"{name}.{key}": str(field.type) for key, field in graphql_type.fields.items()}
        if isinstance(graphql_type, GraphQLEnumType):
            types |= {f"{name}.{value}": name for value in graphql_type.values}
    return types


def test_printed_schema() -> None:
    """schema.graphql equals the schema; `graphql-api schema` prints it."""
    printed = ROOT / "schema.graphql"
    assert printed.read_text() == f"{SCHEMA}\n"


def test_introspection_does_not_change_the_schema() -> None:
    """The schema is the same with and without introspection."""
    assert str(build_schema(introspection=False)) == str(SCHEMA)


def test_contract_is_kept() -> None:
    """The schema has no breaking change from the contract."""
    assert find_breaking_changes(load_contract(), PARSED_SCHEMA) == []


def test_contract_is_kept_to_the_letter() -> None:
    """Every type, nullability, argument and enum value of the contract is unchanged."""
    contract, actual = build_signatures(load_contract()), build_signatures(PARSED_SCHEMA)
    assert len(contract) == 202
    assert {name: actual.get(name) for name in contract} == contract


def test_defaults_of_the_contract() -> None:
    """Defaults of arguments are those of the contract."""
    for schema in (PARSED_SCHEMA, load_contract()):
        assert "first: Int! = 10" in print_type(schema.type_map["Query"])
        assert "direction: SortDirection! = ASC" in print_type(schema.type_map["CountrySort"])


def test_everything_is_described() -> None:
    """Every type, field, argument, input field and enum value has a description in sentences."""
    descriptions = dict(iter_descriptions(PARSED_SCHEMA))
    assert {"Country.id", "Query.country(code)", "SortDirection.ASC"} <= set(descriptions)
    undescribed = [name for name, text in descriptions.items() if not (text or "").endswith(".")]
    assert undescribed == []


def test_date_time_names_its_specification() -> None:
    """DateTime names RFC 3339 in @specifiedBy."""
    scalar = PARSED_SCHEMA.type_map["DateTime"]
    assert isinstance(scalar, GraphQLScalarType)
    assert scalar.specified_by_url == "https://www.rfc-editor.org/rfc/rfc3339"


async def test_introspection() -> None:
    """With introspection, queries of the schema are executed."""
    query = '{ __schema { queryType { name } } __type(name: "PageInfo") { name } __typename }'
    assert await offline_client().query(query) == {
        "__schema": {"queryType": {"name": "Query"}},
        "__type": {"name": "PageInfo"},
        "__typename": "Query",
    }


async def test_no_introspection() -> None:
    """Without introspection, queries of the schema are rejected, __typename is not."""
    base_client = offline_client()
    schema = build_schema(introspection=False)
    client = SchemaClient(catalog=base_client.catalog, refreshes=base_client.refreshes, schema=schema)
    response = await client.request('{ __schema { __typename } __type(name: "A") { name } }')
    assert (response.executed, list(response.body)) == (False, ["errors"])
    message = "GraphQL introspection has been disabled, but the requested query contained the field"
    assert [(error["message"], error["extensions"]) for error in response.body["errors"]] == [
        (f"{message} '__schema'.", {"code": "GRAPHQL_VALIDATION_FAILED"}),
        (f"{message} '__type'.", {"code": "GRAPHQL_VALIDATION_FAILED"}),
    ]
    assert await client.query("{ __typename countries { __typename } }") == {
        "__typename": "Query",
        "countries": {"__typename": "CountryConnection"},
    }
