"""The schema itself: operations, scalars and rules, put together."""

from collections.abc import Callable, Iterator
from datetime import datetime

import strawberry
from graphql import GraphQLError, OperationDefinitionNode
from strawberry.extensions import DisableIntrospection, SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graphql_api.errors import InvalidInput
from graphql_api.schema.operations import Mutation, Query
from graphql_api.schema.scalars import DATE_TIME


class Schema(strawberry.Schema):
    """Strawberry's schema, which leaves errors to `execution`, where they are logged once."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Say nothing here."""


class OperationNameRule(SchemaExtension):
    """Refuses to choose among operations, as GraphQL demands; Strawberry would take the first."""

    def on_parse(self) -> Iterator[None]:
        """Look at the document once it is parsed."""
        yield
        document = self.execution_context.graphql_document
        named = self.execution_context._provided_operation_name  # noqa: SLF001 - no public name
        if document is None or named is not None:
            return
        operations = [
            one for one in document.definitions if isinstance(one, OperationDefinitionNode)
        ]
        if len(operations) > 1:
            raise InvalidInput("The document has several operations: name one in operationName.")


def build_schema(*, introspection: bool) -> Schema:
    """Return the schema; without `introspection` it answers no questions about itself."""
    extensions: list[Callable[[], SchemaExtension]] = [OperationNameRule]
    if not introspection:
        extensions.append(DisableIntrospection)
    return Schema(
        query=Query,
        mutation=Mutation,
        extensions=extensions,
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )
