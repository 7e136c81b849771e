"""What is worked out once of a document and holds for whoever sends it again.

Nothing here depends on the values of variables, but for those that @skip and @include may look at.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from graphql import (
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
)
from graphql.execution.collect_fields import (
    CollectedFields,
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
)
from graphql.execution.values import VariableValues, get_variable_values

from graphql_api.errors import InvalidInput
from graphql_api.execution.list_completion import ListCompleter
from graphql_api.execution.preparation import DocumentParser, ParsedDocument

CACHEABLE_ROOT_FIELDS = frozenset({"country", "countries", "node", "__typename"})
"""Root fields whose answers change with the data alone, whoever asks and whenever."""
_MAX_PLANS = 8
"""Plans of one operation; more than that only a client makes who plays with its variables."""


_MAX_VARIABLE_ERRORS = 50
"""Errors of variables, after which they are not looked at any more."""


class ExecutionPlan(NamedTuple):
    """The fields of an operation, for one choice of what is skipped and included."""

    root_type: GraphQLObjectType
    root_fields: GroupedFieldSet
    sub_fields: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, CollectedFields]]
    """What the executor has collected below them, by its own keys."""
    list_completers: dict[
        tuple[GraphQLObjectType, int], tuple[FieldDetailsList, ListCompleter | None]
    ]
    """How lists are completed; None for those that are not completed in bulk."""
    cacheable: bool
    """Whether the answer changes with the data alone."""


class OperationInfo(NamedTuple):
    """What is asked for, in words."""

    kind: str | None
    """`query`, `mutation` or `subscription`; None if there is no such operation."""
    name: str | None
    """As the client has it; None if it has none."""


NO_OPERATION = OperationInfo(None, None)


class PreparedOperation:
    """An operation, with the fragments of its document."""

    def __init__(
        self,
        schema: GraphQLSchema,
        node: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        parser: DocumentParser,
    ) -> None:
        """Prepare to plan it."""
        self.schema = schema
        self.node = node
        self.info = OperationInfo(node.operation.value, node.name.value if node.name else None)
        self.definitions = dict(fragments)
        self.fragments = {name: FragmentDetails(fragment) for name, fragment in fragments.items()}
        self.limits = parser.limits
        # What would be right tells of the schema, too.
        self.hide_suggestions = not parser.introspection
        self._boolean_variables = tuple(
            definition.variable.name.value
            for definition in node.variable_definitions or ()
            if _get_type_name(definition.type) == "Boolean"
        )
        self._plans: dict[tuple[object, ...], ExecutionPlan] = {}

    def coerce_variables(
        self, raw_variables: Mapping[str, Any]
    ) -> list[GraphQLError] | VariableValues:
        """Return the variables as their types have them, or what is wrong with them."""
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
            GraphQLError: a variable of @skip or @include is null.
        """
        key = tuple(variables.coerced.get(name) for name in self._boolean_variables)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._build_plan(variables)
        return plan

    def _build_plan(self, variables: VariableValues) -> ExecutionPlan:
        root_type = self.schema.get_root_type(self.node.operation)
        if root_type is None:
            raise LookupError("validation lets no such operation through")
        fields = collect_fields(
            self.schema, self.fragments, variables, root_type, self.node
        ).grouped_field_set
        root_names = {details[0].node.name.value for details in fields.values()}
        cacheable = (
            self.node.operation is OperationType.QUERY and root_names <= CACHEABLE_ROOT_FIELDS
        )
        return ExecutionPlan(root_type, fields, {}, {}, cacheable)


class Document:
    """A document that is within the limits."""

    def __init__(self, schema: GraphQLSchema, parser: DocumentParser, text: str) -> None:
        """Parse and measure it.

        Raises:
            QueryTooComplex: it is beyond a limit.
            GraphQLSyntaxError: it is not one.
        """
        self.parsed: ParsedDocument = parser.parse(text)
        definitions = self.parsed.document.definitions
        fragments = {
            definition.name.value: definition
            for definition in definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._operations = [
            PreparedOperation(schema, definition, fragments, parser)
            for definition in definitions
            if isinstance(definition, OperationDefinitionNode)
        ]
        self._schema = schema
        self._parser = parser

    @cached_property
    def validation_errors(self) -> list[GraphQLError]:
        """Return what is wrong with the document, found out once."""
        return self._parser.validate(self._schema, self.parsed.document)

    def get_operation(self, name: str | None) -> PreparedOperation:
        """Return the operation of that name, or the only one.

        Raises:
            InvalidInput: there is none, or there are several and none is named.
        """
        if name is None and len(self._operations) > 1:
            raise InvalidInput("The document has several operations: name one in operationName.")
        for operation in self._operations:
            if name is None or (operation.node.name and operation.node.name.value == name):
                return operation
        problem = "no operation" if name is None else f"no operation named {name!r}"
        raise InvalidInput(f"The document has {problem}.")


def _get_type_name(node: Any) -> str | None:  # noqa: ANN401 - any node of a type
    named_type = node.type if isinstance(node, NonNullTypeNode) else node
    return getattr(getattr(named_type, "name", None), "value", None)
