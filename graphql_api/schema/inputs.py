"""Inputs: filters and sort keys, and their conversion to the domain."""

from collections.abc import Callable, Mapping
from dataclasses import make_dataclass
from datetime import datetime
from enum import Enum
from keyword import iskeyword
from typing import Any, Generic, TypeVar

import strawberry

from graphql_api.domain.aggregation import GroupSortField, GroupSortKey
from graphql_api.domain.country import CountryField, FieldKind
from graphql_api.domain.filters import AllOf, AnyOf, Condition, Filter, Not, Operator, prepare_filter
from graphql_api.domain.sorting import SortKey
from graphql_api.schema.refresh_types import described_value
from graphql_api.utils.lazy import lazy_property

NumberT = TypeVar("NumberT", int, float)

_NE = "Not equal. Null is not equal to any value."
_IN = "Equal to one of these. An empty list matches nothing."
_NOT_IN = "Equal to none of these. Null matches, and an empty list matches everything."
_IS_NULL = "true: the value is null. false: it is not null."
_ALL_MUST_MATCH = "All operators must match; a null operator is ignored."
_NULL_MATCHES = "A null value matches only isNull: true, ne and notIn."


def _optional(description: str | None, name: str | None = None) -> Any:  # noqa: ANN401 - as strawberry.field
    return strawberry.field(default=None, description=description, name=name)


@strawberry.input(
    description=f"Conditions on text. {_ALL_MUST_MATCH} {_NULL_MATCHES} Case, accents, kinds of "
    "apostrophes and dashes, and runs of white space do not matter. Codes are ASCII; of them, only case "
    "does not matter."
)
class StringFilter:
    eq: str | None = _optional("Equal.")
    ne: str | None = _optional(_NE)
    in_: list[str] | None = _optional(_IN, "in")
    not_in: list[str] | None = _optional(_NOT_IN)
    contains: str | None = _optional("Contains this text.")
    starts_with: str | None = _optional("Starts with this text.")
    ends_with: str | None = _optional("Ends with this text.")
    is_null: bool | None = _optional(_IS_NULL)


@strawberry.input
class _NumberFilter(Generic[NumberT]):
    eq: NumberT | None = _optional("Equal.")
    ne: NumberT | None = _optional(_NE)
    in_: list[NumberT] | None = _optional(_IN, "in")
    not_in: list[NumberT] | None = _optional(_NOT_IN)
    gt: NumberT | None = _optional("Greater than.")
    gte: NumberT | None = _optional("Greater or equal.")
    lt: NumberT | None = _optional("Less than.")
    lte: NumberT | None = _optional("Less or equal.")
    is_null: bool | None = _optional(_IS_NULL)


@strawberry.input(description=f"Conditions on an integer. {_ALL_MUST_MATCH} {_NULL_MATCHES}")
class IntFilter(_NumberFilter[int]):
    pass


@strawberry.input(description=f"Conditions on a number. {_ALL_MUST_MATCH} {_NULL_MATCHES}")
class FloatFilter(_NumberFilter[float]):
    pass


@strawberry.input(
    description=f"Conditions on an instant. {_ALL_MUST_MATCH} A null value matches only isNull: true and ne."
)
class DateTimeFilter:
    eq: datetime | None = _optional("Equal.")
    ne: datetime | None = _optional(_NE)
    gt: datetime | None = _optional("Later than.")
    gte: datetime | None = _optional("Later or equal.")
    lt: datetime | None = _optional("Earlier than.")
    lte: datetime | None = _optional("Earlier or equal.")
    is_null: bool | None = _optional(_IS_NULL)


@strawberry.input(
    description=f"Conditions on a list of texts. {_ALL_MUST_MATCH} Codes compare without regard to case, "
    "names without regard to case and accents."
)
class StringListFilter:
    has: str | None = _optional("Has this item.")
    has_every: list[str] | None = _optional("Has all of these. An empty list matches everything.")
    has_some: list[str] | None = _optional("Has at least one of these. An empty list matches nothing.")
    is_empty: bool | None = _optional("true: the list is empty. false: it is not empty.")


_FIELDS = {field.value: field for field in CountryField}
_OPERATORS = {
    # Attributes that are Python keywords end with an underscore.
    f"{name}_" if iskeyword(name) else name: comparison
    for name, comparison in ((comparison.name.lower(), comparison) for comparison in Operator)
}
"""By attribute of a field's filter."""

FieldFilter = StringFilter | IntFilter | FloatFilter | DateTimeFilter | StringListFilter


_FILTERS_BY_KIND = {
    FieldKind.TEXT: StringFilter,
    FieldKind.INT: IntFilter,
    FieldKind.FLOAT: FloatFilter,
    FieldKind.INSTANT: DateTimeFilter,
    FieldKind.TEXTS: StringListFilter,
}
_FieldFilters = make_dataclass(
    "_FieldFilters",
    [
        (field.value, filter_type | None, _optional(field.info.description))
        for kind, filter_type in _FILTERS_BY_KIND.items()
        for field in CountryField
        if field.info.filterable and field.info.kind is kind
    ],
)
"""The filterable fields, grouped by kind."""


@strawberry.input(
    description="Conditions on countries. All fields must match; a null field is ignored, and an "
    "empty filter matches every country."
)
class CountryFilter(_FieldFilters):  # type: ignore[misc, valid-type] # made of the table of fields
    and_: list["CountryFilter"] | None = _optional("All of these must match. An empty list matches everything.", "and")
    or_: list["CountryFilter"] | None = _optional(
        "At least one of these must match. An empty list matches nothing.", "or"
    )
    not_: "CountryFilter | None" = _optional("This must not match.", "not")

    @classmethod
    def prepare(cls, prepared: "CountryFilter") -> Callable[[Mapping[str, Any]], "CountryFilter"]:
        """Return the function from operands to the filter that has them in place of parameters of their names."""
        bind = prepare_filter(prepared.domain)

        def build(operands: Mapping[str, Any]) -> "CountryFilter":
            built: CountryFilter = object.__new__(cls)
            built.__dict__["domain"] = bind(operands)
            return built

        return build

    @lazy_property
    def domain(self) -> Filter:
        """Convert the filter to the domain, once if it is a constant. Null fields and operators are ignored."""
        filters: list[Filter] = []
        for attribute, value in vars(self).items():
            if value is None:
                continue
            field = _FIELDS.get(attribute)
            if field is not None:
                for name, operand in vars(value).items():
                    if operand is not None:
                        operands = frozenset(operand) if isinstance(operand, list) else operand
                        filters.append(Condition(field, _OPERATORS[name], operands))
            elif attribute == "not_":
                filters.append(Not(value.domain))
            else:
                parts = tuple(nested.domain for nested in value)
                filters.append(AllOf(parts) if attribute == "and_" else AnyOf(parts))
        return filters[0] if len(filters) == 1 else AllOf(tuple(filters))


_SORT_VALUES = {
    field.name: strawberry.enum_value(field, description=field.info.description)
    for field in CountryField
    if field.info.sortable
}
CountrySortField: type[Enum] = strawberry.enum(
    Enum("CountrySortField", _SORT_VALUES),  # type: ignore[call-overload] # mypy expects literals
    description="Fields of Country to sort by.",
)


@strawberry.enum(description="Direction of an order. Nulls sort last in both.")
class SortDirection(Enum):
    ASC = strawberry.enum_value("asc", description="Smallest, earliest or A first.")
    DESC = strawberry.enum_value("desc", description="Greatest, latest or Z first.")


@strawberry.input(
    description="One sort key. Equal values are ordered by the next key, and finally by name and "
    "code. Nulls sort last in both directions. Text sorts without case and accents."
)
class CountrySort:
    field: Enum = strawberry.field(description="The field to sort by.", graphql_type=CountrySortField)
    direction: SortDirection = strawberry.field(default=SortDirection.ASC, description="The direction.")

    @lazy_property
    def key(self) -> SortKey:
        """Convert the sort key to the domain, once if it is a constant of the document."""
        return SortKey(CountryField[self.field.name], descending=self.direction is SortDirection.DESC)


@strawberry.enum(description="Values of Country to group by.")
class CountryGroupField(Enum):
    REGION = described_value(CountryField.REGION, "UN M49 region, e.g. Africa.")
    SUBREGION = described_value(CountryField.SUBREGION, "UN M49 subregion, e.g. Western Africa; null if there is none.")
    CONTINENT = described_value(CountryField.CONTINENT, "Code of the continent, e.g. AF.")
    CURRENCY_CODE = described_value(
        CountryField.CURRENCY_CODE, "ISO 4217 code of the first currency in use, e.g. EUR; null if there is none."
    )
    LANGUAGE = described_value(
        CountryField.LANGUAGES,
        "BCP 47 code of each language of Country.languages, official or not, e.g. pt; null if there is none. A country "
        "is in the group of each of its languages, so groups overlap.",
    )


@strawberry.enum(description="Values of groups to sort by.")
class CountryGroupSortField(Enum):
    KEY = described_value(GroupSortField.KEY, "The keys, the first one first, without case and accents.")
    COUNT = described_value(GroupSortField.COUNT, "Number of countries.")
    POPULATION = described_value(GroupSortField.POPULATION, "Sum of the populations.")
    AREA_KM2 = described_value(GroupSortField.AREA_KM2, "Sum of the areas.")
    ESTIMATED_GDP = described_value(GroupSortField.ESTIMATED_GDP, "Sum of the estimated GDPs.")
    GDP = described_value(GroupSortField.GDP, "Sum of the GDPs.")
    GDP_PPP = described_value(GroupSortField.GDP_PPP, "Sum of the GDPs at purchasing power parity.")


@strawberry.input(
    description="One sort key of groups. Equal groups are ordered by the next sort key, and finally by their keys, "
    "with nulls last."
)
class CountryGroupSort:
    field: CountryGroupSortField = strawberry.field(description="The value to sort by.")
    direction: SortDirection = strawberry.field(default=SortDirection.DESC, description="The direction.")

    @lazy_property
    def key(self) -> GroupSortKey:
        """Convert the sort key to the domain, once if it is a constant of the document."""
        return GroupSortKey(GroupSortField[self.field.name], descending=self.direction is SortDirection.DESC)
