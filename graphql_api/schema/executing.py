"""Executing a planned operation: as graphql-core does, but plain objects and lists in bulk."""

from collections.abc import Callable, Sequence
from functools import partial
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

from graphql_api.schema.context import Context
from graphql_api.schema.plans import Operation, Plan
from graphql_api.schema.tables import Table, make_table


class BulkExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor, which keeps to a plan, and completes by tables what it can."""

    def __init__(
        self,
        operation: Operation,
        plan: Plan,
        variables: VariableValues,
        context: Context,
        *,
        event: object = None,
    ) -> None:
        """Prepare to execute an operation once: a subscription for one event."""
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
        # Everything else waits, for sources and for the database, within limits of its own.
        is_query = operation.node.operation is OperationType.QUERY
        self._check_time = operation.limits.stopwatch() if is_query else None

    async def run(self) -> tuple[dict[str, Any] | None, list[GraphQLError]]:
        """Return the data, None where an error left nothing of it, and the errors."""
        data, errors = self.run_at_once()
        if self.is_awaitable(data):
            try:
                data = await data
            except GraphQLError as error:
                self.collected_errors.add(error, None)
                data = None
        return data, errors

    def run_at_once(self) -> tuple[Any, list[GraphQLError]]:
        """Return the same, but for what has to be awaited: of the data nothing has."""
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
        result: Any,  # noqa: ANN401 - whatever a resolver returns
        position_context: Any,  # noqa: ANN401 - graphql-core's
    ) -> Any:  # noqa: ANN401 - as graphql-core has it
        """Complete a list, in bulk if it is one of plain objects.

        Raises:
            QueryTooComplex: the query has been worked at for too long.
        """
        if self._check_time is not None:
            self._check_time()
        table = self._table(return_type.of_type, field_details_list)
        if table is not None and isinstance(result, list | tuple):
            try:
                rows: list[Any] = table.rows(result)
            except Exception:  # noqa: BLE001, S110 - whatever it is, the ordinary way tells it
                pass
            else:
                fail = partial(
                    self._fail, item_type=return_type.of_type, details=field_details_list
                )
                self._add_alone(table, path, result, rows, fail)
                return rows
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def complete_object_value(  # noqa: PLR0913, PLR0917 - graphql-core's
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,  # noqa: ANN401 - whatever a resolver returns
        position_context: Any,  # noqa: ANN401 - graphql-core's
    ) -> Any:  # noqa: ANN401 - as graphql-core has it
        """Complete an object, as a list of one if a table does all of it.

        Raises:
            QueryTooComplex: the query has been worked at for too long.
        """
        if self._check_time is not None:
            self._check_time()
        table = self._table(return_type, field_details_list)
        if table is not None and not table.alone:
            try:
                return table.rows((result,))[0]
            except Exception:  # noqa: BLE001, S110 - whatever it is, the ordinary way tells it
                pass
        return super().complete_object_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def _table(self, item_type: GraphQLOutputType, details: FieldDetailsList) -> Table | None:
        kind = get_nullable_type(item_type)
        if not is_object_type(kind):
            return None
        key = (kind, id(details))
        kept = self._plan.tables.get(key)
        if kept is None:
            table = make_table(kind, self._collect(kind, details), self._collect)
            # The list is kept too, so that no other one gets its id.
            kept = self._plan.tables[key] = (details, table)
        return kept[1]

    def _collect(self, of: GraphQLObjectType, details: FieldDetailsList) -> GroupedFieldSet:
        return self.collect_subfields(of, details).grouped_field_set

    def _add_alone(
        self,
        table: Table,
        path: Path,
        objects: Sequence[Any],
        rows: list[Any],
        fail: Callable[[Exception, Path], None],
    ) -> None:
        """Fill in the fields that only the executor can complete, one by one."""
        if not table.alone:
            return
        for index, source in enumerate(objects):
            item = path.add_key(index, None)
            try:
                for key, details in table.alone:
                    place = item.add_key(key, table.type.name)
                    rows[index][key] = self.execute_field(table.type, source, details, place, None)
            except Exception as error:  # noqa: BLE001 - as the executor does
                fail(error, item)
                rows[index] = None

    def _fail(
        self, error: Exception, path: Path, item_type: GraphQLOutputType, details: FieldDetailsList
    ) -> None:
        self.handle_field_error(error, item_type, details, path)
