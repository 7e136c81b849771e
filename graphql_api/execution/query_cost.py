"""Query cost: measure an operation in one pass, each fragment once however often it is used.

The pass checks every limit that does not depend on variables. It returns the cost as a sum of
products, which `OperationCost.check` evaluates for the variables of each request.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import graphql
from graphql.language import ast

from graphql_api.execution.introspection_cost import INTROSPECTION_FIELDS, IntrospectionCounter
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.row_count import (
    ALL_ROWS,
    ONE_ROW,
    DataSizes,
    Factors,
    GroupCount,
    RowCount,
    find_factors,
    find_row_count,
    get_field,
)
from graphql_api.execution.selections import Fragments, count_fields
from graphql_api.execution.value_size import measure_value, to_plain_value

_INTROSPECTION_DEPTH = 30
"""Levels that introspection may have beyond the limit: `ofType` nests for each list and non-null."""
_INTROSPECTION_FACTOR = 10
"""Times the limits of fields and aliases that introspection may have. Its cost is known exactly."""
_PAIRS_PER_FIELD = 10
"""Pairs that validation compares and that count as one more field."""
_MEASURED_EXCESS = 10
"""Times the limit of cost up to which a variable is measured. The rest would only take time."""
_MEASURED_TYPES = (str, dict, list)
"""Types of variables that cost something. No union, which would be built at each use."""
UNCOMPILED_FACTOR = 5
"""Times the cost of a query that is executed value by value instead of column by column."""
_MUTATION_COST = 2_000
"""A mutation takes round trips to the database."""
_COST_BY_FIELD = {"Mutation.refreshCountries": _MUTATION_COST, "Mutation.deleteCountry": _MUTATION_COST}
"""Cost of a field by type and name. All others cost 1."""
_SEARCH_COST = 750
"""A search looks at names in all bundled languages, and at those of each row."""


@dataclass(slots=True)
class _SelectionStats:
    """Measures of a selection, its fragments included."""

    depth: int = 1
    fields: int = 0
    aliases: int = 0
    extras: int = 0
    """Fragments and directives: limited together with fields, but without a cost."""
    cost: Counter[Factors] = field(default_factory=Counter)
    """Cost of one object."""
    cost_of_rows: Counter[tuple[RowCount | GroupCount, Factors]] = field(default_factory=Counter)
    """Cost of the lists below, and of arguments, by number of rows."""
    variable_uses: Counter[str] = field(default_factory=Counter)

    def add_fragment(self, fragment: "_SelectionStats") -> None:
        self.cost.update(fragment.cost)
        self.cost_of_rows.update(fragment.cost_of_rows)
        self.add_nested(fragment)

    def add_nested(self, nested: "_SelectionStats") -> None:
        """Add the measures of a field's selection, without its cost."""
        self.depth = max(self.depth, nested.depth + 1)
        self.fields += nested.fields
        self.aliases += nested.aliases
        self.extras += nested.extras
        self.variable_uses.update(nested.variable_uses)

    def add_value(self, node: ast.ValueNode, limits: QueryLimits) -> None:
        size = measure_value(to_plain_value(node), limits)
        if size.operands:
            self.cost_of_rows[ALL_ROWS, ()] += size.operands
        self.cost[()] += size.elements
        self.variable_uses.update(size.variable_uses)

    def check(self, limits: QueryLimits) -> None:
        limits.check("fields", self.fields + self.extras)
        limits.check("aliases", self.aliases)


_CostOfRows: TypeAlias = Mapping[tuple[RowCount | GroupCount, Factors], int]
"""Cost of one row, by number of rows and by what else multiplies it."""


@dataclass(slots=True)
class OperationCost:
    """Cost of an operation, before its variables are known. Its other measures are within the limits."""

    cost_of_rows: _CostOfRows
    variable_uses: Mapping[str, int]
    """How often each variable is used."""
    defaults: Mapping[str, object]
    """The declared variables with their default values, None without one."""
    fragments: Sequence[ast.FragmentDefinitionNode]
    """The fragments that the operation uses, directly or not."""
    limits: QueryLimits
    _variable_cost_of_rows: _CostOfRows = field(init=False)
    """The part of `cost_of_rows` that depends on variables."""
    _constant: tuple[DataSizes, int] | None = field(default=None, init=False)
    """Cost of the other part for some sizes."""

    def __post_init__(self) -> None:
        self._variable_cost_of_rows = {
            (rows, factors): cost for (rows, factors), cost in self.cost_of_rows.items() if rows.has_variables
        }

    def check(self, variables: Mapping[str, Any], sizes: DataSizes) -> int:
        """Return the cost for these variables. Variables that the operation does not declare have none.

        Raises:
            QueryTooComplex: The cost, or a variable's depth or items, exceeds its limit.
        """
        cost = self._find_constant_cost(sizes)
        if self.defaults:
            cost += self._measure_variables(variables, sizes)
        self.limits.check("cost", cost)
        return cost

    def _measure_variables(self, variables: Mapping[str, Any], sizes: DataSizes) -> int:
        cost = 0
        for name, default in self.defaults.items():
            value = variables.get(name, default)
            if isinstance(value, _MEASURED_TYPES):
                max_operands = _MEASURED_EXCESS * self.limits.cost / max(sizes.countries, 1)
                size = measure_value(value, self.limits, max_operands=max_operands)
                cost += self.variable_uses.get(name, 0) * (size.operands * sizes.countries + size.elements)
        if self._variable_cost_of_rows:
            cost += _add_up(self._variable_cost_of_rows, sizes, {**self.defaults, **variables})
        return cost

    def _find_constant_cost(self, sizes: DataSizes) -> int:
        """Return the cost that does not depend on variables. It is added up once for a snapshot."""
        if self._constant is None or self._constant[0] is not sizes:
            constant = {key: cost for key, cost in self.cost_of_rows.items() if key not in self._variable_cost_of_rows}
            self._constant = (sizes, _add_up(constant, sizes, {}))
        return self._constant[1]


def _add_up(cost_of_rows: _CostOfRows, sizes: DataSizes, variables: Mapping[str, Any]) -> int:
    return sum(cost * rows.count_objects(factors, sizes, variables) for (rows, factors), cost in cost_of_rows.items())


def measure_operation(
    operation: ast.OperationDefinitionNode, schema: graphql.GraphQLSchema, fragments: Fragments, limits: QueryLimits
) -> OperationCost:
    """Measure an operation. Fragments that use each other in a cycle count once.

    Raises:
        QueryTooComplex: A measure that does not depend on variables exceeds its limit.
    """
    visitor = _CostVisitor(schema, fragments, limits)
    stats = visitor.visit_operation(operation)
    counter = IntrospectionCounter(schema, fragments)
    for node in visitor.introspection_nodes:
        stats.cost[()] += counter.count(node)
        # Counting takes time too.
        limits.check("cost", stats.cost[()] * UNCOMPILED_FACTOR)
    for factors, cost in stats.cost.items():
        stats.cost_of_rows[ONE_ROW, factors] += cost
    variables = {
        definition.variable.name.value: definition.default_value and to_plain_value(definition.default_value)
        for definition in operation.variable_definitions or ()
    }
    return OperationCost(stats.cost_of_rows, stats.variable_uses, variables, visitor.used_fragments, limits)


def is_short(document: ast.DocumentNode, fragments: Fragments, token_count: int, limits: QueryLimits) -> bool:
    """Return whether validation of all definitions together takes no longer than one operation's may."""
    if not fragments and _are_few(token_count, limits):  # each field has a token
        return True
    remaining = limits.fields
    for definition in document.definitions:
        if isinstance(definition, ast.ExecutableDefinitionNode):
            fields, pairs = count_fields(definition.selection_set, fragments, remaining)
            remaining -= fields + pairs // _PAIRS_PER_FIELD
        if remaining < 0:
            return False
    return True


def _are_few(count: int, limits: QueryLimits) -> bool:
    """Return whether this number of fields is within the limit even if validation compares all pairs of them."""
    return count + count**2 // (2 * _PAIRS_PER_FIELD) <= limits.fields


class _CostVisitor:
    """Visits each node of one operation and of the fragments that it uses once."""

    def __init__(self, schema: graphql.GraphQLSchema, fragments: Fragments, limits: QueryLimits) -> None:
        self.introspection_nodes: list[ast.FieldNode] = []
        self._schema = schema
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
        stats = self._visit_selections(operation.selection_set, 1, self._schema.get_root_type(operation.operation))
        self._visit_directives(operation.directives, stats)
        for definition in operation.variable_definitions or ():
            self._visit_directives(definition.directives, stats)
        stats.check(self._limits)
        if not _are_few(stats.fields + stats.extras, self._limits):
            _, pairs = count_fields(operation.selection_set, self._fragments, self._introspection_limits.fields)
            self._limits.check("fields", stats.fields + stats.extras + pairs // _PAIRS_PER_FIELD)
        return stats

    def _visit_selections(
        self, selection_set: ast.SelectionSetNode, level: int, parent: graphql.GraphQLNamedType | None
    ) -> _SelectionStats:
        """Measure a selection on a type. None: the type is unknown, and validation rejects the document."""
        self._limits.check("depth", level)
        stats = _SelectionStats()
        for selection in selection_set.selections:
            self._visit_directives(selection.directives, stats)
            if isinstance(selection, ast.FieldNode):
                self._visit_field(selection, level, parent, stats)
                continue
            stats.extras += 1
            if isinstance(selection, ast.InlineFragmentNode):
                condition = selection.type_condition
                fragment_type = self._schema.get_type(condition.name.value) if condition else parent
                stats.add_fragment(self._visit_selections(selection.selection_set, level + 1, fragment_type))
            elif isinstance(selection, ast.FragmentSpreadNode) and (
                fragment := self._visit_fragment(selection.name.value, level + 1)
            ):
                stats.add_fragment(fragment)
        return stats

    def _visit_field(
        self, node: ast.FieldNode, level: int, parent: graphql.GraphQLNamedType | None, stats: _SelectionStats
    ) -> None:
        if node.name.value in INTROSPECTION_FIELDS:
            self._visit_introspection(node, level, stats)
            return
        field = get_field(parent, node)
        field_type = graphql.get_named_type(field.type) if field else None
        nested = self._visit_selections(node.selection_set, level + 1, field_type) if node.selection_set else None
        stats.fields += 1
        stats.aliases += node.alias is not None
        for argument in node.arguments or ():
            stats.add_value(argument.value, self._limits)
        name = f"{parent.name}.{node.name.value}" if parent else node.name.value
        rows, nested_cost = find_row_count(node, name), nested.cost if nested else {}
        factors = find_factors(name, parent, field)
        if rows is not None:
            stats.cost_of_rows.update({(rows, (*factors, *inner)): cost for inner, cost in nested_cost.items()})
            stats.cost_of_rows[rows, rows.own_factors] += 1
            if name == "Query.search":
                stats.cost[()] += _SEARCH_COST
                stats.cost_of_rows[ALL_ROWS, ()] += 1
        else:
            stats.cost.update({(*factors, *inner): cost for inner, cost in nested_cost.items()})
            stats.cost[factors] += _COST_BY_FIELD.get(name, 1)
        if nested is not None:
            stats.add_nested(nested)
            stats.cost_of_rows.update(nested.cost_of_rows)

    def _visit_introspection(self, node: ast.FieldNode, level: int, stats: _SelectionStats) -> None:
        """Measure `__schema` or `__type`, which counts as one field of the operation."""
        stats.fields += 1
        stats.aliases += node.alias is not None
        if node.selection_set is not None:
            limits, self._limits = self._limits, self._introspection_limits
            self._visit_selections(node.selection_set, level + 1, None).check(self._limits)
            self._limits = limits
        self.introspection_nodes.append(node)

    def _visit_fragment(self, name: str, level: int) -> _SelectionStats | None:
        """Return the measures of a fragment, or None if it is unknown or being visited."""
        if name in self._stats_by_fragment or name not in self._fragments:
            stats = self._stats_by_fragment.get(name)
            self._limits.check("depth", level + stats.depth - 1 if stats else level)
            return stats
        self._stats_by_fragment[name] = None
        fragment = self._fragments[name]
        fragment_type = self._schema.get_type(fragment.type_condition.name.value)
        stats = self._visit_selections(fragment.selection_set, level, fragment_type)
        self._visit_directives(fragment.directives, stats)
        stats.check(self._limits)
        self._stats_by_fragment[name] = stats
        return stats

    def _visit_directives(self, directives: Sequence[ast.DirectiveNode] | None, stats: _SelectionStats) -> None:
        for directive in directives or ():
            stats.extras += 1
            for argument in directive.arguments or ():
                stats.add_value(argument.value, self._limits)
