"""Giving resolvers their arguments, by converters that are made once.

Strawberry finds out anew at every call what type each argument and each field of an input has,
which takes longer than most queries.
"""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLField, GraphQLResolveInfo, GraphQLSchema
from strawberry.schema.config import StrawberryConfig
from strawberry.types.base import StrawberryList, StrawberryOptional, has_object_definition
from strawberry.types.field import StrawberryField

Convert = Callable[[Any], Any]
"""From what graphql-core makes of a value that is not null to what a resolver takes."""


class DirectArguments:
    """Lets the resolvers of queries convert their arguments without asking what they are."""

    def __init__(self, config: StrawberryConfig) -> None:
        """Use the names that `config` gives."""
        self._config = config
        self._fields: dict[type, dict[str, tuple[str, Convert]]] = {}
        """By input class, by name in GraphQL: the attribute, and how its value is converted."""

    def install(self, schema: GraphQLSchema) -> None:
        """Let every query that takes arguments, and need not be awaited, do so."""
        for field in schema.query_type.fields.values() if schema.query_type else ():
            definition = field.extensions.get("strawberry-definition")
            if field.args and isinstance(definition, StrawberryField) and not definition.is_async:
                self._install(field, definition)

    def _install(self, field: GraphQLField, definition: StrawberryField) -> None:
        resolver = definition.base_resolver
        if resolver is None or resolver.info_parameter is None or resolver.self_parameter:
            return
        names = self._config.name_converter
        arguments = {
            names.get_graphql_name(one): (one.python_name, self._converter(one.type))
            for one in definition.arguments
        }
        info_class, info_name = self._config.info_class, resolver.info_parameter.name
        call = resolver._unbound_wrapped_func  # noqa: SLF001 - the public one may be a staticmethod

        def resolve(_: object, info: GraphQLResolveInfo[Any], **given: Any) -> Any:  # noqa: ANN401 - as resolvers do
            taken = _convert_fields(given, arguments)
            taken[info_name] = info_class(_raw_info=info, _field=definition)
            return call(**taken)

        field.resolve = resolve

    def _converter(self, kind: Any) -> Convert:  # noqa: ANN401 - any of Strawberry's types
        if isinstance(kind, StrawberryOptional):
            return self._converter(kind.of_type)
        if isinstance(kind, StrawberryList):
            convert = self._converter(kind.of_type)
            return lambda values: [None if one is None else convert(one) for one in values]
        if not isinstance(kind, type) or not has_object_definition(kind):
            return _same
        fields = self._fields_of(kind)
        return lambda value: kind(**_convert_fields(value, fields))

    def _fields_of(self, kind: type) -> dict[str, tuple[str, Convert]]:
        fields = self._fields.get(kind)
        if fields is None:
            # Known before it is complete, because an input may have fields of its own type.
            fields = self._fields[kind] = {}
            definition = kind.__strawberry_definition__  # type: ignore[attr-defined] # checked
            for one in definition.fields:
                name = self._config.name_converter.from_field(one)
                converter = self._converter(one.resolve_type(type_definition=definition))
                fields[name] = (one.python_name, converter)
        return fields


def _convert_fields(
    given: Mapping[str, Any], fields: Mapping[str, tuple[str, Convert]]
) -> dict[str, Any]:
    taken = {}
    for key, value in given.items():
        name, convert = fields[key]
        taken[name] = None if value is None else convert(value)
    return taken


def _same(value: object) -> object:
    return value
