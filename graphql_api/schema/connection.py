"""Output types of a list of countries: its pages, its numbers and its groups, each over its domain object."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import strawberry

from graphql_api.domain.aggregation import Aggregate, Group, group
from graphql_api.domain.country import Country
from graphql_api.domain.pagination import Page
from graphql_api.errors import InvalidInput
from graphql_api.schema.aggregation import CountryAggregate, CountryGroupType
from graphql_api.schema.inputs import CountryGroupField, CountryGroupSort
from graphql_api.schema.types import CountryType

ByArgument = Annotated[
    list[CountryGroupField],
    strawberry.argument("The values to group by, each once: at least one. Countries with equal values form a group."),
]
GroupSortArgument = Annotated[
    list[CountryGroupSort] | None,
    strawberry.argument("Sort keys, the most significant first. Null: largest group first, by number of countries."),
]
FirstGroupsArgument = Annotated[
    int | None, strawberry.argument("Maximum number of groups, after sorting. Null: no limit.")
]


@strawberry.type(description="A country on a page, with its cursor.")
class CountryEdge:
    page: strawberry.Private[Page]
    row_index: strawberry.Private[int]

    @strawberry.field(
        description="Opaque position in this order, for `after` or `before`. It stays valid after "
        "refreshes, and even if the country is deleted."
    )
    def cursor(self) -> str:
        return self.page.cursor(self.row_index)

    @strawberry.field(description="The country.", graphql_type=CountryType)
    def node(self) -> Country:
        return self.page.reader.snapshot.rows[self.row_index]


@strawberry.type(description="The position of a page in its list.")
class PageInfo:
    @strawberry.field(description="Whether countries follow the page.")
    @staticmethod
    def has_next_page(parent: strawberry.Parent[Page]) -> bool:
        return parent.span.stop < len(parent.matching)

    @strawberry.field(description="Whether countries precede the page.")
    @staticmethod
    def has_previous_page(parent: strawberry.Parent[Page]) -> bool:
        return parent.span.start > 0

    @strawberry.field(description="Cursor of the first country; null for an empty page.")
    @staticmethod
    def start_cursor(parent: strawberry.Parent[Page]) -> str | None:
        return parent.cursor(parent.row_indexes[0]) if parent.row_indexes else None

    @strawberry.field(description="Cursor of the last country; null for an empty page.")
    @staticmethod
    def end_cursor(parent: strawberry.Parent[Page]) -> str | None:
        return parent.cursor(parent.row_indexes[-1]) if parent.row_indexes else None


@strawberry.type(description="A page of countries.")
class CountryConnection:
    has_identity: ClassVar = True

    @strawberry.field(description="The countries on the page.", graphql_type=list[CountryType])
    @staticmethod
    def nodes(parent: strawberry.Parent[Page]) -> Sequence[Country]:
        return parent.rows

    @strawberry.field(description="The same countries, each with its cursor.")
    @staticmethod
    def edges(parent: strawberry.Parent[Page]) -> list[CountryEdge]:
        return [CountryEdge(page=parent, row_index=row_index) for row_index in parent.row_indexes]

    @strawberry.field(description="The position of the page.", graphql_type=PageInfo)
    @staticmethod
    def page_info(parent: strawberry.Parent[Page]) -> Page:
        return parent

    @strawberry.field(description="Number of countries that match the filter, on all pages.")
    @staticmethod
    def total_count(parent: strawberry.Parent[Page]) -> int:
        return len(parent.selected)

    @strawberry.field(
        description="Numbers of all countries that match the filter, on all pages.", graphql_type=CountryAggregate
    )
    @staticmethod
    def aggregate(parent: strawberry.Parent[Page]) -> Aggregate:
        return Aggregate(parent.reader.snapshot, parent.selected)

    @strawberry.field(
        description="All countries that match the filter, on all pages, grouped by values that they share. Those "
        "without a value form a group whose key is null.",
        graphql_type=list[CountryGroupType],
    )
    @staticmethod
    def groups(
        parent: strawberry.Parent[Page],
        by: ByArgument,
        sort: GroupSortArgument = None,
        first: FirstGroupsArgument = None,
    ) -> list[Group]:
        names = [field.name for field in by]
        if not names:
            raise InvalidInput("by must have at least one field.")
        for name in names:
            if names.count(name) > 1:
                raise InvalidInput(f"by has {name} {names.count(name)} times; give each field once.")
        if first is not None and first < 0:
            raise InvalidInput(f"first must be 0 or more, not {first}.")
        return group(parent, [field.value for field in by], [sort_key.key for sort_key in sort or ()])[:first]
