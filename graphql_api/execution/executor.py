"""Executor: graphql-core's, but for a prepared plan and with bulk completion of lists."""

from collections.abc import Callable, Sequence
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLList,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    OperationType,
    default_field_resolver,
    default_type_resolver,
    get_nullable_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.execution.values import VariableValues
from graphql.pyutils import Path
from strawberry.execution.is_awaitable import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graphql_api.execution.document import ExecutionPlan, PreparedOperation
from graphql_api.execution.list_completion import ListCompleter, build_list_completer
from graphql_api.schema.context import GraphQLContext


class BulkExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor with a prepared plan and list completers."""

    def __init__(
        self,
        operation: PreparedOperation,
        plan: ExecutionPlan,
        variables: VariableValues,
        context: GraphQLContext,
        *,
        event: object = None,
    ) -> None:
        """Prepare one execution of an operation. `event` is the root value of a subscription."""
        super().__init__(
            operation.schema,
            operation.definitions,
            operation.fragments,
            event,
            context,
            operation.node,
            variables,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            is_awaitable=optimized_is_awaitable,
            hide_suggestions=operation.hide_suggestions,
        )
        self._plan = plan
        self._relevant_sub_fields = plan.sub_fields
        # Mutations and subscriptions wait for sources and database, which have their own timeouts.
        is_query = operation.node.operation is OperationType.QUERY
        self._check_time = operation.limits.start_timer() if is_query else None

    async def run(self) -> tuple[dict[str, Any] | None, list[GraphQLError]]:
        """Return data and errors. The data is None if an error propagates to the root."""
        data, errors = self.run_sync()
        if self.is_awaitable(data):
            try:
                data = await data
            except GraphQLError as error:
                self.collected_errors.add(error, None)
                data = None
        return data, errors

    def run_sync(self) -> tuple[Any, list[GraphQLError]]:
        """Execute synchronously. Fields that need awaiting make the data an awaitable.

        Queries of cacheable root fields never need awaiting.
        """
        data: Any
        try:
            data = self.execute_root_grouped_field_set(
                self._plan.root_type,
                self.root_value,
                self._plan.root_fields,
                self.operation.operation is OperationType.MUTATION,
                None,
            )
        except GraphQLError as error:
            self.collected_errors.add(error, None)
            data = None
        return data, self.collected_errors.errors

    def complete_list_value(  # noqa: PLR0913, PLR0917 - graphql-core's
        self,
        return_type: GraphQLList[GraphQLOutputType],
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,  # noqa: ANN401 - any result of a resolver
        position_context: Any,  # noqa: ANN401 - graphql-core's
    ) -> Any:  # noqa: ANN401 - as graphql-core has it
        """Complete a list, in bulk if it has a completer.

        Raises:
            QueryTooComplex: The query exceeds the limit of milliseconds.
        """
        if self._check_time is not None:
            self._check_time()
        completer = self._get_completer(return_type.of_type, field_details_list)
        if completer is not None and isinstance(result, list | tuple):
            try:
                rows: list[Any] = completer.complete(result)
            except Exception:  # noqa: BLE001, S110 - full execution reports it
                pass
            else:
                if completer.executor_fields:

                    def on_error(error: Exception, item_path: Path) -> None:
                        self.handle_field_error(error, return_type.of_type, field_details_list, item_path)

                    self._complete_executor_fields(completer, path, result, rows, on_error)
                return rows
        return super().complete_list_value(return_type, field_details_list, info, path, result, position_context)

    def complete_object_value(  # noqa: PLR0913, PLR0917 - graphql-core's
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,  # noqa: ANN401 - any result of a resolver
        position_context: Any,  # noqa: ANN401 - graphql-core's
    ) -> Any:  # noqa: ANN401 - as graphql-core has it
        """Complete an object, as a list of one if its completer covers every field.

        Raises:
            QueryTooComplex: The query exceeds the limit of milliseconds.
        """
        if self._check_time is not None:
            self._check_time()
        completer = self._get_completer(return_type, field_details_list)
        if completer is not None and not completer.executor_fields:
            try:
                return completer.complete((result,))[0]
            except Exception:  # noqa: BLE001, S110 - full execution reports it
                pass
        return super().complete_object_value(return_type, field_details_list, info, path, result, position_context)

    def _get_completer(self, item_type: GraphQLOutputType, details: FieldDetailsList) -> ListCompleter | None:
        object_type = get_nullable_type(item_type)
        if not is_object_type(object_type):
            return None
        key = (object_type, id(details))
        cached = self._plan.list_completers.get(key)
        if cached is None:
            completer = build_list_completer(object_type, details, self._collect)
            # A reference to the details keeps their id from being reused.
            cached = self._plan.list_completers[key] = (details, completer)
        return cached[1]

    def _collect(self, object_type: GraphQLObjectType, details: FieldDetailsList) -> GroupedFieldSet:
        return self.collect_subfields(object_type, details).grouped_field_set

    def _complete_executor_fields(
        self,
        completer: ListCompleter,
        path: Path,
        objects: Sequence[Any],
        rows: list[Any],
        on_error: Callable[[Exception, Path], None],
    ) -> None:
        """Complete the fields that have no reader, one object at a time."""
        for index, source in enumerate(objects):
            item_path = path.add_key(index, None)
            try:
                for key, details in completer.executor_fields:
                    field_path = item_path.add_key(key, completer.object_type.name)
                    rows[index][key] = self.execute_field(completer.object_type, source, details, field_path, None)
            except Exception as error:  # noqa: BLE001 - as the executor does
                on_error(error, item_path)
                rows[index] = None
