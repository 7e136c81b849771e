"""Hints in error messages, for clients that know another schema better than this one."""

import re
from collections.abc import Iterable, Iterator

from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_required_input_field,
)

_MAX_QUOTED_LENGTH = 60
"""Characters of a value that a hint repeats."""
_FIELD = re.compile(r"(Cannot query field '(\w+)' on type '(\w+)'\.).*")
_VALUE = re.compile(r".*Expected value of type '(\w+)' to be an object, found: (.*)\.", re.DOTALL)
_VARIABLE = re.compile(r"Variable '(\$\w+)' of type '(\[?)(\w+)[\]!]*' used in position expecting type '(\w+)!?'\.")


def add_hints(errors: list[GraphQLError], schema: GraphQLSchema) -> list[GraphQLError]:
    """Add what a client may have meant to the messages of graphql-core, and return the errors."""
    for error in errors:
        if match := _FIELD.fullmatch(error.message):
            fields = list(_find_nested_fields(schema, type_name=match[3], field_name=match[2]))
            error.message = f"{match[1]}{_did_you_mean(fields)}" if fields else error.message
        elif match := _VALUE.fullmatch(error.message):
            error.message += _did_you_mean(_wrap_value(schema.get_type(match[1]), match[2]))
        elif (match := _VARIABLE.fullmatch(error.message)) and is_leaf_type(schema.get_type(match[3])):
            error.message += _did_you_mean(_wrap_operand(schema.get_type(match[4]), match[1], is_list=bool(match[2])))
    return errors


def _find_nested_fields(schema: GraphQLSchema, *, type_name: str, field_name: str) -> Iterator[str]:
    """Yield the ways to a field that the objects in the fields of a type have, as `nodes { name }`."""
    parent = schema.get_type(type_name)
    for name, field in getattr(parent, "fields", {}).items():
        child = get_named_type(field.type)
        if isinstance(child, GraphQLObjectType | GraphQLInterfaceType) and field_name in child.fields:
            yield f"'{name} {{ {field_name} }}'"


def _wrap_value(input_type: GraphQLNamedType | None, value: str) -> Iterator[str]:
    """Yield the input object that a bare value stands for, as `{ eq: "Europe" }`."""
    # Values of variables are quoted as in Python.
    text = re.sub(r"'([^'\"\\]*)'", r'"\1"', value) if len(value) <= _MAX_QUOTED_LENGTH else "…"
    yield from _wrap_operand(input_type, text, is_list=value.startswith("["))
    if isinstance(input_type, GraphQLInputObjectType):
        required = [(name, field) for name, field in input_type.fields.items() if is_required_input_field(field)]
        for name, field in required if len(required) == 1 else ():
            members = getattr(get_named_type(field.type), "values", {})
            if (member := value.strip("'\"").upper()) in members:
                yield f"{{ {name}: {member} }}"


def _wrap_operand(input_type: GraphQLNamedType | None, operand: str, *, is_list: bool) -> Iterator[str]:
    operator = "in" if is_list else "eq"
    if isinstance(input_type, GraphQLInputObjectType) and operator in input_type.fields:
        yield f"{{ {operator}: {operand} }}"


def _did_you_mean(hints: Iterable[str]) -> str:
    text = " or ".join(hints)
    return f" Did you mean {text}?" if text else ""
