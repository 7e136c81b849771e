"""Row counts: how many objects a field of a query leads to, by what the schema declares and the data has."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import graphql
from graphql.language import ast

from graphql_api.domain.conversion import MAX_TARGETS
from graphql_api.domain.country import CountryField
from graphql_api.domain.snapshot_reader import MAX_MATCHES
from graphql_api.execution.list_sizes import ListSizes, is_list
from graphql_api.execution.value_size import VariableRef, to_plain_value

_MAX_SORT_KEYS = sum(field.info.sortable for field in CountryField)


class DataSizes(NamedTuple):
    """Sizes of the served data."""

    countries: int
    lists: ListSizes


class RowCount(NamedTuple):
    """The rows of a field: the requested number, at most `max_rows`."""

    max_rows: int | None
    """None: as many as there are countries."""
    requested: int | str | None = None
    """A number, the name of a variable, or None without `first`, `last` and a list of what to return."""
    sort: int | str = 0
    """Number of sort keys, or the name of a variable."""

    def resolve(self, sizes: DataSizes, variables: Mapping[str, Any]) -> int:
        """Return the number of rows for these variables."""
        max_rows = sizes.countries if self.max_rows is None else self.max_rows
        requested = variables.get(self.requested) if isinstance(self.requested, str) else self.requested
        if isinstance(requested, list):
            requested = len(requested)
        return min(max(requested, 0), max_rows) if isinstance(requested, int) else max_rows

    def count_sort_keys(self, variables: Mapping[str, Any]) -> int:
        """Return the number of sort keys for these variables. Repeated fields do not count."""
        sort = _count_items(variables.get(self.sort)) if isinstance(self.sort, str) else self.sort
        return min(sort, _MAX_SORT_KEYS)


Factors: TypeAlias = tuple[str, ...]
"""Multiply the cost of a field besides its rows: the lists that it is in by type and field, the outermost first,
`_CURSOR` and `_REPEATED`."""

ONE_ROW, ALL_ROWS = RowCount(1), RowCount(None)
_ROWS_BY_FIELD = {
    "Query.countries": ALL_ROWS,
    "Query.nodes": RowCount(100),
    "Query.search": RowCount(MAX_MATCHES, 10),
    "Query.convert": RowCount(MAX_TARGETS),
    "Query.refreshes": RowCount(1000, 10),
    "Query.failedRefreshes": RowCount(1000, 10),
}
"""Fields with several rows, and the default number of rows."""
_LISTS_OF_ROWS = frozenset({"CountryConnection.nodes", "CountryConnection.edges", "Status.sources"})
"""Lists that cost nothing more: the items are those rows, or as few as there are kinds of sources."""
_CURSOR = "cursor"
_CURSOR_FIELDS = frozenset({"CountryEdge.cursor", "PageInfo.startCursor", "PageInfo.endCursor"})
"""Fields that cost as much as the values of a cursor."""
_LISTED_BY = frozenset({"ids", "to"})
"""Arguments with a list of what a field returns, repeated or not."""
_REPEATED = "repeated"
"""Marks that several objects may lead to one, as countries do to their continent."""


def count_objects(count: int, factors: Factors, sort_keys: int, lists: ListSizes) -> int:
    """Return the number of objects that `count` distinct ones lead to, the lists between them included."""
    is_distinct = True
    for factor in factors:
        if factor == _CURSOR:
            count *= 1 + sort_keys
        elif factor == _REPEATED:
            is_distinct = False
        else:
            size = lists[factor]
            items = count * size.longest
            count += min(items, size.total) if is_distinct else items
            is_distinct = is_distinct and size.are_disjoint
    return count


def get_field(parent: graphql.GraphQLNamedType | None, node: ast.FieldNode) -> graphql.GraphQLField | None:
    """Return the definition of a selected field; None if its type, or the field, does not exist."""
    if isinstance(parent, graphql.GraphQLObjectType | graphql.GraphQLInterfaceType):
        fields: Mapping[str, graphql.GraphQLField] = parent.fields
        return fields.get(node.name.value)
    return None


def find_factors(name: str, parent: graphql.GraphQLNamedType | None, field: graphql.GraphQLField | None) -> Factors:
    """Return what multiplies the cost of a field and of the fields below it."""
    if name in _CURSOR_FIELDS:
        return (_CURSOR,)
    if name in ("Query.nodes", "Query.convert"):
        return (_REPEATED,)
    if field is None or name in _LISTS_OF_ROWS:
        return ()
    if is_list(field):
        return () if name in _ROWS_BY_FIELD else (name,)
    return (_REPEATED,) if _is_node(parent) and _is_node(graphql.get_named_type(field.type)) else ()


def _is_node(named_type: graphql.GraphQLNamedType | None) -> bool:
    return isinstance(named_type, graphql.GraphQLObjectType) and bool(named_type.interfaces)


def find_row_count(node: ast.FieldNode, name: str) -> RowCount | None:
    """Return the rows of a field, or None if it has no list of rows."""
    rows = _ROWS_BY_FIELD.get(name)
    if rows is None:
        return None
    for argument in node.arguments or ():
        argument_name, value = argument.name.value, to_plain_value(argument.value)
        if argument_name in ("first", "last") and isinstance(value, int | VariableRef):
            rows = rows._replace(requested=value.name if isinstance(value, VariableRef) else value)
        elif argument_name in _LISTED_BY:
            rows = rows._replace(requested=value.name if isinstance(value, VariableRef) else _count_items(value))
        elif argument_name == "sort":
            rows = rows._replace(sort=value.name if isinstance(value, VariableRef) else _count_items(value))
    return rows


def _count_items(value: object) -> int:
    """Return the number of items of a list. Any other value but null is a list of one item."""
    return len(value) if isinstance(value, list) else int(value is not None)
