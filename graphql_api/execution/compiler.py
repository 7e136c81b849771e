"""Compiler: turns an operation into a function from variables to the JSON bytes of its data.

It covers the fields that depend on their object, their arguments and the snapshot alone: those that read an
attribute, and those whose resolver is synchronous and takes no `info` but `SnapshotInfo`.
"""

from __future__ import annotations  # else each closure holds objects for its annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import graphql
import orjson
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField

from graphql_api.execution.arguments import ArgumentCompiler, Arguments, ArgumentsBuilder, NotCovered
from graphql_api.execution.encoders import (
    Column,
    Encoder,
    ExecutionState,
    encode_by_type,
    encode_constant,
    encode_leaves,
    encode_lists,
    encode_nullable,
    encode_objects,
    encode_once,
)
from graphql_api.schema.context import SnapshotInfo
from graphql_api.utils.exact_bytes import copy_exactly

SubfieldCollector: TypeAlias = Callable[[graphql.GraphQLObjectType, FieldDetailsList], GroupedFieldSet]
"""From an object type and the details of a field to the fields selected below it."""


class CompiledSelection(NamedTuple):
    """An encoder, and what its result depends on."""

    encode: Encoder
    is_constant: bool
    """True if the result depends on the values alone, not on variables."""


class Compiler:
    """Compiles the operations of a schema."""

    def __init__(self, schema: graphql.GraphQLSchema, config: StrawberryConfig) -> None:
        """Compile nothing yet. `config` names arguments and fields."""
        self._schema = schema
        self._arguments = ArgumentCompiler(config)
        self._columns: dict[tuple[str, str], CompiledSelection] = {}
        """Fields without arguments and selections, by type and name: all operations share them."""

    def compile_object(
        self, object_type: graphql.GraphQLObjectType, fields: GroupedFieldSet, collect: SubfieldCollector
    ) -> CompiledSelection:
        """Compile the selected fields of a type.

        Raises:
            NotCovered: A field may have to be awaited, or depends on more than its object and arguments.
        """
        columns = {key: self._compile_field(object_type, details, collect) for key, details in fields.items()}
        encode = encode_objects({key: column.encode for key, column in columns.items()})
        is_constant = all(column.is_constant for column in columns.values())
        if is_constant and _is_part_of_snapshot(object_type):
            encode = encode_once(encode, object())
        return CompiledSelection(encode, is_constant)

    def _compile_field(
        self, object_type: graphql.GraphQLObjectType, details: FieldDetailsList, collect: SubfieldCollector
    ) -> CompiledSelection:
        node = details[0].node
        name = (object_type.name, node.name.value)
        if name in self._columns:
            return self._columns[name]
        if node.name.value == "__typename":
            name_json = copy_exactly(orjson.dumps(object_type.name))
            return CompiledSelection(encode_constant(name_json), is_constant=True)
        field = object_type.fields.get(node.name.value)
        definition = field.extensions.get("strawberry-definition") if field else None
        if field is None or not isinstance(definition, StrawberryField):
            raise NotCovered
        resolve, needs_info = get_resolver(definition)
        arguments = self._arguments.compile(field, definition, node) if field.args else {}
        encode, is_constant = self._compile_value(field.type, details, collect)
        column = CompiledSelection(
            _encode_field(resolve, arguments, encode, needs_info=needs_info), is_constant and not callable(arguments)
        )
        if not arguments and graphql.is_leaf_type(graphql.get_nullable_type(field.type)):
            if _is_part_of_snapshot(object_type):
                column = CompiledSelection(encode_once(column.encode, name), is_constant=True)
            self._columns[name] = column
        return column

    def _compile_value(
        self, value_type: graphql.GraphQLOutputType, details: FieldDetailsList, collect: SubfieldCollector
    ) -> CompiledSelection:
        if graphql.is_non_null_type(value_type):
            return self._compile_non_null(value_type.of_type, details, collect)
        encode, is_constant = self._compile_non_null(value_type, details, collect)
        return CompiledSelection(encode_nullable(encode), is_constant)

    def _compile_non_null(
        self, value_type: graphql.GraphQLOutputType, details: FieldDetailsList, collect: SubfieldCollector
    ) -> CompiledSelection:
        if graphql.is_list_type(value_type):
            encode, is_constant = self._compile_value(value_type.of_type, details, collect)
            return CompiledSelection(encode_lists(encode), is_constant)
        if graphql.is_object_type(value_type):
            return self.compile_object(value_type, collect(value_type, details), collect)
        if graphql.is_abstract_type(value_type):
            return self._compile_abstract(value_type, details, collect)
        leaf_type = graphql.assert_leaf_type(value_type)
        return CompiledSelection(encode_leaves(leaf_type), is_constant=True)

    def _compile_abstract(
        self, abstract_type: graphql.GraphQLAbstractType, details: FieldDetailsList, collect: SubfieldCollector
    ) -> CompiledSelection:
        selections = {
            object_type.name: self.compile_object(object_type, collect(object_type, details), collect)
            for object_type in self._schema.get_possible_types(abstract_type)
        }
        resolve_type: Any = abstract_type.resolve_type
        if resolve_type is None:
            raise NotCovered
        encode = encode_by_type(
            lambda value: resolve_type(value, None, abstract_type),
            {name: selection.encode for name, selection in selections.items()},
        )
        return CompiledSelection(encode, all(selection.is_constant for selection in selections.values()))


def _is_part_of_snapshot(object_type: graphql.GraphQLObjectType) -> bool:
    definition = object_type.extensions.get("strawberry-definition")
    return getattr(definition and definition.origin, "is_part_of_snapshot", False)


def get_resolver(definition: StrawberryField) -> tuple[Callable[..., Any], bool]:
    """Return the function from an object, and keyword arguments, to a field's value, and whether it takes `info`.

    Raises:
        NotCovered: The value may have to be awaited, or depends on more than object, arguments and snapshot.
    """
    resolver = definition.base_resolver
    if definition.extensions:
        raise NotCovered
    if resolver is None:
        return attrgetter(definition.python_name), False
    info = resolver.info_parameter
    if resolver.is_async or not (resolver.self_parameter or resolver.parent_parameter):
        raise NotCovered
    if info is not None and info.annotation is not SnapshotInfo:
        raise NotCovered
    return resolver._unbound_wrapped_func, info is not None  # noqa: SLF001 - the public one may be a staticmethod


def _encode_field(
    resolve: Callable[..., Any], arguments: Arguments | ArgumentsBuilder, encode: Encoder, *, needs_info: bool
) -> Encoder:
    if not arguments and not needs_info:
        return lambda objects, state: encode(list(map(resolve, objects)), state)

    def encode_with_arguments(objects: Column, state: ExecutionState) -> list[bytes]:
        kwargs = arguments(state.variables) if callable(arguments) else arguments
        if needs_info:
            kwargs = {**kwargs, "info": state}
        return encode([resolve(source, **kwargs) for source in objects], state)

    return encode_with_arguments
