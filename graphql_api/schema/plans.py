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
from graphql_api.schema.preparing import Preparation, Prepared
from graphql_api.schema.tables import Table

_DATA = frozenset({"country", "countries", "node", "__typename"})
"""Root fields whose answers change with the data alone, whoever asks and whenever."""
_MOST_PLANS = 8
"""Plans of one operation; more than that only a client makes who plays with its variables."""


_MOST_ERRORS = 50
"""Errors of variables, after which they are not looked at any more."""


class Plan(NamedTuple):
    """The fields of an operation, for one choice of what is skipped and included."""

    root_type: GraphQLObjectType
    root_fields: GroupedFieldSet
    sub_fields: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, CollectedFields]]
    """What the executor has collected below them, by its own keys."""
    tables: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, Table | None]]
    """How lists are completed; None for those that are not completed in bulk."""
    of_data: bool
    """Whether the answer changes with the data alone."""


class OperationInfo(NamedTuple):
    """What is asked for, in words."""

    kind: str | None
    """`query`, `mutation` or `subscription`; None if there is no such operation."""
    name: str | None
    """As the client has it; None if it has none."""


NO_OPERATION = OperationInfo(None, None)


class Operation:
    """An operation, with the fragments of its document."""

    def __init__(
        self,
        schema: GraphQLSchema,
        node: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        preparation: Preparation,
    ) -> None:
        """Prepare to plan it."""
        self.schema = schema
        self.node = node
        self.info = OperationInfo(node.operation.value, node.name.value if node.name else None)
        self.definitions = dict(fragments)
        self.fragments = {name: FragmentDetails(one) for name, one in fragments.items()}
        self.limits = preparation.limits
        # What would be right tells of the schema, too.
        self.hide_suggestions = not preparation.introspection
        self._switches = tuple(
            one.variable.name.value
            for one in node.variable_definitions or ()
            if _type_name(one.type) == "Boolean"
        )
        self._plans: dict[tuple[object, ...], Plan] = {}

    def read_variables(self, given: Mapping[str, Any]) -> list[GraphQLError] | VariableValues:
        """Return the variables as their types have them, or what is wrong with them."""
        return get_variable_values(
            self.schema,
            self.node.variable_definitions or (),
            dict(given),
            max_errors=_MOST_ERRORS,
            hide_suggestions=self.hide_suggestions,
        )

    def plan(self, variables: VariableValues) -> Plan:
        """Return the plan for these variables.

        Raises:
            GraphQLError: a variable of @skip or @include is null.
        """
        key = tuple(variables.coerced.get(name) for name in self._switches)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._make_plan(variables)
        return plan

    def _make_plan(self, variables: VariableValues) -> Plan:
        root_type = self.schema.get_root_type(self.node.operation)
        if root_type is None:
            raise LookupError("validation lets no such operation through")
        fields = collect_fields(
            self.schema, self.fragments, variables, root_type, self.node
        ).grouped_field_set
        names = {details[0].node.name.value for details in fields.values()}
        of_data = self.node.operation is OperationType.QUERY and names <= _DATA
        return Plan(root_type, fields, {}, {}, of_data)


class Document:
    """A document that is within the limits."""

    def __init__(self, schema: GraphQLSchema, preparation: Preparation, text: str) -> None:
        """Parse and measure it.

        Raises:
            QueryTooComplex: it is beyond a limit.
            GraphQLSyntaxError: it is not one.
        """
        self.prepared: Prepared = preparation.parse(text)
        definitions = self.prepared.document.definitions
        fragments = {
            one.name.value: one for one in definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._operations = [
            Operation(schema, one, fragments, preparation)
            for one in definitions
            if isinstance(one, OperationDefinitionNode)
        ]
        self._schema = schema
        self._preparation = preparation

    @cached_property
    def problems(self) -> list[GraphQLError]:
        """Return what is wrong with the document, found out once."""
        return self._preparation.validate(self._schema, self.prepared.document)

    def operation(self, name: str | None) -> Operation:
        """Return the operation of that name, or the only one.

        Raises:
            InvalidInput: there is none, or there are several and none is named.
        """
        if name is None and len(self._operations) > 1:
            raise InvalidInput("The document has several operations: name one in operationName.")
        for one in self._operations:
            if name is None or (one.node.name and one.node.name.value == name):
                return one
        wrong = "no operation" if name is None else f"no operation named {name!r}"
        raise InvalidInput(f"The document has {wrong}.")


def _type_name(node: Any) -> str | None:  # noqa: ANN401 - any node of a type
    named = node.type if isinstance(node, NonNullTypeNode) else node
    return getattr(getattr(named, "name", None), "value", None)
