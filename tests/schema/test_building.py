"""The schema as a whole: it keeps the contract, explains itself, and is the printed one."""

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

from graphql_api.schema.building import build_schema
from tests.schema.asking import SCHEMA, Asker, offline

OURS = read_schema(str(SCHEMA))


def read_contract() -> GraphQLSchema:
    """Return the contract that clients rely on."""
    return read_schema((Path(__file__).parent / "contract.graphql").read_text())


def described(schema: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    """Yield everything that can have a description, by its name, with it."""
    for name, kind in schema.type_map.items():
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        yield name, kind.description
        if isinstance(kind, GraphQLEnumType):
            yield from ((f"{name}.{key}", value.description) for key, value in kind.values.items())
        if isinstance(kind, GraphQLObjectType | GraphQLInputObjectType):
            yield from ((f"{name}.{key}", field.description) for key, field in kind.fields.items())
        if isinstance(kind, GraphQLObjectType):
            for key, field in kind.fields.items():
                for argument, about in field.args.items():
                    yield f"{name}.{key}({argument})", about.description


def signatures(schema: GraphQLSchema) -> dict[str, str]:
    """Return the type, with its nullability, of every field, argument and input field."""
    typed = {}
    for name, kind in schema.type_map.items():
        if is_introspection_type(kind):
            continue
        if isinstance(kind, GraphQLObjectType):
            for key, field in kind.fields.items():
                typed[f"{name}.{key}"] = str(field.type)
                typed |= {f"{name}.{key}({it})": str(one.type) for it, one in field.args.items()}
        if isinstance(kind, GraphQLInputObjectType):
            typed |= {f"{name}.{key}": str(field.type) for key, field in kind.fields.items()}
        if isinstance(kind, GraphQLEnumType):
            typed[name] = " ".join(kind.values)
    return typed


def test_printed_schema() -> None:
    """schema.graphql is the schema: `graphql-api schema` prints it anew."""
    printed = Path(__file__).parents[2] / "schema.graphql"
    assert printed.read_text() == f"{SCHEMA}\n"


def test_introspection_does_not_change_the_schema() -> None:
    """With or without introspection it is the same schema."""
    assert str(build_schema(introspection=False)) == str(SCHEMA)


def test_contract_is_kept() -> None:
    """No client of the contract breaks."""
    assert find_breaking_changes(read_contract(), OURS) == []


def test_contract_is_kept_to_the_letter() -> None:
    """Every type, nullability, argument and enum value is exactly the contract's."""
    contract, ours = signatures(read_contract()), signatures(OURS)
    assert len(contract) == 142
    assert {name: ours.get(name) for name in contract} == contract


def test_defaults_of_the_contract() -> None:
    """What the contract fills in when it is not given is filled in the same."""
    for schema in (OURS, read_contract()):
        assert "first: Int! = 10" in print_type(schema.type_map["Query"])
        assert "direction: SortDirection! = ASC" in print_type(schema.type_map["CountrySort"])


def test_everything_is_described() -> None:
    """Every type, field, argument, input field and enum value has a description in sentences."""
    descriptions = dict(described(OURS))
    assert {"Country.id", "Query.country(code)", "SortDirection.ASC"} <= set(descriptions)
    wanting = [name for name, text in descriptions.items() if not (text or "").endswith(".")]
    assert wanting == []


def test_instants_say_what_they_are() -> None:
    """DateTime names the specification that it follows."""
    scalar = OURS.type_map["DateTime"]
    assert isinstance(scalar, GraphQLScalarType)
    assert scalar.specified_by_url == "https://www.rfc-editor.org/rfc/rfc3339"


async def test_introspection() -> None:
    """The schema answers questions about itself."""
    asked = '{ __schema { queryType { name } } __type(name: "PageInfo") { name } __typename }'
    assert await offline().ask(asked) == {
        "__schema": {"queryType": {"name": "Query"}},
        "__type": {"name": "PageInfo"},
        "__typename": "Query",
    }


async def test_no_introspection() -> None:
    """Without introspection it refuses those questions, and only those."""
    plain = offline()
    schema = build_schema(introspection=False)
    asker = Asker(catalog=plain.catalog, refreshes=plain.refreshes, schema=schema)
    response = await asker.respond('{ __schema { __typename } __type(name: "A") { name } }')
    assert (response.executed, list(response.body)) == (False, ["errors"])
    off = "GraphQL introspection has been disabled, but the requested query contained the field"
    assert [(error["message"], error["extensions"]) for error in response.body["errors"]] == [
        (f"{off} '__schema'.", {"code": "GRAPHQL_VALIDATION_FAILED"}),
        (f"{off} '__type'.", {"code": "GRAPHQL_VALIDATION_FAILED"}),
    ]
    assert await asker.ask("{ __typename countries { __typename } }") == {
        "__typename": "Query",
        "countries": {"__typename": "CountryConnection"},
    }
