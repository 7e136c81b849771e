"""Completing objects field by field instead of object by object, lists within them included.

A table does what the executor does, for values that are what their types say. Whatever is not, it
refuses, and leaves to the executor to say what becomes of it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import isfinite
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple

from graphql import (
    GraphQLField,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    Undefined,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.types.field import StrawberryField

Objects = Sequence[Any]
Reader = Callable[[Objects], Sequence[Any]]
"""From objects to the completed values of one of their fields."""
Collect = Callable[[GraphQLObjectType, FieldDetailsList], GroupedFieldSet]
"""From an object type and the fields that select of it to what they select."""

_GREATEST_INT = 2**31 - 1
_NO_INFO: Any = None


class Unusual(Exception):
    """A value is not what its type says."""


class Table(NamedTuple):
    """How a list of objects of one type is completed."""

    type: GraphQLObjectType
    build: Callable[[Sequence[Sequence[Any]]], list[dict[str, Any]]]
    """Makes the objects of the columns of their values."""
    readers: tuple[Reader, ...]
    alone: tuple[tuple[str, FieldDetailsList], ...]
    """The fields that are left to the executor, one by one."""

    def rows(self, objects: Objects) -> list[dict[str, Any]]:
        """Return the completed objects; the fields left to the executor are None.

        Raises:
            Unusual: a value is not what its type says.
        """
        kinds = set(map(type, objects))
        if len(kinds) > 1 or any(issubclass(kind, NoneType | Exception) for kind in kinds):
            raise Unusual
        is_type_of = self.type.is_type_of
        # Objects of one class are all of the type, or none is, wherever they are asked for.
        if kinds and is_type_of is not None and not is_type_of(objects[0], _NO_INFO):
            raise Unusual
        return self.build([read(objects) for read in self.readers])


def make_table(of: GraphQLObjectType, fields: GroupedFieldSet, collect: Collect) -> Table | None:
    """Return the table of fields of a type; None where a table would not help."""
    readers: list[Reader] = []
    alone: list[tuple[str, FieldDetailsList]] = []
    for key, details in fields.items():
        reader = _reader(of, details, collect)
        if reader is None:
            if not _is_synchronous(of, details, collect):
                return None
            alone.append((key, details))
        readers.append(reader or _nothing)
    if len(alone) == len(readers):
        return None
    return Table(of, _builder(tuple(fields)), tuple(readers), tuple(alone))


def _builder(keys: Sequence[str]) -> Callable[[Sequence[Sequence[Any]]], list[dict[str, Any]]]:
    """Return what makes dicts of columns: written for these keys, it takes a third of the time."""
    values = [f"v{place}" for place in range(len(keys))]
    pairs = ", ".join(f"{key!r}: {value}" for key, value in zip(keys, values, strict=True))
    text = f"lambda columns: [{{{pairs}}} for {', '.join(values)}, in zip(*columns, strict=True)]"
    build: Callable[[Sequence[Sequence[Any]]], list[dict[str, Any]]] = eval(text)  # noqa: S307 - keys are names of GraphQL, quoted
    return build


def _nothing(objects: Objects) -> Sequence[None]:
    return [None] * len(objects)


def _reader(of: GraphQLObjectType, details: FieldDetailsList, collect: Collect) -> Reader | None:
    name = details[0].node.name.value
    if name == "__typename":
        return lambda objects: [of.name] * len(objects)
    field = of.fields[name]
    source = _source(field)
    if source is None:
        return None
    kind = get_nullable_type(field.type)
    nullable = not is_non_null_type(field.type)
    if is_leaf_type(kind):
        return _leaf_reader(source, kind, nullable=nullable)
    complete = _completer(kind, details, collect)
    return None if complete is None else _joined(source, complete, nullable=nullable)


def _completer(
    kind: GraphQLOutputType, details: FieldDetailsList, collect: Collect
) -> Reader | None:
    """Return what completes values of a type that are not None: objects, or lists of objects."""
    if is_object_type(kind):
        return _object_reader(kind, details, collect)
    item = get_nullable_type(kind.of_type) if is_list_type(kind) else None
    complete = _object_reader(item, details, collect) if is_object_type(item) else None
    return None if complete is None else _each(complete)


def _each(complete: Reader) -> Reader:
    def read(lists: Objects) -> Sequence[Any]:
        if not all(isinstance(one, list | tuple) for one in lists):
            raise Unusual
        return [complete(one) for one in lists]

    return read


def _joined(source: Callable[[Any], Any], complete: Reader, *, nullable: bool) -> Reader:
    def read(objects: Objects) -> Sequence[Any]:
        return _complete_present(list(map(source, objects)), complete, nullable=nullable)

    return read


def _complete_present(values: Objects, complete: Reader, *, nullable: bool) -> Sequence[Any]:
    """Return the values completed, but for those that are None."""
    if None not in values:
        return complete(values)
    if not nullable:
        raise Unusual
    present = iter(complete([value for value in values if value is not None]))
    return [None if value is None else next(present) for value in values]


def _source(field: GraphQLField) -> Callable[[Any], Any] | None:
    """Return what gets a field's value from an object; None if it needs more than the object."""
    definition = _definition(field)
    if definition is None or field.args or definition.extensions:
        return None
    resolver = definition.base_resolver
    if resolver is None:
        return attrgetter(definition.python_name)
    taken = resolver.self_parameter or resolver.parent_parameter
    if resolver.is_async or resolver.info_parameter or taken is None:
        return None
    return resolver._unbound_wrapped_func  # noqa: SLF001 - the public one may be a staticmethod


def _definition(field: GraphQLField) -> StrawberryField | None:
    definition = field.extensions.get("strawberry-definition")
    return definition if isinstance(definition, StrawberryField) else None


def _is_synchronous(of: GraphQLObjectType, details: FieldDetailsList, collect: Collect) -> bool:
    """Tell whether the executor never has to wait for a field, nor for what is selected of it."""
    name = details[0].node.name.value
    if name == "__typename":
        return True
    definition = _definition(of.fields[name])
    if definition is None or definition.is_async:
        return False
    kind = _innermost(of.fields[name].type)
    if not is_object_type(kind):
        return bool(is_leaf_type(kind))
    return all(_is_synchronous(kind, below, collect) for below in collect(kind, details).values())


def _innermost(kind: GraphQLOutputType) -> Any:  # noqa: ANN401 - any type with a name
    while hasattr(kind, "of_type"):
        kind = kind.of_type
    return kind


def _object_reader(
    of: GraphQLObjectType, details: FieldDetailsList, collect: Collect
) -> Reader | None:
    table = make_table(of, collect(of, details), collect)
    return None if table is None or table.alone else table.rows


def _leaf_reader(source: Callable[[Any], Any], kind: GraphQLLeafType, *, nullable: bool) -> Reader:
    is_usual = _USUAL.get(kind.name, _never)
    absent = {NoneType} if nullable else set()

    def read(objects: Objects) -> Sequence[Any]:
        values = list(map(source, objects))
        if is_usual(values, set(map(type, values)) - absent):
            return values
        return _complete_present(values, coerce, nullable=nullable)

    def coerce(values: Objects) -> Sequence[Any]:
        if set(map(type, values)) == {datetime}:
            # Those of one refresh are one instant, and writing it is what takes the time.
            written = {value: _coerced(kind, value) for value in set(values)}
            return [written[value] for value in values]
        return [_coerced(kind, value) for value in values]

    return read


def _coerced(kind: GraphQLLeafType, value: object) -> object:
    if isinstance(value, Exception):
        raise Unusual
    coerced = kind.coerce_output_value(value)
    if coerced is None or coerced is Undefined:
        raise Unusual
    return coerced


Types = set[type]


def _never(_: Objects, __: Types) -> bool:
    return False


def _are_texts(_: Objects, types: Types) -> bool:
    return types <= {str}


def _are_ints(values: Objects, types: Types) -> bool:
    # What is None, or 0, is left out.
    return (
        types <= {int}
        and max(filter(None, values), default=0) <= _GREATEST_INT
        and min(filter(None, values), default=0) >= -_GREATEST_INT - 1
    )


def _are_floats(values: Objects, types: Types) -> bool:
    return types <= {float} and isfinite(sum(filter(None, values)))


_USUAL: Mapping[str, Callable[[Objects, Types], bool]] = {
    "String": _are_texts,
    "ID": _are_texts,
    "Int": _are_ints,
    "Float": _are_floats,
}
"""By scalar, whether completing values changes none of them; their types are told, NoneType not."""
