"""Hints in errors for clients that know another schema, unless introspection is off."""

from typing import Any

import pytest

from graphql_api.execution.engine import build_schema

SCHEMA = build_schema(introspection=True)
CLOSED_SCHEMA = build_schema(introspection=False)
NO_OBJECT = "Expected value of type '{}' to be an object, found: {}."


def find_errors(query: str, variables: dict[str, Any] | None = None, schema: Any = SCHEMA) -> list[str]:  # noqa: ANN401 - the schema's type is internal
    """Return the messages of validation, or of the coercion of variables."""
    document = schema.document_cache.get_or_parse(query)
    operation = document.get_operation(None)
    errors = document.validate(operation) or operation.coerce_variables(variables or {})
    return [error.message for error in errors]


@pytest.mark.parametrize(
    ("selection", "type_name", "name", "hint"),
    [
        ("countries { name }", "CountryConnection", "name", "nodes { name }"),
        ("countries { edges { name } }", "CountryEdge", "name", "node { name }"),
        ("countries { hasNextPage }", "CountryConnection", "hasNextPage", "pageInfo { hasNextPage }"),
        ("capital", "Query", "capital", "country { capital }"),
        ("version", "Query", "version", "status { version }"),
    ],
)
def test_nested_fields(selection: str, type_name: str, name: str, hint: str) -> None:
    """A field that the objects one level deeper have is suggested with the way to it."""
    error = f"Cannot query field '{name}' on type '{type_name}'."
    assert find_errors(f"{{ {selection} }}") == [f"{error} Did you mean '{hint}'?"]
    assert find_errors(f"{{ {selection} }}", schema=CLOSED_SCHEMA) == [error]


@pytest.mark.parametrize(
    ("type_name", "argument", "value", "hint"),
    [
        ("StringFilter", "filter: { region: %s }", '"Europe"', '{ eq: "Europe" }'),
        ("StringFilter", "filter: { region: %s }", '["Europe", "Asia"]', '{ in: ["Europe", "Asia"] }'),
        ("StringFilter", "filter: { not: { region: %s } }", f'"{"x" * 100}"', "{ eq: … }"),
        ("IntFilter", "filter: { population: %s }", "5", "{ eq: 5 }"),
        ("CountrySort", "sort: %s", "NAME", "{ field: NAME }"),
        ("CountrySort", "sort: %s", '"name"', "{ field: NAME }"),
        ("CountrySort", "sort: %s", '"nane"', ""),
        ("CountryFilter", "filter: %s", '"Europe"', ""),
    ],
)
def test_bare_values(type_name: str, argument: str, value: str, hint: str) -> None:
    """A bare value where an object is expected is suggested in its object."""
    error, query = NO_OBJECT.format(type_name, value), f"{{ countries({argument % value}) {{ totalCount }} }}"
    assert find_errors(query) == [f"{error} Did you mean {hint}?" if hint else error]
    assert find_errors(query, schema=CLOSED_SCHEMA) == [error]


@pytest.mark.parametrize(
    ("value", "found", "hint"),
    [("Europe", "'Europe'", '{ eq: "Europe" }'), (["Côte d'Or"], '["Côte d\'Or"]', '{ in: ["Côte d\'Or"] }')],
)
def test_bare_values_of_variables(value: object, found: str, hint: str) -> None:
    """The same holds for values in variables."""
    query, variables = "query ($f: CountryFilter) { countries(filter: $f) { totalCount } }", {"f": {"region": value}}
    error = f"Variable '$f' has invalid value at .region: {NO_OBJECT.format('StringFilter', found)}"
    assert find_errors(query, variables) == [f"{error} Did you mean {hint}?"]
    assert find_errors(query, variables, CLOSED_SCHEMA) == [error]


@pytest.mark.parametrize(
    ("variable_type", "argument", "expected", "hint"),
    [
        ("String!", "filter: { region: $v }", "StringFilter", " Did you mean { eq: $v }?"),
        ("[String!]!", "filter: { region: $v }", "StringFilter", " Did you mean { in: $v }?"),
        ("IntFilter", "filter: { region: $v }", "StringFilter", ""),
        ("String", "sort: $v", "[CountrySort!]", ""),
    ],
)
def test_bare_variables(variable_type: str, argument: str, expected: str, hint: str) -> None:
    """A variable of a bare type is suggested in a filter's object, and nowhere else."""
    query = f"query ($v: {variable_type}) {{ countries({argument}) {{ totalCount }} }}"
    error = f"Variable '$v' of type '{variable_type}' used in position expecting type '{expected}'."
    assert find_errors(query) == [f"{error}{hint}"]
