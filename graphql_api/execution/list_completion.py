"""Bulk list completion: complete plain objects field by field instead of object by object.

A list completer does what graphql-core's executor does, for values that are what their types say.
It rejects all others, so that the executor completes the list and reports the errors.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import isfinite
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple

import graphql
from graphql import GraphQLObjectType, Undefined
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.types.field import StrawberryField

Objects = Sequence[Any]
Reader = Callable[[Objects], Sequence[Any]]
"""From objects to the completed values of one of their fields."""
SubfieldCollector = Callable[[GraphQLObjectType, FieldDetailsList], GroupedFieldSet]
"""From an object type and the details of a field to the fields selected below it."""

_MAX_INT = 2**31 - 1
_NO_INFO: Any = None


class NeedsFullExecution(Exception):
    """A value is not what its type says."""


class ListCompleter(NamedTuple):
    """Completes lists of objects of one type."""

    object_type: GraphQLObjectType
    empty_row: dict[str, None]
    """The keys of a completed object, in the order of the query."""
    readers: tuple[tuple[str, Reader], ...]
    """The reader of each field that is completed in bulk."""
    executor_fields: tuple[tuple[str, FieldDetailsList], ...]
    """The fields that the executor completes, one object at a time."""

    def complete(self, objects: Objects) -> list[dict[str, Any]]:
        """Return the completed objects. Fields that the executor completes are None.

        Raises:
            NeedsFullExecution: A value is not what its type says.
        """
        classes = set(map(type, objects))
        if len(classes) > 1 or any(issubclass(value_class, NoneType | Exception) for value_class in classes):
            raise NeedsFullExecution
        is_type_of = self.object_type.is_type_of
        # Here, is_type_of depends on the class alone: the first object decides for all.
        if classes and is_type_of is not None and not is_type_of(objects[0], _NO_INFO):
            raise NeedsFullExecution
        # Copying the keys and setting columns takes two thirds of the time of dict(zip()) per row.
        rows: list[dict[str, Any]] = [self.empty_row.copy() for _ in objects]
        for key, read in self.readers:
            for row, value in zip(rows, read(objects), strict=True):
                row[key] = value
        return rows


def build_list_completer(
    object_type: GraphQLObjectType, details: FieldDetailsList, collect: SubfieldCollector
) -> ListCompleter | None:
    """Build the completer of the selected fields of a type.

    None if no field can be completed in bulk, or if the executor may have to await one.
    """
    readers: list[tuple[str, Reader]] = []
    executor_fields: list[tuple[str, FieldDetailsList]] = []
    fields = collect(object_type, details)
    for key, field in fields.items():
        reader = _build_reader(object_type, field, collect)
        if reader is not None:
            readers.append((key, reader))
        elif _is_synchronous(object_type, field, collect):
            executor_fields.append((key, field))
        else:
            return None
    if not readers:
        return None
    return ListCompleter(object_type, dict.fromkeys(fields), tuple(readers), tuple(executor_fields))


def _build_reader(
    object_type: GraphQLObjectType, details: FieldDetailsList, collect: SubfieldCollector
) -> Reader | None:
    name = details[0].node.name.value
    if name == "__typename":
        return lambda objects: [object_type.name] * len(objects)
    field = object_type.fields[name]
    getter = _build_getter(field)
    if getter is None:
        return None
    field_type = graphql.get_nullable_type(field.type)
    nullable = not graphql.is_non_null_type(field.type)
    if graphql.is_leaf_type(field_type):
        return _build_leaf_reader(getter, field_type, nullable=nullable)
    complete = _build_completer(field_type, details, collect)
    if complete is None:
        return None
    return lambda objects: _complete_non_null(list(map(getter, objects)), complete, nullable=nullable)


def _build_completer(
    field_type: graphql.GraphQLOutputType, details: FieldDetailsList, collect: SubfieldCollector
) -> Reader | None:
    """Return the function that completes values, none of them None: objects, or lists of them."""
    if graphql.is_object_type(field_type):
        return _build_object_reader(field_type, details, collect)
    item_type = graphql.get_nullable_type(getattr(field_type, "of_type", None))
    if not graphql.is_object_type(item_type):
        return None
    complete = _build_object_reader(item_type, details, collect)
    if complete is None:
        return None

    def read(lists: Objects) -> Sequence[Any]:
        if not all(isinstance(nested, list | tuple) for nested in lists):
            raise NeedsFullExecution
        return [complete(nested) for nested in lists]

    return read


def _complete_non_null(values: Objects, complete: Reader, *, nullable: bool) -> Sequence[Any]:
    """Complete the values that are not None."""
    if None not in values:
        return complete(values)
    if not nullable:
        raise NeedsFullExecution
    completed = iter(complete([value for value in values if value is not None]))
    return [None if value is None else next(completed) for value in values]


def _build_getter(field: graphql.GraphQLField) -> Callable[[Any], Any] | None:
    """Return the function from an object to a field's value. None if that needs more arguments."""
    definition = _get_definition(field)
    if definition is None or field.args or definition.extensions:
        return None
    resolver = definition.base_resolver
    if resolver is None:
        return attrgetter(definition.python_name)
    object_parameter = resolver.self_parameter or resolver.parent_parameter
    if resolver.is_async or resolver.info_parameter or object_parameter is None:
        return None
    return resolver._unbound_wrapped_func  # noqa: SLF001 - the public one may be a staticmethod


def _get_definition(field: graphql.GraphQLField) -> StrawberryField | None:
    definition = field.extensions.get("strawberry-definition")
    return definition if isinstance(definition, StrawberryField) else None


def _is_synchronous(object_type: GraphQLObjectType, details: FieldDetailsList, collect: SubfieldCollector) -> bool:
    """Return whether the executor completes a field, and the fields below it, without awaiting."""
    name = details[0].node.name.value
    if name == "__typename":
        return True
    definition = _get_definition(object_type.fields[name])
    if definition is None or definition.is_async:
        return False
    named_type = graphql.get_named_type(object_type.fields[name].type)
    if not graphql.is_object_type(named_type):
        return graphql.is_leaf_type(named_type)
    return all(_is_synchronous(named_type, subfields, collect) for subfields in collect(named_type, details).values())


def _build_object_reader(
    object_type: GraphQLObjectType, details: FieldDetailsList, collect: SubfieldCollector
) -> Reader | None:
    completer = build_list_completer(object_type, details, collect)
    return None if completer is None or completer.executor_fields else completer.complete


def _build_leaf_reader(getter: Callable[[Any], Any], leaf_type: graphql.GraphQLLeafType, *, nullable: bool) -> Reader:
    may_pass_through = _PASS_THROUGH_CHECKS.get(leaf_type.name)
    ignored_types = {NoneType} if nullable else set()

    def read(objects: Objects) -> Sequence[Any]:
        values = list(map(getter, objects))
        if may_pass_through and may_pass_through(values, set(map(type, values)) - ignored_types):
            return values
        return _complete_non_null(values, coerce, nullable=nullable)

    def coerce(values: Objects) -> Sequence[Any]:
        if set(map(type, values)) == {datetime}:
            # Rows of one refresh share their instant, and formatting takes most of the time.
            serialized = {value: _coerce_value(leaf_type, value) for value in set(values)}
            return [serialized[value] for value in values]
        return [_coerce_value(leaf_type, value) for value in values]

    return read


def _coerce_value(leaf_type: graphql.GraphQLLeafType, value: object) -> object:
    if isinstance(value, Exception):
        raise NeedsFullExecution
    coerced = leaf_type.coerce_output_value(value)
    if coerced is None or coerced is Undefined:
        raise NeedsFullExecution
    return coerced


Types = set[type]


def _are_strings(_: Objects, types: Types) -> bool:
    return types <= {str}


def _are_ints(values: Objects, types: Types) -> bool:
    # filter() drops None, and 0, which is in range.
    return (
        types <= {int}
        and max(filter(None, values), default=0) <= _MAX_INT
        and min(filter(None, values), default=0) >= -_MAX_INT - 1
    )


_PASS_THROUGH_CHECKS: Mapping[str, Callable[[Objects, Types], bool]] = {
    "String": _are_strings,
    "ID": _are_strings,
    "Int": _are_ints,
    "Float": lambda values, types: types <= {float} and isfinite(sum(filter(None, values))),
}
"""By scalar, whether the values and their types (NoneType left out) need no coercion."""
