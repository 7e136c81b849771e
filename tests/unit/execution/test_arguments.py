"""Arguments and variables are coerced as graphql-core coerces them."""

from typing import Any

import hypothesis
import strawberry
from graphql import (
    ExecutionResult,
    FieldNode,
    NoUnusedVariablesRule,
    OperationDefinitionNode,
    execute_sync,
    parse,
    specified_rules,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values
from hypothesis import given
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField

from graphql_api.execution.arguments import ArgumentCompiler, NotCovered
from graphql_api.execution.variables import VariableCoercer


@strawberry.input
class Inner:
    """An input with required fields and defaults."""

    needed: int
    text: str | None = "inner"
    flag: bool = True
    more: "list[Inner | None] | None" = None


def read(
    number: int = 3,
    name: str | None = None,
    inner: Inner | None = None,
    numbers: list[int] | None = None,
    rows: list[list[float | None]] | None = None,
) -> str:
    """Return the arguments as text."""
    return repr((number, name, inner, numbers, rows))


@strawberry.type
class Query:
    """A field with every kind of argument."""

    read: str = strawberry.field(resolver=read)


SCHEMA = strawberry.Schema(query=Query, config=StrawberryConfig())
CORE = SCHEMA._schema
COMPILER = ArgumentCompiler(SCHEMA.config)
DEFINITIONS = """$i: Int, $j: Int! = 7, $s: String = "s", $b: Boolean, $f: Float, $in: Inner, $ins: [Inner],
$ints: [Int!], $rows: [[Float]!]"""
LITERALS = {
    "number": ("1", "$j", "$i"),
    "name": ('"a"', "$s", "null"),
    "inner": (
        "{needed: 1}",
        "{needed: $j, text: $s, flag: false}",
        "{needed: 2, text: null, more: [{needed: $j}, null]}",
        "{needed: 2, more: $ins}",
        "{needed: 2, more: {needed: 3, flag: true}}",
        "$in",
    ),
    "numbers": ("1", "[1, $j]", "$ints", "[]", "null"),
    "rows": ("[[1, $f], [null]]", "[[$f]]", "$rows", "1.5"),
}
NUMBERS: st.SearchStrategy[Any] = st.sampled_from((None, 0, 1, 2**31, -(2**31), 1.0, 1.5, True, "1", [1], {}))
TEXTS = st.sampled_from((None, "", "text", 1, True, ["a"]))
INNERS: st.SearchStrategy[Any] = st.deferred(
    lambda: (
        st.fixed_dictionaries(
            {},
            optional={
                "needed": NUMBERS,
                "text": TEXTS,
                "flag": st.booleans(),
                "more": st.lists(INNERS, max_size=2) | INNERS,
            },
        )
        | st.sampled_from((None, 1, [], {"needed": 1, "unknown": 2}))
    )
)
VARIABLES = st.fixed_dictionaries(
    {},
    optional={
        "i": NUMBERS,
        "j": NUMBERS,
        "s": TEXTS,
        "b": st.sampled_from((None, True, False, 0, "true")),
        "f": st.sampled_from((None, 0, 1.5, float("inf"), True, "1")),
        "in": INNERS,
        "ins": st.lists(INNERS, max_size=2) | INNERS,
        "ints": st.lists(NUMBERS, max_size=3) | NUMBERS,
        "rows": st.lists(st.lists(NUMBERS, max_size=2), max_size=2) | NUMBERS,
    },
)


def parse_operation(text: str) -> OperationDefinitionNode:
    """Return the only operation of a document."""
    [operation] = parse(text).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation


@given(VARIABLES)
def test_variables(raw: dict[str, Any]) -> None:
    """Valid variables are coerced to the same values, and invalid ones are rejected, as graphql-core does it."""
    operation = parse_operation(f"query ({DEFINITIONS}) {{ __typename }}")
    definitions = operation.variable_definitions
    assert definitions is not None
    expected = get_variable_values(CORE, definitions, raw)
    assert VariableCoercer(CORE, definitions).coerce(raw) == (
        expected.coerced if isinstance(expected, VariableValues) else None
    )


@given(
    st.fixed_dictionaries({}, optional={name: st.sampled_from(literals) for name, literals in LITERALS.items()}),
    VARIABLES,
)
def test_arguments(literals: dict[str, str], raw: dict[str, Any]) -> None:
    """A resolver gets the arguments that Strawberry passes, and none if they are invalid."""
    arguments = ", ".join(f"{name}: {literal}" for name, literal in literals.items())
    document = f"query ({DEFINITIONS}) {{ read{f'({arguments})' if arguments else ''} }}"
    assert validate(CORE, parse(document), set(specified_rules) - {NoUnusedVariablesRule}) == []
    operation = parse_operation(document)
    variables = get_variable_values(CORE, operation.variable_definitions or (), raw)
    hypothesis.assume(isinstance(variables, VariableValues))
    assert isinstance(variables, VariableValues)
    actual = read_compiled(operation, variables.coerced)
    expected = execute_sync(CORE, parse(document), variable_values=raw)
    assert isinstance(expected, ExecutionResult)
    if expected.errors:
        assert actual is None
    else:
        assert expected.data == {"read": actual}


def read_compiled(operation: OperationDefinitionNode, variables: dict[str, Any]) -> str | None:
    """Return what the resolver makes of compiled arguments; None if they are not covered or invalid."""
    assert CORE.query_type is not None
    field = CORE.query_type.fields["read"]
    definition = field.extensions["strawberry-definition"]
    assert isinstance(definition, StrawberryField)
    [node] = operation.selection_set.selections
    assert isinstance(node, FieldNode)
    try:
        arguments = COMPILER.compile(field, definition, node)
        return read(**(arguments(variables) if callable(arguments) else arguments))
    except (NotCovered, ValueError):
        return None
