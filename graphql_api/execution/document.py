"""Documents: parsed, measured, validated and planned once per text.

Nothing here depends on variables, except that a plan depends on those of @skip and @include.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import graphql
from graphql.execution import collect_fields
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import VariableValues, get_variable_values

from graphql_api.errors import InvalidInput
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.list_completion import ListCompleter
from graphql_api.execution.query_cost import QueryCost, measure_cost
from graphql_api.utils.lru import LRUCache

CACHEABLE_ROOT_FIELDS = frozenset({"country", "countries", "node", "__typename"})
"""Root fields whose results depend on the snapshot alone, not on the caller or the time."""
_MAX_PLANS = 8
"""Plans per operation, one for each combination of its Boolean variables."""
_MAX_VALIDATION_ERRORS = 5
"""Validation stops after this number of errors."""
_MAX_VARIABLE_ERRORS = 50
"""Coercion of variables stops after this number of errors."""
_CHARACTERS_PER_TOKEN = 5
"""Bounds a document of few, long tokens. Formatted queries have about 6 characters per token."""
_TOO_MANY_TOKENS = "Syntax Error: Document contains more than "
_FieldKey = tuple[graphql.GraphQLObjectType, int]
"""A type and the id of the details of a field of it, or of lists of it."""


class ExecutionPlan(NamedTuple):
    """The fields of an operation for one combination of skipped and included selections."""

    root_type: graphql.GraphQLObjectType
    root_fields: collect_fields.GroupedFieldSet
    sub_fields: dict[_FieldKey, tuple[FieldDetailsList, collect_fields.CollectedFields]]
    """The executor's cache of collected fields, with its own keys."""
    list_completers: dict[_FieldKey, tuple[FieldDetailsList, ListCompleter | None]]
    """List completers by type and field details. None: the executor completes the list."""
    cacheable: bool
    """True if the result depends on the snapshot and the variables alone."""


class OperationInfo(NamedTuple):
    """Kind and name of an operation, for the log."""

    kind: str | None
    """`query`, `mutation` or `subscription`. None if the document has no such operation."""
    name: str | None
    """The name in the document. None for an anonymous operation."""


NO_OPERATION = OperationInfo(None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentParser:
    """Parses, measures and validates documents."""

    schema: graphql.GraphQLSchema
    limits: QueryLimits
    introspection: bool
    """If false, introspection is rejected, and error messages suggest no names."""

    def parse(self, text: str) -> "Document":
        """Parse and measure a document, without validating it.

        Raises:
            QueryTooComplex: The document exceeds a limit.
            GraphQLSyntaxError: The text is not a document.
        """
        limits = self.limits
        limits.check("tokens", -(-len(text) // _CHARACTERS_PER_TOKEN))
        try:
            node = graphql.parse(text, max_lexical_tokens=limits.tokens, max_comments=limits.tokens)
        except graphql.GraphQLSyntaxError as error:
            if error.message.startswith(_TOO_MANY_TOKENS):
                raise limits.build_error("tokens", f"over {limits.tokens}") from None
            raise
        return Document(self, node, measure_cost(node, limits))

    def validate(self, node: graphql.DocumentNode) -> list[graphql.GraphQLError]:
        """Return the validation errors of a document that is within the limits."""
        extra_rules = () if self.introspection else (graphql.NoSchemaIntrospectionCustomRule,)
        return graphql.validate(
            self.schema,
            node,
            (*graphql.specified_rules, *extra_rules),
            max_errors=_MAX_VALIDATION_ERRORS,
            hide_suggestions=not self.introspection,
        )


class PreparedOperation:
    """An operation with the fragments of its document and its plans."""

    def __init__(
        self,
        parser: DocumentParser,
        node: graphql.OperationDefinitionNode,
        fragments: Mapping[str, graphql.FragmentDefinitionNode],
    ) -> None:
        """Prepare the operation for planning."""
        self.schema = parser.schema
        self.node = node
        self.info = OperationInfo(node.operation.value, node.name.value if node.name else None)
        self.definitions = dict(fragments)
        self.fragments = {name: collect_fields.FragmentDetails(fragment) for name, fragment in fragments.items()}
        self.limits = parser.limits
        self.hide_suggestions = not parser.introspection
        self._boolean_variables = tuple(
            definition.variable.name.value
            for definition in node.variable_definitions or ()
            if _get_type_name(definition.type) == "Boolean"
        )
        self._plans: LRUCache[tuple[object, ...], ExecutionPlan] = LRUCache(_MAX_PLANS)

    def coerce_variables(self, raw_variables: Mapping[str, Any]) -> list[graphql.GraphQLError] | VariableValues:
        """Return the variables as values of their types, or the errors."""
        return get_variable_values(
            self.schema,
            self.node.variable_definitions or (),
            dict(raw_variables),
            max_errors=_MAX_VARIABLE_ERRORS,
            hide_suggestions=self.hide_suggestions,
        )

    def get_plan(self, variables: VariableValues) -> ExecutionPlan:
        """Return the plan for these variables.

        Raises:
            GraphQLError: A variable of @skip or @include is null.
        """
        key = tuple(variables.coerced.get(name) for name in self._boolean_variables)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._build_plan(variables)
            self._plans.put(key, plan)
        return plan

    def _build_plan(self, variables: VariableValues) -> ExecutionPlan:
        root_type = self.schema.get_root_type(self.node.operation)
        if root_type is None:
            raise LookupError(f"The schema has no root type for a {self.node.operation.value}.")
        fields = collect_fields.collect_fields(
            self.schema, self.fragments, variables, root_type, self.node
        ).grouped_field_set
        root_names = {details[0].node.name.value for details in fields.values()}
        cacheable = self.node.operation is graphql.OperationType.QUERY and root_names <= CACHEABLE_ROOT_FIELDS
        return ExecutionPlan(root_type, fields, {}, {}, cacheable)


class Document:
    """A parsed document that is within the limits."""

    def __init__(self, parser: DocumentParser, node: graphql.DocumentNode, query_cost: QueryCost) -> None:
        self.node = node
        self.query_cost = query_cost
        self._parser = parser
        fragments = {
            definition.name.value: definition
            for definition in node.definitions
            if isinstance(definition, graphql.FragmentDefinitionNode)
        }
        self._operations = [
            PreparedOperation(parser, definition, fragments)
            for definition in node.definitions
            if isinstance(definition, graphql.OperationDefinitionNode)
        ]

    @cached_property
    def validation_errors(self) -> list[graphql.GraphQLError]:
        """Errors of the document's validation against the schema."""
        return self._parser.validate(self.node)

    def get_operation(self, name: str | None) -> PreparedOperation:
        """Return the operation of that name; without a name, the only operation.

        Raises:
            InvalidInput: There is no such operation, or several and no name.
        """
        if name is None and len(self._operations) > 1:
            raise InvalidInput("The document has several operations: name one in operationName.")
        for operation in self._operations:
            if name is None or operation.info.name == name:
                return operation
        problem = "no operation" if name is None else f"no operation named {name!r}"
        raise InvalidInput(f"The document has {problem}.")


def _get_type_name(node: graphql.TypeNode) -> str | None:
    named_type = node.type if isinstance(node, graphql.NonNullTypeNode) else node
    return named_type.name.value if isinstance(named_type, graphql.NamedTypeNode) else None
