"""The schema itself: operations, scalars and rules, put together."""

from datetime import datetime

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from graphql_api.schema.arguments import DirectArguments
from graphql_api.schema.documents import Documents
from graphql_api.schema.limits import Limits
from graphql_api.schema.operations import Mutation, Query, Subscription
from graphql_api.schema.preparing import Preparation
from graphql_api.schema.scalars import DATE_TIME

_USUAL = Limits()


class Schema(strawberry.Schema):
    """Strawberry's schema, and what is remembered of the documents that were sent to it."""

    documents: Documents

    @property
    def executable(self) -> GraphQLSchema:
        """Return the schema as graphql-core knows it."""
        return self._schema


def build_schema(*, introspection: bool, limits: Limits = _USUAL) -> Schema:
    """Return the schema; without `introspection` it answers no questions about itself."""
    preparation = Preparation(limits=limits, introspection=introspection)
    schema = Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )
    DirectArguments(schema.config).install(schema.executable)
    schema.documents = Documents(schema.executable, preparation)
    return schema
