"""Cost of introspection: the exact number of values that a selection of the schema returns.

An estimate per field would be too high for stock tools or too low for circular selections, because
the lists of a type's fields and arguments nest.
"""

from types import SimpleNamespace
from typing import Any

import graphql
from graphql.language import ast

from graphql_api.execution.selections import Fragments, iterate_fields
from graphql_api.utils.slices import end_slice

INTROSPECTION_FIELDS = frozenset({"__schema", "__type"})


class IntrospectionCounter:
    """Counts the values of one operation's introspection, each selection of a type once."""

    def __init__(self, schema: graphql.GraphQLSchema, fragments: Fragments) -> None:
        """Count nothing yet."""
        self._schema = schema
        self._fragments = fragments
        # Resolvers of introspection read nothing else.
        self._info: Any = SimpleNamespace(schema=schema)
        self._counts: dict[tuple[int, int], tuple[object, int]] = {}
        """Counts by the ids of a selection and an object, with the object, so that its id stays its own."""

    def count(self, node: ast.FieldNode) -> int:
        """Return the number of values of `__schema`, or of `__type` for the type that has most."""
        if node.selection_set is None:
            return 1
        if node.name.value == "__schema":
            return self._count_object(node.selection_set, "__Schema", self._schema)
        types = self._schema.type_map.values()
        return max(self._count_object(node.selection_set, "__Type", one_type) for one_type in types)

    def _count_object(self, selection_set: ast.SelectionSetNode, type_name: str, value: object) -> int:
        """Return 1 for the object and the number of values below it. Fragments in a cycle count once."""
        key = (id(selection_set), id(value))
        if key not in self._counts:
            self._counts[key] = (value, 0)
            fields = iterate_fields((selection_set,), self._fragments, set())
            self._counts[key] = (value, 1 + sum(self._count_field(node, type_name, value) for node in fields))
        return self._counts[key][1]

    def _count_field(self, node: ast.FieldNode, type_name: str, value: object) -> int:
        end_slice()
        object_type = graphql.introspection_types[type_name]
        field = getattr(object_type, "fields", {}).get(node.name.value)
        if field is None or field.resolve is None or node.selection_set is None:
            return 1
        result = field.resolve(value, self._info, **dict.fromkeys(field.args, True))
        objects = result if graphql.is_list_type(graphql.get_nullable_type(field.type)) else [result]
        type_name = graphql.get_named_type(field.type).name
        return 1 + sum(self._count_object(node.selection_set, type_name, item) for item in objects or () if item)
