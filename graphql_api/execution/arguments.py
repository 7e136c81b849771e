"""Arguments of a compiled field: coerced by GraphQL's rules, then converted for the resolver.

What does not depend on variables is coerced once.
"""

from __future__ import annotations  # else each closure holds objects for its annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import graphql
from graphql import Undefined
from graphql.execution.values import get_argument_values
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryList, StrawberryMaybe, StrawberryOptional, has_object_definition
from strawberry.types.field import StrawberryField

Arguments: TypeAlias = dict[str, Any]
"""The keyword arguments of a resolver."""
ArgumentsBuilder: TypeAlias = Callable[[Mapping[str, Any]], Arguments]
"""From coerced variables to arguments. Raises ValueError if a variable of a required value is null."""
_Converter: TypeAlias = Callable[[Any], Any]
"""From a coerced value, not None, to the resolver's value."""
_Literal: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""From coerced variables to the coerced value of a literal. Undefined if its variable is missing."""


class NotCovered(Exception):
    """The operation cannot be compiled."""


class ArgumentCompiler:
    """Compiles the arguments of fields."""

    def __init__(self, config: StrawberryConfig) -> None:
        """Use the names of arguments and fields that `config` defines."""
        self._name_converter = config.name_converter
        self._converters_by_field: dict[StrawberryField, dict[str, tuple[str, _Converter]]] = {}
        """Keyword argument and converter by GraphQL name, by field."""
        self._fields_by_class: dict[type, dict[str, tuple[str, _Converter]]] = {}
        """Attribute and converter by GraphQL name, by input class."""

    def compile(
        self, field: graphql.GraphQLField, definition: StrawberryField, node: graphql.FieldNode
    ) -> Arguments | ArgumentsBuilder:
        """Return the arguments of a field, or their builder if they depend on variables.

        Raises:
            NotCovered: The arguments are invalid, or of a kind that is not compiled.
        """
        converters = self._get_argument_converters(definition)
        nodes = {argument.name.value: argument.value for argument in node.arguments or ()}
        if not any(map(_has_variables, nodes.values())):
            try:
                return _convert_fields(get_argument_values(field, node), converters)
            except graphql.GraphQLError:
                raise NotCovered from None
        coerce = _compile_fields(field.args, nodes)
        return lambda variables: _convert_fields(coerce(variables), converters)

    def _get_argument_converters(self, definition: StrawberryField) -> dict[str, tuple[str, _Converter]]:
        converters = self._converters_by_field.get(definition)
        if converters is None:
            converters = self._converters_by_field[definition] = {
                self._name_converter.get_graphql_name(argument): (
                    argument.python_name,
                    self._build_converter(argument.type),
                )
                for argument in definition.arguments
            }
        return converters

    def _build_converter(self, strawberry_type: Any) -> _Converter:  # noqa: ANN401 - any of Strawberry's types
        if isinstance(strawberry_type, StrawberryMaybe):
            raise NotCovered
        if isinstance(strawberry_type, StrawberryOptional):
            return self._build_converter(strawberry_type.of_type)
        if isinstance(strawberry_type, StrawberryList):
            convert = self._build_converter(strawberry_type.of_type)
            return lambda values: [None if item is None else convert(item) for item in values]
        if not isinstance(strawberry_type, type) or not has_object_definition(strawberry_type):
            return lambda value: value
        fields = self._get_field_converters(strawberry_type)
        return lambda value: strawberry_type(**_convert_fields(value, fields))

    def _get_field_converters(self, input_class: type) -> dict[str, tuple[str, _Converter]]:
        fields = self._fields_by_class.get(input_class)
        if fields is None:
            # Stored before it is complete: an input may have fields of its own type.
            fields = self._fields_by_class[input_class] = {}
            definition = input_class.__strawberry_definition__  # type: ignore[attr-defined] # callers check it
            for field in definition.fields:
                converter = self._build_converter(field.resolve_type(type_definition=definition))
                fields[self._name_converter.from_field(field)] = (field.python_name, converter)
        return fields


def _convert_fields(coerced: Mapping[str, Any], fields: Mapping[str, tuple[str, _Converter]]) -> dict[str, Any]:
    converted = {}
    for name, value in coerced.items():
        python_name, convert = fields[name]
        converted[python_name] = None if value is None else convert(value)
    return converted


def _has_variables(node: graphql.ValueNode) -> bool:
    match node:
        case graphql.VariableNode():
            return True
        case graphql.ListValueNode():
            return any(map(_has_variables, node.values))
        case graphql.ObjectValueNode():
            return any(_has_variables(field.value) for field in node.fields)
    return False


def _compile_fields(
    definitions: Mapping[str, graphql.GraphQLArgument] | Mapping[str, graphql.GraphQLInputField],
    nodes: Mapping[str, graphql.ValueNode],
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Compile arguments, or the fields of an input object."""
    literals: list[tuple[str, _Literal, Any]] = []
    for name, definition in definitions.items():
        default = coerce_default_value(definition)
        is_required = default is Undefined and graphql.is_non_null_type(definition.type)
        if name in nodes:
            literal = _compile_literal(nodes[name], definition.type)
            literals.append((name, _require(literal) if is_required else literal, default))
        elif is_required:
            raise NotCovered
        elif default is not Undefined:
            literals.append((name, _constant(default), default))

    def coerce(variables: Mapping[str, Any]) -> dict[str, Any]:
        coerced = {}
        for name, literal, default in literals:
            value = literal(variables)
            if value is Undefined:
                value = default
            if value is not Undefined:
                coerced[name] = value
        return coerced

    return coerce


def _compile_literal(node: graphql.ValueNode, value_type: graphql.GraphQLInputType) -> _Literal:
    if isinstance(node, graphql.VariableNode):
        return _compile_variable(node.name.value, is_nullable=not graphql.is_non_null_type(value_type))
    if not _has_variables(node):
        value = coerce_input_literal(node, value_type)
        if value is Undefined:
            raise NotCovered
        return _constant(value)
    nullable_type = graphql.get_nullable_type(value_type)
    if graphql.is_list_type(nullable_type):
        return _compile_list(node, nullable_type.of_type)
    if not graphql.is_input_object_type(nullable_type) or nullable_type.is_one_of:
        raise NotCovered
    assert isinstance(node, graphql.ObjectValueNode)  # noqa: S101 - validated
    fields = {field.name.value: field.value for field in node.fields}
    coerce, convert = _compile_fields(nullable_type.fields, fields), nullable_type.out_type
    return lambda variables: convert(coerce(variables))


def _compile_list(node: graphql.ValueNode, item_type: graphql.GraphQLInputType) -> _Literal:
    """Compile a list. Any other value is a list of one item."""
    nodes = node.values if isinstance(node, graphql.ListValueNode) else (node,)
    literals = [_compile_literal(item, item_type) for item in nodes]
    if graphql.is_non_null_type(item_type):
        literals = list(map(_require, literals))

    def coerce(variables: Mapping[str, Any]) -> list[Any]:
        items = [literal(variables) for literal in literals]
        # A missing variable is a null item.
        return [None if item is Undefined else item for item in items]

    return coerce


def _compile_variable(name: str, *, is_nullable: bool) -> _Literal:
    def get(variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any value of a variable
        value = variables.get(name, Undefined)
        if value is None and not is_nullable:
            raise ValueError(f"${name} is null.")
        return value

    return get


def _constant(value: object) -> _Literal:
    return lambda _: value


def _require(literal: _Literal) -> _Literal:
    def get(variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any value of a variable
        value = literal(variables)
        if value is Undefined:
            raise ValueError("A variable of a required value is missing.")
        return value

    return get
