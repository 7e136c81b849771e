"""What clients may ask: filters and sort keys, and their translation into the domain's terms."""

from collections.abc import Iterator
from dataclasses import make_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import strawberry

from graphql_api.domain.country import FIELDS, CountryField, FieldKind
from graphql_api.domain.filters import AllOf, AnyOf, Condition, Filter, Not, Operator
from graphql_api.domain.sorting import SortKey

_EQ = "Equal to this."
_NE = "Not equal to this; an absent value is not equal to anything."
_IN = "Equal to one of these; an empty list matches nothing."
_NOT_IN = "Equal to none of these, or absent; an empty list matches everything."
_GT, _GTE, _LT, _LTE = "Greater than this.", "This or greater.", "Less than this.", "This or less."
_IS_NULL = "true: the value is absent. false: it is present."


def _operator_field(description: str, name: str | None = None) -> Any:  # noqa: ANN401 - as strawberry.field
    return strawberry.field(default=None, description=description, name=name)


@strawberry.input(
    description="Conditions on a text. Case and accents do not matter, and either kind of "
    "apostrophe will do. Operators given together must all hold; an operator that is null is as "
    "if not given. An absent value satisfies only isNull: true, ne and notIn."
)
class StringFilter:
    eq: str | None = _operator_field(_EQ)
    ne: str | None = _operator_field(_NE)
    in_: list[str] | None = _operator_field(_IN, "in")
    not_in: list[str] | None = _operator_field(_NOT_IN)
    contains: str | None = _operator_field("Contains this anywhere.")
    starts_with: str | None = _operator_field("Begins with this.")
    ends_with: str | None = _operator_field("Ends with this.")
    is_null: bool | None = _operator_field(_IS_NULL)


@strawberry.input(
    description="Conditions on a whole number. Operators given together must all hold; an "
    "operator that is null is as if not given."
)
class IntFilter:
    eq: int | None = _operator_field(_EQ)
    ne: int | None = _operator_field(_NE)
    in_: list[int] | None = _operator_field(_IN, "in")
    not_in: list[int] | None = _operator_field(_NOT_IN)
    gt: int | None = _operator_field(_GT)
    gte: int | None = _operator_field(_GTE)
    lt: int | None = _operator_field(_LT)
    lte: int | None = _operator_field(_LTE)
    is_null: bool | None = _operator_field(_IS_NULL)


@strawberry.input(
    description="Conditions on a number. Operators given together must all hold; an operator that "
    "is null is as if not given. An absent value satisfies only isNull: true, ne and notIn."
)
class FloatFilter:
    eq: float | None = _operator_field(_EQ)
    ne: float | None = _operator_field(_NE)
    in_: list[float] | None = _operator_field(_IN, "in")
    not_in: list[float] | None = _operator_field(_NOT_IN)
    gt: float | None = _operator_field(_GT)
    gte: float | None = _operator_field(_GTE)
    lt: float | None = _operator_field(_LT)
    lte: float | None = _operator_field(_LTE)
    is_null: bool | None = _operator_field(_IS_NULL)


@strawberry.input(
    description="Conditions on an instant. Operators given together must all hold; an operator "
    "that is null is as if not given."
)
class DateTimeFilter:
    eq: datetime | None = _operator_field(_EQ)
    ne: datetime | None = _operator_field(_NE)
    gt: datetime | None = _operator_field("Later than this.")
    gte: datetime | None = _operator_field("This or later.")
    lt: datetime | None = _operator_field("Earlier than this.")
    lte: datetime | None = _operator_field("This or earlier.")
    is_null: bool | None = _operator_field(_IS_NULL)


FieldFilter = StringFilter | IntFilter | FloatFilter | DateTimeFilter


_FILTERS_BY_KIND = {
    FieldKind.TEXT: StringFilter,
    FieldKind.INT: IntFilter,
    FieldKind.FLOAT: FloatFilter,
    FieldKind.INSTANT: DateTimeFilter,
}
_FieldFilters = make_dataclass(
    "_FieldFilters",
    [
        (name, filter_type | None, _operator_field(info.description or ""))
        for kind, filter_type in _FILTERS_BY_KIND.items()
        for name, info in FIELDS.items()
        if info.filterable and info.kind is kind
    ],
)
"""The filterable fields, grouped by kind."""


@strawberry.input(
    description="Conditions on countries. All fields must match; a null field is ignored, and an "
    "empty filter matches every country."
)
class CountryFilter(_FieldFilters):  # type: ignore[misc, valid-type] # made of the table of fields
    and_: list["CountryFilter"] | None = _operator_field(
        "All of these hold; an empty list matches everything.", "and"
    )
    or_: list["CountryFilter"] | None = _operator_field(
        "At least one of these holds; an empty list matches nothing.", "or"
    )
    not_: "CountryFilter | None" = _operator_field("This does not hold.", "not")

    def to_domain(self) -> Filter:
        """Return the same wish in the domain's terms; what is null is as if not given."""
        conditions = [
            condition
            for field in CountryField
            for condition in _build_conditions(field, getattr(self, field.value))
        ]
        filters: list[Filter] = [*conditions]
        if self.and_ is not None:
            filters.append(AllOf(tuple(nested.to_domain() for nested in self.and_)))
        if self.or_ is not None:
            filters.append(AnyOf(tuple(nested.to_domain() for nested in self.or_)))
        if self.not_ is not None:
            filters.append(Not(self.not_.to_domain()))
        return AllOf(tuple(filters))


def _build_conditions(field: CountryField, field_filter: FieldFilter | None) -> Iterator[Condition]:
    if field_filter is None:
        return
    for attribute, operand in vars(field_filter).items():
        if operand is not None:
            value = frozenset(operand) if isinstance(operand, list) else operand
            yield Condition(field, _OPERATORS[attribute], value)


_OPERATORS = {
    "eq": Operator.EQ,
    "ne": Operator.NE,
    "in_": Operator.IN,
    "not_in": Operator.NOT_IN,
    "gt": Operator.GT,
    "gte": Operator.GTE,
    "lt": Operator.LT,
    "lte": Operator.LTE,
    "contains": Operator.CONTAINS,
    "starts_with": Operator.STARTS_WITH,
    "ends_with": Operator.ENDS_WITH,
    "is_null": Operator.IS_NULL,
}
"""What the attributes of the inputs above mean."""


_SORT_VALUES = {
    field.name: strawberry.enum_value(field, description=field.info.description)
    for field in CountryField
    if field.info.sortable
}
CountrySortField: type[Enum] = strawberry.enum(
    Enum("CountrySortField", _SORT_VALUES),  # type: ignore[call-overload] # mypy expects literals
    description="Fields of Country to sort by.",
)


@strawberry.enum(description="Which end of an order comes first.")
class SortDirection(Enum):
    ASC = strawberry.enum_value("asc", description="The least, the earliest or A first.")
    DESC = strawberry.enum_value("desc", description="The greatest, the latest or Z first.")


@strawberry.input(
    description="One key of an order. Nulls sort last in both directions; ties fall to the next "
    "key, and after all keys to the name, then the code. Text sorts without regard to case or "
    "accents."
)
class CountrySort:
    field: Enum = strawberry.field(description="What to sort by.", graphql_type=CountrySortField)
    direction: SortDirection = strawberry.field(
        default=SortDirection.ASC, description="Which end comes first."
    )

    def to_domain(self) -> SortKey:
        """Return the same key in the domain's terms."""
        return SortKey(
            CountryField[self.field.name], descending=self.direction is SortDirection.DESC
        )
