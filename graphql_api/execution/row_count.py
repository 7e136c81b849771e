"""Row counts: how many objects a field of a query leads to, by what the schema declares and the data has."""

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple, TypeAlias

import graphql
from graphql.language import ast

from graphql_api.domain.aggregation import GroupSortField
from graphql_api.domain.conversion import MAX_TARGETS
from graphql_api.domain.country import CountryField
from graphql_api.domain.snapshot_reader import MAX_MATCHES
from graphql_api.execution.list_sizes import GROUP_KEYS, GROUPED_COUNTRIES, GroupSizes, ListSize, ListSizes, is_list
from graphql_api.execution.value_size import VariableRef, to_plain_value

_MAX_SORT_KEYS = sum(field.info.sortable for field in CountryField)


class DataSizes(NamedTuple):
    """Sizes of the served data."""

    countries: int
    lists: ListSizes
    groups: GroupSizes


Factors: TypeAlias = tuple[str, ...]
"""Multiply the cost of a field besides its rows: the lists that it is in by type and field, the outermost first,
`_CURSOR`, `_REPEATED` and `_AGGREGATED`."""
_CURSOR = "cursor"
_REPEATED = "repeated"
"""Marks that several objects may lead to one, as countries do to their continent."""
_GROUPED = "grouped"
"""Stands for grouping and sorting: each key of a country, and each group with its sums."""
_AGGREGATED = "aggregated"
"""Stands for the values that a number is computed from, one of each country."""
_VALUES_PER_FIELD = 10
"""Such values that take as long as one field of one row."""


class RowCount(NamedTuple):
    """The rows of a field: the requested number, at most `max_rows`."""

    max_rows: int | None
    """None: as many as there are countries."""
    requested: int | str | None = None
    """A number, the name of a variable, or None without `first`, `last` and a list of what to return."""
    sort: int | str = 0
    """Number of sort keys, or the name of a variable."""

    @property
    def has_variables(self) -> bool:
        """Return whether the number depends on variables."""
        return isinstance(self.requested, str) or isinstance(self.sort, str)

    @property
    def own_factors(self) -> Factors:
        """Return what multiplies the cost of the field itself."""
        return ()

    def count_objects(self, factors: Factors, sizes: DataSizes, variables: Mapping[str, Any]) -> int:
        """Return the number of objects that the rows lead to for these variables."""
        max_rows = sizes.countries if self.max_rows is None else self.max_rows
        sort_keys = _resolve_sort_keys(self.sort, _MAX_SORT_KEYS, variables)
        return _count_objects(_limit(max_rows, self.requested, variables), factors, sort_keys, sizes.lists)


class GroupCount(NamedTuple):
    """The groups of countries: the requested number, at most as many as there are."""

    by: tuple[str | VariableRef, ...] = ()
    """Values of `CountryGroupField`, and variables of one or several. Empty: all countries are one group."""
    requested: int | str | None = None
    """A number, the name of a variable, or None without `first`."""
    sort: int | str = 0
    """Number of sort keys, or the name of a variable."""

    @property
    def has_variables(self) -> bool:
        """Return whether the number depends on variables."""
        is_grouped_by_variable = any(isinstance(item, VariableRef) for item in self.by)
        return is_grouped_by_variable or isinstance(self.requested, str) or isinstance(self.sort, str)

    def count_objects(self, factors: Factors, sizes: DataSizes, variables: Mapping[str, Any]) -> int:
        """Return the number of objects that the groups lead to for these variables."""
        group_sizes = [sizes.groups[name] for name in self._resolve_names(variables) if name in sizes.groups]
        # Only languages are several of one country.
        countries = max((size.countries for size in group_sizes), default=sizes.countries)
        groups = min(prod(size.groups for size in group_sizes), max(countries, 1))
        if factors == (_GROUPED,):
            sort_keys = _resolve_sort_keys(self.sort, len(GroupSortField), variables)
            work = countries * len(group_sizes) + groups + sort_keys * (groups + countries // _VALUES_PER_FIELD)
            return work if self.by else 1
        size = ListSize(sizes.countries, countries, are_disjoint=countries == sizes.countries)
        keys = ListSize(len(group_sizes), groups * len(group_sizes))
        lists = {**sizes.lists, GROUPED_COUNTRIES: size, GROUP_KEYS: keys}
        return _count_objects(_limit(groups, self.requested, variables), factors, 0, lists)

    @property
    def own_factors(self) -> Factors:
        """Return what multiplies the cost of the field itself."""
        return (_GROUPED,)

    def _resolve_names(self, variables: Mapping[str, Any]) -> set[str]:
        names: set[str] = set()
        for item in self.by:
            value = variables.get(item.name) if isinstance(item, VariableRef) else item
            names.update(name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str))
        return names


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
_GROUPED_FIELDS = frozenset({"CountryConnection.groups", "CountryConnection.aggregate"})
"""Fields of groups: by some values, or of all countries as one."""
_LISTS_OF_ROWS = frozenset({"CountryConnection.nodes", "CountryConnection.edges", "Status.sources"})
"""Lists that cost nothing more: the items are those rows, or as few as there are kinds of sources."""
_CURSOR_FIELDS = frozenset({"CountryEdge.cursor", "PageInfo.startCursor", "PageInfo.endCursor"})
"""Fields that cost as much as the values of a cursor."""
_AGGREGATE_TYPES = ("CountrySums", "CountryNumbers")
"""Types whose fields are numbers of many countries."""
_LISTED_BY = frozenset({"ids", "to"})
"""Arguments with a list of what a field returns, repeated or not."""


def _count_objects(count: int, factors: Factors, sort_keys: int, lists: ListSizes) -> int:
    """Return the number of objects that `count` distinct ones lead to, the lists between them included."""
    is_distinct = True
    for factor in factors:
        if factor == _CURSOR:
            count *= 1 + sort_keys
        elif factor == _REPEATED:
            is_distinct = False
        elif factor == _AGGREGATED:
            size = lists[GROUPED_COUNTRIES]
            count += min(count * size.longest, size.total) // _VALUES_PER_FIELD
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
    if parent is not None and parent.name in _AGGREGATE_TYPES:
        return (_AGGREGATED,)
    if name in ("Query.nodes", "Query.convert"):
        return (_REPEATED,)
    if field is None or name in _LISTS_OF_ROWS:
        return ()
    if is_list(field):
        return () if name in _ROWS_BY_FIELD or name in _GROUPED_FIELDS else (name,)
    return (_REPEATED,) if _is_node(parent) and _is_node(graphql.get_named_type(field.type)) else ()


def _is_node(named_type: graphql.GraphQLNamedType | None) -> bool:
    return isinstance(named_type, graphql.GraphQLObjectType) and bool(named_type.interfaces)


def find_row_count(node: ast.FieldNode, name: str) -> RowCount | GroupCount | None:
    """Return the rows or groups of a field, or None if it has no list of them."""
    if name in _GROUPED_FIELDS:
        return _find_group_count(node)
    rows = _ROWS_BY_FIELD.get(name)
    if rows is None:
        return None
    for argument in node.arguments or ():
        argument_name, value = argument.name.value, to_plain_value(argument.value)
        if argument_name in ("first", "last") and (number := _read_number(value)) is not None:
            rows = rows._replace(requested=number)
        elif argument_name in _LISTED_BY:
            rows = rows._replace(requested=_read_length(value))
        elif argument_name == "sort":
            rows = rows._replace(sort=_read_length(value))
    return rows


def _find_group_count(node: ast.FieldNode) -> GroupCount:
    arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
    by, first, sort = map(arguments.get, ("by", "first", "sort"))
    items = by.values if isinstance(by, ast.ListValueNode) else [by]
    return GroupCount(
        by=tuple(
            VariableRef(item.name.value) if isinstance(item, ast.VariableNode) else item.value
            for item in items
            if isinstance(item, ast.VariableNode | ast.EnumValueNode)
        ),
        requested=_read_number(to_plain_value(first)) if first else None,
        sort=_read_length(to_plain_value(sort)) if sort else 0,
    )


def _read_number(value: object) -> int | str | None:
    """Return a number or the name of a variable; None for any other value."""
    if isinstance(value, VariableRef):
        return value.name
    return value if isinstance(value, int) else None


def _read_length(value: object) -> int | str:
    """Return the number of items of a list, or the name of a variable."""
    return value.name if isinstance(value, VariableRef) else _count_items(value)


def _resolve_sort_keys(sort: int | str, max_keys: int, variables: Mapping[str, Any]) -> int:
    """Return the number of sort keys for these variables. Repeated fields do not count."""
    return min(_count_items(variables.get(sort)) if isinstance(sort, str) else sort, max_keys)


def _limit(count: int, requested: int | str | None, variables: Mapping[str, Any]) -> int:
    """Return the requested number, or that of the variable, but at most `count`."""
    number = variables.get(requested) if isinstance(requested, str) else requested
    if isinstance(number, list):
        number = len(number)
    return min(max(number, 0), count) if isinstance(number, int) else count


def _count_items(value: object) -> int:
    """Return the number of items of a list. Any other value but null is a list of one item."""
    return len(value) if isinstance(value, list) else int(value is not None)
