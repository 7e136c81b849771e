"""Executor of operations that are not compiled: Strawberry's, within the limit of milliseconds."""

from collections.abc import Callable
from typing import Any

from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext


class TimedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor, but for a check of the time at each field."""

    def __init__(self, *args: Any, check_time: Callable[[], None] | None, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Call `check_time`, which may raise, before each field."""
        super().__init__(*args, **kwargs)
        self._check_time = check_time

    def execute_field(self, *args: Any) -> Any:  # noqa: ANN401 - passed on
        """Check the time, then resolve and complete a field.

        Raises:
            QueryTooComplex: The query exceeds the limit of milliseconds.
        """
        if self._check_time is not None:
            self._check_time()
        return super().execute_field(*args)
