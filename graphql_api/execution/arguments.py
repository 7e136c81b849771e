"""Arguments of a compiled field: coerced by GraphQL's rules, and converted for the resolver.

What does not depend on variables is coerced and converted once.
"""

from __future__ import annotations  # else each closure holds objects for its annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import graphql
from graphql import Undefined
from graphql.execution.values import get_argument_values
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryList, StrawberryMaybe, StrawberryOptional, has_object_definition
from strawberry.types.field import StrawberryField

from graphql_api.domain.filters import Parameter

Arguments: TypeAlias = dict[str, Any]
"""The keyword arguments of a resolver."""
ArgumentsBuilder: TypeAlias = Callable[[Mapping[str, Any]], Arguments]
"""From coerced variables to arguments. Raises ValueError if a variable of a required value is null."""
_Converter: TypeAlias = Callable[[Any], Any]
"""From a coerced value, not None, to the resolver's value."""
_Converters: TypeAlias = Mapping[str, tuple[str, _Converter]]
"""Python name and converter by GraphQL name."""
_Literal: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""From coerced variables to the resolver's value. Undefined if the variable is missing."""


class NotCovered(Exception):
    """The operation cannot be compiled."""


@dataclass(frozen=True, slots=True)
class _Constant:
    """A literal without variables."""

    value: Any

    def __call__(self, _variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any value of a literal
        return self.value


@dataclass(frozen=True, slots=True)
class _ListConverter:
    convert_item: _Converter

    def __call__(self, values: list[Any]) -> list[Any]:
        return [None if item is None else self.convert_item(item) for item in values]


@dataclass(frozen=True, slots=True)
class _InputConverter:
    input_class: type
    fields: _Converters

    def __call__(self, value: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an object of any input class
        return self.build(_convert_fields(value, self.fields))

    def build(self, attributes: Arguments) -> Any:  # noqa: ANN401 - an object of any input class
        """Return an input that takes over these attributes. The others have the defaults of the class.

        Its constructor would set each attribute: a filter has 46.
        """
        built: Any = object.__new__(self.input_class)
        built.__dict__ = attributes
        return built


class ArgumentCompiler:
    """Compiles the arguments of fields."""

    def __init__(self, config: StrawberryConfig) -> None:
        """Use the names of arguments and fields that `config` defines."""
        self._name_converter = config.name_converter
        self._get_argument_converters = cache(self._build_argument_converters)
        self._inputs: dict[type, _InputConverter] = {}

    def compile(
        self, field: graphql.GraphQLField, definition: StrawberryField, node: graphql.FieldNode
    ) -> Arguments | ArgumentsBuilder:
        """Return the arguments of a field, or their builder if they depend on variables.

        Raises:
            NotCovered: The arguments are invalid, or of a kind that is not compiled.
        """
        converters = self._get_argument_converters(definition)
        nodes = {argument.name.value: argument.value for argument in node.arguments or ()}
        if any(map(_has_variables, nodes.values())):
            return _compile_fields(field.args, nodes, converters)
        try:
            return _convert_fields(get_argument_values(field, node), converters)
        except graphql.GraphQLError:
            raise NotCovered from None

    def _build_argument_converters(self, definition: StrawberryField) -> _Converters:
        return {
            self._name_converter.get_graphql_name(argument): (
                argument.python_name,
                self._build_converter(argument.type),
            )
            for argument in definition.arguments
        }

    def _build_converter(self, strawberry_type: Any) -> _Converter:  # noqa: ANN401 - any of Strawberry's types
        if isinstance(strawberry_type, StrawberryMaybe):
            raise NotCovered
        if isinstance(strawberry_type, StrawberryOptional):
            return self._build_converter(strawberry_type.of_type)
        if isinstance(strawberry_type, StrawberryList):
            return _ListConverter(self._build_converter(strawberry_type.of_type))
        if isinstance(strawberry_type, type) and has_object_definition(strawberry_type):
            return self._inputs.get(strawberry_type) or self._build_input_converter(strawberry_type)
        return _keep

    def _build_input_converter(self, input_class: type) -> _InputConverter:
        fields: dict[str, tuple[str, _Converter]] = {}
        # Stored before it is complete: an input may have fields of its own type.
        converter = self._inputs[input_class] = _InputConverter(input_class, fields)
        definition = input_class.__strawberry_definition__  # type: ignore[attr-defined] # callers check it
        for field in definition.fields:
            field_type = field.resolve_type(type_definition=definition)
            fields[self._name_converter.from_field(field)] = (field.python_name, self._build_converter(field_type))
        return converter


def _keep(value: Any) -> Any:  # noqa: ANN401 - any scalar or enum
    return value


def _convert_fields(coerced: Mapping[str, Any], converters: _Converters) -> Arguments:
    converted = {}
    for name, value in coerced.items():
        python_name, convert = converters[name]
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
    converters: _Converters,
) -> ArgumentsBuilder:
    """Compile arguments, or the fields of an input object."""
    constants: Arguments = {}
    literals: list[tuple[str, _Literal, bool]] = []
    for name, definition in definitions.items():
        python_name, convert = converters[name]
        default = coerce_default_value(definition)
        if default is not Undefined and default is not None:  # Python's own default is the same
            constants[python_name] = convert(default)
        is_required = default is Undefined and graphql.is_non_null_type(definition.type)
        if name in nodes:
            literal = _compile_literal(nodes[name], definition.type, convert)
            if isinstance(literal, _Constant):
                constants[python_name] = literal.value
            else:
                literals.append((python_name, literal, is_required))
        elif is_required:
            raise NotCovered

    def build(variables: Mapping[str, Any]) -> Arguments:
        arguments = constants.copy()
        for python_name, literal, is_required in literals:
            value = literal(variables)
            if value is not Undefined:
                arguments[python_name] = value
            elif is_required:
                raise ValueError("A variable of a required value is missing.")
        return arguments

    return build


def _compile_literal(node: graphql.ValueNode, value_type: graphql.GraphQLInputType, convert: _Converter) -> _Literal:
    if isinstance(node, graphql.VariableNode):
        return _compile_variable(node.name.value, convert, is_nullable=not graphql.is_non_null_type(value_type))
    if not _has_variables(node):
        value = coerce_input_literal(node, value_type)
        if value is Undefined:
            raise NotCovered
        return _Constant(None if value is None else convert(value))
    nullable_type = graphql.get_nullable_type(value_type)
    if graphql.is_list_type(nullable_type) and isinstance(convert, _ListConverter):
        return _compile_list(node, nullable_type.of_type, convert.convert_item)
    if (
        not graphql.is_input_object_type(nullable_type)
        or not isinstance(node, graphql.ObjectValueNode)
        or not isinstance(convert, _InputConverter)
        or "out_type" in vars(nullable_type)  # Strawberry's check of a @oneOf input
    ):
        raise NotCovered
    fields = {field.name.value: field.value for field in node.fields}
    build_attributes = _compile_fields(nullable_type.fields, fields, convert.fields)
    return _prepare_input(node, nullable_type, convert, lambda variables: convert.build(build_attributes(variables)))


def _prepare_input(
    node: graphql.ObjectValueNode, input_type: graphql.GraphQLInputObjectType, convert: _InputConverter, build: _Literal
) -> _Literal:
    """Let the class of an input prepare what `build` returns, if it can and if all variables are values of scalars."""
    prepare = getattr(convert.input_class, "prepare", None)
    uses = list(_find_variables(node, input_type))
    if prepare is None or not all(is_scalar for _, is_scalar in uses):
        return build
    names = {name for name, _ in uses}
    bind = prepare(build({name: Parameter(name) for name in names}))

    def build_prepared(variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an object of the input class
        for name in names:
            if variables.get(name) is None:  # as if the field were not there
                return build(variables)
        return bind(variables)

    return build_prepared


def _find_variables(node: graphql.ValueNode, value_type: graphql.GraphQLInputType) -> Iterator[tuple[str, bool]]:
    """Yield the variables of a literal, and whether each is the value of a scalar outside a list."""
    named_type = graphql.get_named_type(value_type)
    match node:
        case graphql.VariableNode():
            yield node.name.value, graphql.is_leaf_type(graphql.get_nullable_type(value_type))
        case graphql.ListValueNode():
            for item in node.values:
                yield from _find_variables(item, value_type)
        case graphql.ObjectValueNode() if graphql.is_input_object_type(named_type):
            for field in node.fields:
                yield from _find_variables(field.value, named_type.fields[field.name.value].type)


def _compile_list(node: graphql.ValueNode, item_type: graphql.GraphQLInputType, convert_item: _Converter) -> _Literal:
    """Compile a list. Any other value is a list of one item."""
    nodes = node.values if isinstance(node, graphql.ListValueNode) else (node,)
    literals = [_compile_literal(item, item_type, convert_item) for item in nodes]
    is_nullable = not graphql.is_non_null_type(item_type)

    def build(variables: Mapping[str, Any]) -> list[Any]:
        items = [literal(variables) for literal in literals]
        if Undefined not in items:
            return items
        if is_nullable:
            return [None if item is Undefined else item for item in items]
        raise ValueError("A variable of a required item is missing.")

    return build


def _compile_variable(name: str, convert: _Converter, *, is_nullable: bool) -> _Literal:
    def get(variables: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any value of a variable
        value = variables.get(name, Undefined)
        if value is None and not is_nullable:
            raise ValueError(f"${name} is null.")
        return value if value is None or value is Undefined else convert(value)

    return get
