"""Compiler: turns an operation into a function from variables to the JSON bytes of its data.

It covers the fields that depend on their object, their arguments and the snapshot alone: those that read an
attribute, and those whose resolver is synchronous and takes no `info` but `SnapshotInfo`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import graphql
import orjson
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField

from graphql_api.execution.arguments import ArgumentCompiler, Arguments, ArgumentsBuilder, NotCovered
from graphql_api.execution.encoders import (
    AbstractEncoder,
    Column,
    ConstantEncoder,
    Encoder,
    ExecutionState,
    LeafEncoder,
    ListEncoder,
    NullableEncoder,
    ObjectEncoder,
    Pieces,
    PreparedEncoder,
    PreparedPieceEncoder,
)
from graphql_api.schema.context import SnapshotInfo
from graphql_api.utils.exact_bytes import copy_exactly

SubfieldCollector: TypeAlias = Callable[[graphql.GraphQLObjectType, FieldDetailsList], GroupedFieldSet]
"""From an object type and the details of a field to the fields selected below it."""


class CompiledSelection(NamedTuple):
    """An encoder, and what its result depends on."""

    encoder: Encoder
    is_constant: bool
    """True if the result depends on the values alone, not on variables."""


class Compiler:
    """Compiles the operations of a schema."""

    def __init__(self, schema: graphql.GraphQLSchema, config: StrawberryConfig) -> None:
        """Compile nothing yet. `config` names arguments and fields."""
        self._schema = schema
        self._arguments = ArgumentCompiler(config)
        self._columns: dict[tuple[str, str], CompiledSelection] = {}
        """Fields that are given no arguments and no selections, by type and name: all operations share them."""

    def compile_object(
        self, object_type: graphql.GraphQLObjectType, fields: GroupedFieldSet, collect: SubfieldCollector
    ) -> CompiledSelection:
        """Compile the selected fields of a type.

        Raises:
            NotCovered: A field may have to be awaited, or depends on more than its object and arguments.
        """
        if not fields:  # all are skipped
            return CompiledSelection(ConstantEncoder(b"{}"), is_constant=True)
        columns = {key: self._compile_field(object_type, details, collect) for key, details in fields.items()}
        if object_type is self._schema.query_type:
            columns = {key: _prepare_root_field(column) for key, column in columns.items()}
        encoder: Encoder = ObjectEncoder({key: column.encoder for key, column in columns.items()})
        is_constant = all(column.is_constant for column in columns.values())
        if is_constant and _get_mark(object_type, "is_part_of_snapshot"):
            encoder = PreparedEncoder(encoder, object(), is_shared=False)
        return CompiledSelection(encoder, is_constant)

    def _compile_field(
        self, object_type: graphql.GraphQLObjectType, details: FieldDetailsList, collect: SubfieldCollector
    ) -> CompiledSelection:
        node = details[0].node
        name = (object_type.name, node.name.value)
        if not node.arguments and name in self._columns:
            return self._columns[name]
        if node.name.value == "__typename":
            name_json = copy_exactly(orjson.dumps(object_type.name))
            return CompiledSelection(ConstantEncoder(name_json), is_constant=True)
        field = object_type.fields.get(node.name.value)
        definition = field.extensions.get("strawberry-definition") if field else None
        if field is None or not isinstance(definition, StrawberryField):
            raise NotCovered
        resolve, needs_info = get_resolver(definition)
        arguments = self._arguments.compile(field, definition, node) if field.args else {}
        encoder, is_constant = self._compile_value(field.type, details, collect)
        if is_constant and callable(arguments) and _get_mark(field.type, "has_identity"):
            encoder = PreparedPieceEncoder(encoder, object())
        column = CompiledSelection(
            _build_field_encoder(resolve, arguments, encoder, needs_info=needs_info),
            is_constant and not callable(arguments),
        )
        if not node.arguments and graphql.is_leaf_type(graphql.get_nullable_type(field.type)):
            if _get_mark(object_type, "is_part_of_snapshot"):
                column = CompiledSelection(PreparedEncoder(column.encoder, name, is_shared=True), is_constant=True)
            self._columns[name] = column
        return column

    def _compile_value(
        self, value_type: graphql.GraphQLOutputType, details: FieldDetailsList, collect: SubfieldCollector
    ) -> CompiledSelection:
        if graphql.is_non_null_type(value_type):
            return self._compile_non_null(value_type.of_type, details, collect)
        encoder, is_constant = self._compile_non_null(value_type, details, collect)
        return CompiledSelection(NullableEncoder(encoder), is_constant)

    def _compile_non_null(
        self, value_type: graphql.GraphQLOutputType, details: FieldDetailsList, collect: SubfieldCollector
    ) -> CompiledSelection:
        if graphql.is_list_type(value_type):
            encoder, is_constant = self._compile_value(value_type.of_type, details, collect)
            return CompiledSelection(ListEncoder(encoder), is_constant)
        if graphql.is_object_type(value_type):
            return self.compile_object(value_type, collect(value_type, details), collect)
        if graphql.is_abstract_type(value_type):
            return self._compile_abstract(value_type, details, collect)
        leaf_type = graphql.assert_leaf_type(value_type)
        return CompiledSelection(LeafEncoder(leaf_type), is_constant=True)

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
        encoder = AbstractEncoder(
            lambda value: resolve_type(value, None, abstract_type),
            {name: selection.encoder for name, selection in selections.items()},
        )
        return CompiledSelection(encoder, all(selection.is_constant for selection in selections.values()))


def _prepare_root_field(field: CompiledSelection) -> CompiledSelection:
    return field._replace(encoder=PreparedPieceEncoder(field.encoder, object())) if field.is_constant else field


def _get_mark(output_type: graphql.GraphQLOutputType, name: str) -> bool:
    """Return whether this is an object type, or that of a field that is never null, whose class has a mark."""
    object_type = output_type.of_type if graphql.is_non_null_type(output_type) else output_type
    if not graphql.is_object_type(object_type):
        return False
    definition = object_type.extensions.get("strawberry-definition")
    return getattr(definition and definition.origin, name, False)


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


def _build_field_encoder(
    resolve: Callable[..., Any], arguments: Arguments | ArgumentsBuilder, encoder: Encoder, *, needs_info: bool
) -> Encoder:
    if callable(arguments):
        return _FieldWithArgumentsEncoder(resolve, encoder, arguments, needs_info)
    if arguments or needs_info:
        return _FieldWithArgumentsEncoder(resolve, encoder, lambda _: arguments, needs_info)
    return _FieldEncoder(resolve, encoder)


@dataclass(frozen=True, slots=True, eq=False)
class _FieldEncoder(Encoder):
    """Encodes a field of the objects that it is given."""

    resolve: Callable[..., Any]
    encoder: Encoder

    def encode(self, values: Column, state: ExecutionState) -> list[bytes]:
        return self.encoder.encode(list(map(self.resolve, values)), state)

    def write(self, value: Any, state: ExecutionState, pieces: Pieces) -> None:  # noqa: ANN401 - any object
        self.encoder.write(self.resolve(value), state, pieces)


@dataclass(frozen=True, slots=True, eq=False)
class _FieldWithArgumentsEncoder(Encoder):
    """Encodes a field whose resolver takes arguments."""

    resolve: Callable[..., Any]
    encoder: Encoder
    build_arguments: ArgumentsBuilder
    needs_info: bool

    def encode(self, values: Column, state: ExecutionState) -> list[bytes]:
        kwargs = self._build_kwargs(state)
        return self.encoder.encode([self.resolve(source, **kwargs) for source in values], state)

    def write(self, value: Any, state: ExecutionState, pieces: Pieces) -> None:  # noqa: ANN401 - any object
        self.encoder.write(self.resolve(value, **self._build_kwargs(state)), state, pieces)

    def _build_kwargs(self, state: ExecutionState) -> Arguments:
        kwargs = self.build_arguments(state.variables)
        return {**kwargs, "info": state} if self.needs_info else kwargs
