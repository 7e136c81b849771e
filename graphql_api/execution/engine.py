"""The schema itself: operations, scalars and rules, put together."""

from datetime import datetime

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from graphql_api.execution.argument_converters import ArgumentConverters
from graphql_api.execution.document_cache import DocumentCache
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.preparation import DocumentParser
from graphql_api.schema.operations import Mutation, Query, Subscription
from graphql_api.schema.scalars import DATE_TIME

_DEFAULT_LIMITS = QueryLimits()


class Schema(strawberry.Schema):
    """Strawberry's schema, and what is remembered of the documents that were sent to it."""

    document_cache: DocumentCache

    @property
    def executable(self) -> GraphQLSchema:
        """Return the schema as graphql-core knows it."""
        return self._schema


def build_schema(*, introspection: bool, query_limits: QueryLimits = _DEFAULT_LIMITS) -> Schema:
    """Return the schema; without `introspection` it answers no questions about itself."""
    parser = DocumentParser(limits=query_limits, introspection=introspection)
    schema = Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )
    ArgumentConverters(schema.config).install(schema.executable)
    schema.document_cache = DocumentCache(schema.executable, parser)
    return schema
