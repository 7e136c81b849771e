"""The executable schema: operations, scalars, argument converters and the document cache."""

from datetime import datetime

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from graphql_api.execution.argument_converters import ArgumentConverters
from graphql_api.execution.document import DocumentParser
from graphql_api.execution.document_cache import DocumentCache
from graphql_api.execution.limits import QueryLimits
from graphql_api.schema.operations import Mutation, Query, Subscription
from graphql_api.schema.scalars import DATE_TIME

_DEFAULT_LIMITS = QueryLimits()


class Schema(strawberry.Schema):
    """Strawberry's schema with a cache of the documents that clients sent."""

    document_cache: DocumentCache

    @property
    def executable(self) -> GraphQLSchema:
        """graphql-core's schema."""
        return self._schema


def build_schema(*, introspection: bool, query_limits: QueryLimits = _DEFAULT_LIMITS) -> Schema:
    """Build the schema. Without `introspection`, queries of the schema itself are rejected."""
    schema = Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )
    ArgumentConverters(schema.config).install(schema.executable)
    schema.document_cache = DocumentCache(
        DocumentParser(schema=schema.executable, limits=query_limits, introspection=introspection)
    )
    return schema
