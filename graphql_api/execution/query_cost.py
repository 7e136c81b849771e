"""Measuring a document in one pass, each fragment once, however often it is used.

What does not depend on variables is checked at once. What does is kept as a sum of products, which
`Measures.check` works out for the variables of a request, so that a document is measured once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)

from graphql_api.execution.limits import QueryLimits

_CHARACTERS_PER_FIELD = 10
"""So many characters of a text cost as much as one field of one row."""
_MAX_ROW_COUNT_DIGITS = 10
"""No number of rows has more."""


class RowCount(NamedTuple):
    """How many rows a field has: as many as are asked for, but no more than there are."""

    max_rows: int | None
    """None for as many as there are countries."""
    requested: int | str | None = None
    """A number, the name of a variable, or None where the client does not say."""

    def resolve(self, country_count: int, variables: Mapping[str, Any]) -> int:
        """Return the number, for so many countries and these variables."""
        max_rows = country_count if self.max_rows is None else self.max_rows
        requested = (
            variables.get(self.requested) if isinstance(self.requested, str) else self.requested
        )
        return min(max(requested, 0), max_rows) if isinstance(requested, int) else max_rows


_ONE_ROW, _ALL_ROWS = RowCount(1), RowCount(None)
_ROW_COUNTS_BY_FIELD = {
    "countries": _ALL_ROWS,
    "refreshes": RowCount(1000, 10),
    "failedRefreshes": RowCount(1000, 10),
    # An introspection's rows are a rough guess.
    "__schema": RowCount(50),
    "__type": RowCount(50),
}
"""Fields whose selections are made for many rows, and for how many without first and last."""


class _VariableRef(NamedTuple):
    """A variable in an argument."""

    name: str


@dataclass(slots=True)
class _ValueSize:
    """What an argument or a variable asks to be worked through."""

    operands: int = 0
    """Fields of objects, each of which is compared with every country."""
    elements: int = 0
    """Items of lists, and texts by their length."""
    variable_uses: Counter[str] = field(default_factory=Counter)
    """How often it holds each variable."""


@dataclass(slots=True)
class _SelectionStats:
    """What a selection holds, its fragments included."""

    depth: int = 1
    fields: int = 0
    aliases: int = 0
    roots: int = 0
    directives: int = 0
    fields_by_row_count: Counter[RowCount] = field(default_factory=Counter)
    """How many fields are made for each row of a page."""
    variable_uses: Counter[str] = field(default_factory=Counter)

    def add_fragment(self, fragment: "_SelectionStats") -> None:
        """Take in a fragment."""
        self.roots += fragment.roots
        self.fields_by_row_count.update(fragment.fields_by_row_count)
        self.add_nested(fragment)

    def add_nested(self, nested: "_SelectionStats") -> None:
        """Take in what a field selects, but for its rows."""
        self.depth = max(self.depth, nested.depth + 1)
        self.fields += nested.fields
        self.aliases += nested.aliases
        self.directives += nested.directives
        self.variable_uses.update(nested.variable_uses)

    def add_value_size(self, size: _ValueSize) -> None:
        """Take in an argument."""
        self.fields_by_row_count[_ALL_ROWS] += size.operands
        self.fields_by_row_count[_ONE_ROW] += size.elements
        self.variable_uses.update(size.variable_uses)


class OperationCost(NamedTuple):
    """What an operation costs."""

    fields_by_row_count: Mapping[RowCount, int]
    """How many fields are made for each row of a page."""
    variable_uses: Mapping[str, int]
    """How often each variable is used."""
    defaults: Mapping[str, object]
    """The values of variables that are not given."""


@dataclass(frozen=True, slots=True)
class QueryCost:
    """What is left to check of a document that is within the limits whatever its variables."""

    operations: Sequence[OperationCost]
    limits: QueryLimits

    def check(self, variables: Mapping[str, Any], *, country_count: int) -> int:
        """Return the cost for so many countries, of the dearest operation.

        Raises:
            QueryTooComplex: a list, the nesting or the cost is beyond its limit.
        """
        sizes = {
            name: _measure_value(value, self.limits)
            for name, value in variables.items()
            if isinstance(value, str | dict | list)
        }
        costs = (
            self._compute_cost(operation, variables, sizes, country_count)
            for operation in self.operations
        )
        cost = max(costs, default=0)
        self.limits.check("cost", cost)
        return cost

    def _compute_cost(
        self,
        operation: OperationCost,
        variables: Mapping[str, Any],
        sizes: Mapping[str, _ValueSize],
        country_count: int,
    ) -> int:
        values = {**operation.defaults, **variables}
        cost = sum(
            count * row_count.resolve(country_count, values)
            for row_count, count in operation.fields_by_row_count.items()
        )
        for name, count in operation.variable_uses.items():
            if name in values:
                size = sizes.get(name) or _measure_value(values[name], self.limits)
                cost += count * (size.operands * country_count + size.elements)
        return cost


def measure_cost(document: DocumentNode, limits: QueryLimits) -> QueryCost:
    """Return the measures of a document; fragments that use one another in a circle count once.

    Raises:
        QueryTooComplex: it is beyond a limit whatever its variables.
    """
    limits.check("definitions", len(document.definitions))
    return _CostVisitor(document, limits).build_query_cost()


class _CostVisitor:
    """One document being measured; nothing in it is looked at twice."""

    def __init__(self, document: DocumentNode, limits: QueryLimits) -> None:
        self._document = document
        self._limits = limits
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._stats_by_fragment: dict[str, _SelectionStats | None] = {}
        """Of each fragment; None while it is being measured."""
        self._document_stats = _SelectionStats()
        """Of the document as it is written, with every fragment once."""

    def build_query_cost(self) -> QueryCost:
        operations = [
            self._visit_operation(definition)
            for definition in self._document.definitions
            if isinstance(definition, OperationDefinitionNode)
        ]
        for name in self._fragments:
            self._visit_fragment(name, 1)
        self._check_limits(self._document_stats)
        return QueryCost(operations, self._limits)

    def _visit_operation(self, operation: OperationDefinitionNode) -> OperationCost:
        stats = self._visit_selections(operation.selection_set, 1)
        self._visit_directives(operation.directives, stats)
        defaults = {}
        for definition in operation.variable_definitions or ():
            self._visit_directives(definition.directives, stats)
            if definition.default_value is not None:
                defaults[definition.variable.name.value] = _to_plain_value(definition.default_value)
        self._check_limits(stats)
        self._limits.check("roots", stats.roots)
        return OperationCost(stats.fields_by_row_count, stats.variable_uses, defaults)

    def _visit_selections(self, selection_set: SelectionSetNode, level: int) -> _SelectionStats:
        self._limits.check("depth", level)
        stats = _SelectionStats()
        for selection in selection_set.selections:
            self._visit_directives(selection.directives, stats)
            if isinstance(selection, FieldNode):
                self._visit_field(selection, level, stats)
            elif isinstance(selection, FragmentSpreadNode):
                if fragment_stats := self._visit_fragment(selection.name.value, level + 1):
                    stats.add_fragment(fragment_stats)
            elif isinstance(selection, InlineFragmentNode):
                stats.add_fragment(self._visit_selections(selection.selection_set, level + 1))
        return stats

    def _visit_field(self, node: FieldNode, level: int, stats: _SelectionStats) -> None:
        nested = (
            self._visit_selections(node.selection_set, level + 1) if node.selection_set else None
        )
        for totals in (stats, self._document_stats):
            totals.fields += 1
            totals.aliases += node.alias is not None
        stats.roots += 1
        for argument in node.arguments or ():
            stats.add_value_size(_measure_value(_to_plain_value(argument.value), self._limits))
        row_count = _find_row_count(node)
        if row_count is not None:
            stats.fields_by_row_count[row_count] += 1 + (nested.fields if nested else 0)
        else:
            stats.fields_by_row_count[_ONE_ROW] += 1
        if nested is not None:
            stats.add_nested(nested)
            if row_count is None:
                stats.fields_by_row_count.update(nested.fields_by_row_count)

    def _visit_fragment(self, name: str, level: int) -> _SelectionStats | None:
        """Return what a fragment holds; None if there is none, or it is being measured."""
        if name in self._stats_by_fragment or name not in self._fragments:
            stats = self._stats_by_fragment.get(name)
            self._limits.check("depth", level + stats.depth - 1 if stats else level)
            return stats
        self._stats_by_fragment[name] = None
        stats = self._visit_selections(self._fragments[name].selection_set, level)
        self._visit_directives(self._fragments[name].directives, stats)
        self._check_limits(stats)
        self._stats_by_fragment[name] = stats
        return stats

    def _visit_directives(
        self, directives: Sequence[DirectiveNode] | None, stats: _SelectionStats
    ) -> None:
        for directive in directives or ():
            stats.directives += 1
            self._document_stats.directives += 1
            for argument in directive.arguments or ():
                stats.add_value_size(_measure_value(_to_plain_value(argument.value), self._limits))

    def _check_limits(self, stats: _SelectionStats) -> None:
        for name in ("fields", "aliases", "directives"):
            self._limits.check(name, getattr(stats, name))


def _find_row_count(node: FieldNode) -> RowCount | None:
    """Return how many rows a field has; None if it is one."""
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


def _to_plain_value(node: ValueNode) -> object:
    """Return a value as JSON would have it, as far as its size depends on it."""
    match node:
        case ObjectValueNode():
            return {
                object_field.name.value: _to_plain_value(object_field.value)
                for object_field in node.fields
            }
        case ListValueNode():
            return [_to_plain_value(item) for item in node.values]
        case VariableNode():
            return _VariableRef(node.name.value)
        case StringValueNode():
            return node.value
        case IntValueNode() if len(node.value) <= _MAX_ROW_COUNT_DIGITS:
            return int(node.value)
    return None


def _measure_value(value: object, limits: QueryLimits) -> _ValueSize:
    """Return the size of a value.

    Raises:
        QueryTooComplex: a list in it is too long, or it is nested too deeply.
    """
    size = _ValueSize()
    _add_value(value, size, limits, 0)
    return size


def _add_value(value: object, size: _ValueSize, limits: QueryLimits, level: int) -> None:
    if isinstance(value, _VariableRef):
        size.variable_uses[value.name] += 1
    elif isinstance(value, str):
        size.elements += len(value) // _CHARACTERS_PER_FIELD
    elif isinstance(value, dict | list):
        limits.check("nesting", level + 1)
        if isinstance(value, dict):
            size.operands += len(value)
        else:
            limits.check("items", len(value))
            size.elements += len(value)
        for item in value.values() if isinstance(value, dict) else value:
            _add_value(item, size, limits, level + 1)
