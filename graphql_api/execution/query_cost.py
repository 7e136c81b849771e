"""Query cost: measure an operation in one pass, each fragment once however often it is used.

The pass checks every limit that does not depend on variables. It returns the cost as a sum of
products, which `OperationCost.check` evaluates for the variables of each request.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import graphql
from graphql.language import ast

from graphql_api.execution.introspection_cost import INTROSPECTION_FIELDS, IntrospectionCounter
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.selections import Fragments, count_fields

_CHARACTERS_PER_FIELD = 10
"""Characters of a text that cost as much as one field of one row: each condition folds them."""
_MAX_ROW_COUNT_DIGITS = 10
"""Longer integers are out of range; Python's parsing of them is quadratic."""
_INTROSPECTION_DEPTH = 30
"""Levels that introspection may have beyond the limit: `ofType` nests for each list and non-null."""
_INTROSPECTION_FACTOR = 10
"""Times the limits of fields and aliases that introspection may have. Its cost is known exactly."""
_PAIRS_PER_FIELD = 10
"""Pairs that validation compares and that count as one more field."""
_COST_PER_INTROSPECTED_VALUE = 3
"""Introspection completes value by value, other queries column by column."""
_MUTATION_COST = 2_000
"""A mutation takes round trips to the database."""
_COST_BY_FIELD = {"refreshCountries": _MUTATION_COST, "deleteCountry": _MUTATION_COST}
"""Cost of a field by its name. All others cost 1."""


class RowCount(NamedTuple):
    """Number of rows of a field: the requested number, at most `max_rows`."""

    max_rows: int | None
    """None: as many as there are countries."""
    requested: int | str | None = None
    """A number, the name of a variable, or None without `first` and `last`."""

    def resolve(self, country_count: int, variables: Mapping[str, Any]) -> int:
        """Return the number of rows for these variables."""
        max_rows = country_count if self.max_rows is None else self.max_rows
        requested = variables.get(self.requested) if isinstance(self.requested, str) else self.requested
        return min(max(requested, 0), max_rows) if isinstance(requested, int) else max_rows


_ONE_ROW, _ALL_ROWS = RowCount(1), RowCount(None)
_ROW_COUNTS_BY_FIELD = {"countries": _ALL_ROWS, "refreshes": RowCount(1000, 10), "failedRefreshes": RowCount(1000, 10)}
"""Fields with several rows, and the default number of rows."""


class _VariableRef(NamedTuple):
    name: str


@dataclass(slots=True)
class _ValueSize:
    """Size of an argument or a variable."""

    operands: int = 0
    """Fields of objects. Each is compared with every country."""
    elements: int = 0
    """Items of lists, and characters divided by `_CHARACTERS_PER_FIELD`."""
    variable_uses: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _SelectionStats:
    """Measures of a selection, its fragments included."""

    depth: int = 1
    fields: int = 0
    aliases: int = 0
    extras: int = 0
    """Fragments and directives: limited together with fields, but without a cost."""
    fields_by_row_count: Counter[RowCount] = field(default_factory=Counter)
    variable_uses: Counter[str] = field(default_factory=Counter)

    def add_fragment(self, fragment: "_SelectionStats") -> None:
        self.fields_by_row_count.update(fragment.fields_by_row_count)
        self.add_nested(fragment)

    def add_nested(self, nested: "_SelectionStats") -> None:
        """Add the measures of a field's selection, without its rows."""
        self.depth = max(self.depth, nested.depth + 1)
        self.fields += nested.fields
        self.aliases += nested.aliases
        self.extras += nested.extras
        self.variable_uses.update(nested.variable_uses)

    def add_value(self, node: ast.ValueNode, limits: QueryLimits) -> None:
        size = _measure_value(_to_plain_value(node), limits)
        self.fields_by_row_count[_ALL_ROWS] += size.operands
        self.fields_by_row_count[_ONE_ROW] += size.elements
        self.variable_uses.update(size.variable_uses)

    def check(self, limits: QueryLimits) -> None:
        limits.check("fields", self.fields + self.extras)
        limits.check("aliases", self.aliases)


@dataclass(frozen=True, slots=True)
class OperationCost:
    """Cost of an operation, before its variables are known. Its other measures are within the limits."""

    fields_by_row_count: Mapping[RowCount, int]
    """Number of fields for each number of rows."""
    variable_uses: Mapping[str, int]
    """How often each variable is used."""
    defaults: Mapping[str, object]
    """The declared variables with their default values, None without one."""
    fragments: Sequence[ast.FragmentDefinitionNode]
    """The fragments that the operation uses, directly or not."""
    limits: QueryLimits

    def check(self, variables: Mapping[str, Any], *, country_count: int) -> int:
        """Return the cost for these variables. Variables that the operation does not declare have none.

        Raises:
            QueryTooComplex: The cost, or a variable's depth or items, exceeds its limit.
        """
        values = {name: variables.get(name, default) for name, default in self.defaults.items()}
        sizes = {
            name: _measure_value(value, self.limits)
            for name, value in values.items()
            if isinstance(value, str | dict | list)
        }
        cost = sum(
            count * row_count.resolve(country_count, values) for row_count, count in self.fields_by_row_count.items()
        )
        for name, count in self.variable_uses.items():
            if size := sizes.get(name):
                cost += count * (size.operands * country_count + size.elements)
        self.limits.check("cost", cost)
        return cost


def measure_operation(
    operation: ast.OperationDefinitionNode, schema: graphql.GraphQLSchema, fragments: Fragments, limits: QueryLimits
) -> OperationCost:
    """Measure an operation. Fragments that use each other in a cycle count once.

    Raises:
        QueryTooComplex: A measure that does not depend on variables exceeds its limit.
    """
    visitor = _CostVisitor(fragments, limits)
    stats = visitor.visit_operation(operation)
    counter = IntrospectionCounter(schema, fragments)
    for node in visitor.introspection_nodes:
        stats.fields_by_row_count[_ONE_ROW] += counter.count(node) * _COST_PER_INTROSPECTED_VALUE
        # Counting takes time too.
        limits.check("cost", stats.fields_by_row_count[_ONE_ROW])
    variables = {
        definition.variable.name.value: definition.default_value and _to_plain_value(definition.default_value)
        for definition in operation.variable_definitions or ()
    }
    return OperationCost(stats.fields_by_row_count, stats.variable_uses, variables, visitor.used_fragments, limits)


def is_short(document: ast.DocumentNode, fragments: Fragments, limits: QueryLimits) -> bool:
    """Return whether validation of all definitions together takes no longer than one operation's may."""
    remaining = limits.fields
    for definition in document.definitions:
        if isinstance(definition, ast.ExecutableDefinitionNode):
            fields, pairs = count_fields(definition.selection_set, fragments, remaining)
            remaining -= fields + pairs // _PAIRS_PER_FIELD
        if remaining < 0:
            return False
    return True


class _CostVisitor:
    """Visits each node of one operation and of the fragments that it uses once."""

    def __init__(self, fragments: Fragments, limits: QueryLimits) -> None:
        self.introspection_nodes: list[ast.FieldNode] = []
        self._limits = limits
        self._fragments = fragments
        self._introspection_limits = replace(
            limits,
            depth=limits.depth + _INTROSPECTION_DEPTH,
            fields=limits.fields * _INTROSPECTION_FACTOR,
            aliases=limits.aliases * _INTROSPECTION_FACTOR,
        )
        self._stats_by_fragment: dict[str, _SelectionStats | None] = {}
        """Measures by fragment. None while it is being visited."""

    @property
    def used_fragments(self) -> list[ast.FragmentDefinitionNode]:
        return [self._fragments[name] for name in self._stats_by_fragment]

    def visit_operation(self, operation: ast.OperationDefinitionNode) -> _SelectionStats:
        stats = self._visit_selections(operation.selection_set, 1)
        self._visit_directives(operation.directives, stats)
        for definition in operation.variable_definitions or ():
            self._visit_directives(definition.directives, stats)
        stats.check(self._limits)
        _, pairs = count_fields(operation.selection_set, self._fragments, self._introspection_limits.fields)
        self._limits.check("fields", stats.fields + stats.extras + pairs // _PAIRS_PER_FIELD)
        return stats

    def _visit_selections(self, selection_set: ast.SelectionSetNode, level: int) -> _SelectionStats:
        self._limits.check("depth", level)
        stats = _SelectionStats()
        for selection in selection_set.selections:
            self._visit_directives(selection.directives, stats)
            if isinstance(selection, ast.FieldNode):
                self._visit_field(selection, level, stats)
                continue
            stats.extras += 1
            if isinstance(selection, ast.InlineFragmentNode):
                stats.add_fragment(self._visit_selections(selection.selection_set, level + 1))
            elif isinstance(selection, ast.FragmentSpreadNode) and (
                fragment := self._visit_fragment(selection.name.value, level + 1)
            ):
                stats.add_fragment(fragment)
        return stats

    def _visit_field(self, node: ast.FieldNode, level: int, stats: _SelectionStats) -> None:
        if node.name.value in INTROSPECTION_FIELDS:
            self._visit_introspection(node, level, stats)
            return
        nested = self._visit_selections(node.selection_set, level + 1) if node.selection_set else None
        stats.fields += 1
        stats.aliases += node.alias is not None
        for argument in node.arguments or ():
            stats.add_value(argument.value, self._limits)
        row_count = _find_row_count(node)
        if row_count is not None:
            stats.fields_by_row_count[row_count] += 1 + (nested.fields if nested else 0)
        else:
            stats.fields_by_row_count[_ONE_ROW] += _COST_BY_FIELD.get(node.name.value, 1)
        if nested is not None:
            stats.add_nested(nested)
            if row_count is None:
                stats.fields_by_row_count.update(nested.fields_by_row_count)

    def _visit_introspection(self, node: ast.FieldNode, level: int, stats: _SelectionStats) -> None:
        """Measure `__schema` or `__type`, which counts as one field of the operation."""
        stats.fields += 1
        stats.aliases += node.alias is not None
        if node.selection_set is not None:
            limits, self._limits = self._limits, self._introspection_limits
            self._visit_selections(node.selection_set, level + 1).check(self._limits)
            self._limits = limits
        self.introspection_nodes.append(node)

    def _visit_fragment(self, name: str, level: int) -> _SelectionStats | None:
        """Return the measures of a fragment, or None if it is unknown or being visited."""
        if name in self._stats_by_fragment or name not in self._fragments:
            stats = self._stats_by_fragment.get(name)
            self._limits.check("depth", level + stats.depth - 1 if stats else level)
            return stats
        self._stats_by_fragment[name] = None
        stats = self._visit_selections(self._fragments[name].selection_set, level)
        self._visit_directives(self._fragments[name].directives, stats)
        stats.check(self._limits)
        self._stats_by_fragment[name] = stats
        return stats

    def _visit_directives(self, directives: Sequence[ast.DirectiveNode] | None, stats: _SelectionStats) -> None:
        for directive in directives or ():
            stats.extras += 1
            for argument in directive.arguments or ():
                stats.add_value(argument.value, self._limits)


def _find_row_count(node: ast.FieldNode) -> RowCount | None:
    """Return the number of rows of a field, or None if it has no list of rows."""
    row_count = _ROW_COUNTS_BY_FIELD.get(node.name.value)
    if row_count is None:
        return None
    for argument in node.arguments or ():
        if argument.name.value in ("first", "last"):
            requested = _to_plain_value(argument.value)
            if isinstance(requested, _VariableRef):
                return RowCount(row_count.max_rows, requested.name)
            if isinstance(requested, int):
                return RowCount(row_count.max_rows, requested)
    return row_count


def _to_plain_value(node: ast.ValueNode) -> object:
    """Convert a literal as JSON has it. Scalars that have no size and no rows become None."""
    match node:
        case ast.ObjectValueNode():
            return {object_field.name.value: _to_plain_value(object_field.value) for object_field in node.fields}
        case ast.ListValueNode():
            return [_to_plain_value(item) for item in node.values]
        case ast.VariableNode():
            return _VariableRef(node.name.value)
        case ast.StringValueNode():
            return node.value
        case ast.IntValueNode() if len(node.value) <= _MAX_ROW_COUNT_DIGITS:
            return int(node.value)
    return None


def _measure_value(value: object, limits: QueryLimits) -> _ValueSize:
    size = _ValueSize()
    _add_value(value, size, limits, 1)
    return size


def _add_value(value: object, size: _ValueSize, limits: QueryLimits, level: int) -> None:
    if isinstance(value, _VariableRef):
        size.variable_uses[value.name] += 1
    elif isinstance(value, str):
        size.elements += len(value) // _CHARACTERS_PER_FIELD
    elif isinstance(value, dict | list):
        limits.check("depth", level)
        if isinstance(value, dict):
            size.operands += len(value)
        else:
            limits.check("items", len(value))
            size.elements += len(value)
        for item in value.values() if isinstance(value, dict) else value:
            _add_value(item, size, limits, level + 1)
