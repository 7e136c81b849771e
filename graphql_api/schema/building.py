"""The schema itself: operations, scalars and rules, put together."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

import strawberry
from graphql import GraphQLError, OperationDefinitionNode
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graphql_api.errors import InvalidInput
from graphql_api.schema.limits import Limits
from graphql_api.schema.operations import Mutation, Query
from graphql_api.schema.preparing import Preparation
from graphql_api.schema.scalars import DATE_TIME

_USUAL = Limits()


class Schema(strawberry.Schema):
    """Strawberry's schema, which leaves errors to `execution`, where they are logged once."""

    suggestions: bool = True
    """Whether a wrong variable is answered with what would be right."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Say nothing here."""

    def _get_custom_context_kwargs(self, *given: Any, **named: Any) -> dict[str, Any]:  # noqa: ANN401 - Strawberry's
        kwargs = super()._get_custom_context_kwargs(*given, **named)
        return {**kwargs, "hide_suggestions": not self.suggestions}


class Preparing(SchemaExtension):
    """Prepares each document in this project's own way, before Strawberry would."""

    def __init__(self, preparation: Preparation) -> None:
        """Use these limits."""
        self._preparation = preparation

    def on_parse(self) -> Iterator[None]:
        """Parse the document; refuse it, or its variables, where it is too complex."""
        context = self.execution_context
        prepared = self._preparation.parse(context.query or "")
        rows = context.context.catalog.snapshot.rows
        prepared.measures.check(context.variables or {}, countries=len(rows))
        context.graphql_document = prepared.document
        yield

    def on_validate(self) -> Iterator[None]:
        """Validate it."""
        context = self.execution_context
        if context.graphql_document is not None:
            context.pre_execution_errors = self._preparation.validate(
                context.schema._schema,  # noqa: SLF001 - no public name
                context.graphql_document,
            )
        yield


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


def build_schema(*, introspection: bool, limits: Limits = _USUAL) -> Schema:
    """Return the schema; without `introspection` it answers no questions about itself."""
    preparation = Preparation(limits=limits, introspection=introspection)
    schema = Schema(
        query=Query,
        mutation=Mutation,
        extensions=[partial(Preparing, preparation), OperationNameRule],
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )
    schema.suggestions = introspection
    return schema
