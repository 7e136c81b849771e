"""Argument converters of resolvers, built once.

Strawberry resolves the type of each argument and each input field again at every call, which takes
longer than most queries.
"""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLField, GraphQLResolveInfo, GraphQLSchema
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryList, StrawberryOptional, has_object_definition
from strawberry.types.field import StrawberryField

ValueConverter = Callable[[Any], Any]
"""From graphql-core's value of an argument, not null, to the resolver's value."""


class ArgumentConverters:
    """Replaces Strawberry's conversion of arguments in the resolvers of queries."""

    def __init__(self, config: StrawberryConfig) -> None:
        """Use the names of arguments and fields that `config` defines."""
        self._config = config
        self._converters_by_class: dict[type, dict[str, tuple[str, ValueConverter]]] = {}
        """Attribute and converter by GraphQL name, by input class."""

    def install(self, schema: GraphQLSchema) -> None:
        """Replace the resolver of every synchronous query with arguments."""
        for field in schema.query_type.fields.values() if schema.query_type else ():
            definition = field.extensions.get("strawberry-definition")
            if field.args and isinstance(definition, StrawberryField) and not definition.is_async:
                self._install_field(field, definition)

    def _install_field(self, field: GraphQLField, definition: StrawberryField) -> None:
        resolver = definition.base_resolver
        if resolver is None or resolver.info_parameter is None or resolver.self_parameter:
            return
        name_converter = self._config.name_converter
        arguments = {
            name_converter.get_graphql_name(argument): (argument.python_name, self._build_converter(argument.type))
            for argument in definition.arguments
        }
        info_class, info_name = self._config.info_class, resolver.info_parameter.name
        resolver_function = resolver._unbound_wrapped_func  # noqa: SLF001 - the public one may be a staticmethod

        def resolve(_: object, info: GraphQLResolveInfo[Any], **raw_arguments: Any) -> Any:  # noqa: ANN401 - as in every resolver
            kwargs = _convert_fields(raw_arguments, arguments)
            kwargs[info_name] = info_class(_raw_info=info, _field=definition)
            return resolver_function(**kwargs)

        field.resolve = resolve

    def _build_converter(self, strawberry_type: Any) -> ValueConverter:  # noqa: ANN401 - any of Strawberry's types
        if isinstance(strawberry_type, StrawberryOptional):
            return self._build_converter(strawberry_type.of_type)
        if isinstance(strawberry_type, StrawberryList):
            convert = self._build_converter(strawberry_type.of_type)
            return lambda values: [None if item is None else convert(item) for item in values]
        if not isinstance(strawberry_type, type) or not has_object_definition(strawberry_type):
            return lambda value: value
        fields = self._get_field_converters(strawberry_type)
        return lambda value: strawberry_type(**_convert_fields(value, fields))

    def _get_field_converters(self, input_class: type) -> dict[str, tuple[str, ValueConverter]]:
        fields = self._converters_by_class.get(input_class)
        if fields is None:
            # Stored before it is complete: an input may have fields of its own type.
            fields = self._converters_by_class[input_class] = {}
            definition = input_class.__strawberry_definition__  # type: ignore[attr-defined] # callers check it
            for field in definition.fields:
                name = self._config.name_converter.from_field(field)
                converter = self._build_converter(field.resolve_type(type_definition=definition))
                fields[name] = (field.python_name, converter)
        return fields


def _convert_fields(raw_values: Mapping[str, Any], fields: Mapping[str, tuple[str, ValueConverter]]) -> dict[str, Any]:
    converted = {}
    for key, value in raw_values.items():
        name, convert = fields[key]
        converted[name] = None if value is None else convert(value)
    return converted
