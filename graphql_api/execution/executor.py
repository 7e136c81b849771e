"""Executor of operations that are not compiled: Strawberry's, within the limits of time and bytes."""

from functools import partial
from typing import Any
from weakref import proxy

import orjson
from graphql import GraphQLResolveInfoHelpers
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graphql_api.execution.limits import Budget

MAX_ERRORS = 20
"""Errors in one response. Further ones are dropped."""
_BYTES_PER_FIELD = 4
"""Quotes, colon and comma."""


class BoundedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor, but for checks of time and bytes at each field, and cheap errors beyond those reported."""

    def __init__(self, *args: Any, budget: Budget | None, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Spend the budget. None: what is executed waits for others, and has limits of its own."""
        super().__init__(*args, **kwargs)
        self._budget = budget
        # graphql-core's are methods of this object: a cycle that would keep the snapshot until the collector finds it.
        executor = proxy(self)
        self.async_helpers = GraphQLResolveInfoHelpers(
            gather=partial(BoundedExecutor.gather_async_work, executor),
            track=partial(BoundedExecutor.track_async_work, executor),
        )

    def execute_field(self, parent_type: Any, source: Any, details: Any, path: Path, context: Any) -> Any:  # noqa: ANN401 - graphql-core's
        """Check time and bytes, then resolve and complete a field.

        Raises:
            QueryTooComplex: The query exceeds the limit of milliseconds or of bytes.
        """
        if self._budget is not None:
            self._budget.check_time()
            self._budget.spend_bytes(len(path.key) + _BYTES_PER_FIELD if isinstance(path.key, str) else 0)
        return super().execute_field(parent_type, source, details, path, context)

    def complete_leaf_value(self, return_type: Any, result: Any) -> Any:  # type: ignore[override] # noqa: ANN401 - static in graphql-core
        """Complete a scalar or an enum, and count its bytes."""
        completed = super().complete_leaf_value(return_type, result)
        if self._budget is not None:
            self._budget.spend_bytes(_count_bytes(completed))
        return completed

    def handle_field_error(self, raw_error: Exception, return_type: Any, details: Any, path: Path) -> None:  # noqa: ANN401 - graphql-core's
        """Locate an error only if it will be reported: that takes time in proportion to the document's lines."""
        is_reported = len(self.collected_errors.errors) < MAX_ERRORS
        super().handle_field_error(raw_error, return_type, details if is_reported else [], path)


def _count_bytes(value: object) -> int:
    try:
        return len(orjson.dumps(value))
    except TypeError:
        return len(str(value))  # a lone surrogate
