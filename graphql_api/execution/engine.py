"""The executable schema: operations, scalars, argument converters and the document cache."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from graphql_api.catalog import Catalog
from graphql_api.domain.report import Attempt
from graphql_api.domain.snapshot import Snapshot
from graphql_api.execution.compiler import Compiler
from graphql_api.execution.document import DocumentParser
from graphql_api.execution.document_cache import DocumentCache
from graphql_api.execution.limits import Allowance, Budget, QueryLimits
from graphql_api.execution.list_sizes import measure_graph, measure_groups, measure_reports
from graphql_api.execution.row_count import DataSizes
from graphql_api.execution.turns import Turns
from graphql_api.schema.operations import Mutation, Query, Subscription
from graphql_api.schema.scalars import DATE_TIME

_DEFAULT_LIMITS = QueryLimits()


class Schema(strawberry.Schema):
    """Strawberry's schema with a cache of the documents that clients sent."""

    document_cache: DocumentCache
    query_limits: QueryLimits
    clock: Callable[[], float]
    """Counts seconds of processor time: a query is not to blame if the machine stands still."""
    turns: Turns
    _snapshot_sizes: tuple[Snapshot, DataSizes] | None = None
    _measured: tuple[Snapshot, Sequence[Attempt], DataSizes] | None = None

    @property
    def executable(self) -> GraphQLSchema:
        """graphql-core's schema."""
        return self._schema

    def create_budget(self, allowance: Allowance | None = None) -> Budget:
        """Return the budget of one request. None: the client may spend what it wants."""
        return Budget(self.query_limits, self.clock, allowance)

    def measure_data(self, catalog: Catalog) -> DataSizes:
        """Return the sizes of the served data, by which queries cost. They are measured once."""
        snapshot, history = catalog.snapshot, catalog.history
        if self._measured is None or self._measured[0] is not snapshot or self._measured[1] is not history:
            sizes = self.measure_snapshot(snapshot)
            lists = {**sizes.lists, **measure_reports(history)}
            self._measured = (snapshot, history, sizes._replace(lists=lists))
        return self._measured[2]

    def measure_snapshot(self, snapshot: Snapshot) -> DataSizes:
        """Return the sizes of a snapshot. The catalog has it measured before it is served."""
        if self._snapshot_sizes is None or self._snapshot_sizes[0] is not snapshot:
            sizes = DataSizes(len(snapshot.rows), measure_graph(self.executable, snapshot), measure_groups(snapshot))
            self._snapshot_sizes = (snapshot, sizes)
        return self._snapshot_sizes[1]


def build_schema(
    *, introspection: bool, query_limits: QueryLimits = _DEFAULT_LIMITS, clock: Callable[[], float] = time.thread_time
) -> Schema:
    """Build the schema. Without `introspection`, queries of the schema itself are rejected."""
    schema = Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
    )
    schema.query_limits, schema.clock = query_limits, clock
    schema.turns = Turns()
    schema.document_cache = DocumentCache(
        DocumentParser(
            schema=schema.executable,
            compiler=Compiler(schema.executable, schema.config),
            limits=query_limits,
            introspection=introspection,
        )
    )
    return schema
