"""What clients may ask: filters and sort keys, and their translation into the domain's terms."""

from datetime import datetime
from enum import Enum
from typing import Any

import strawberry

from graphql_api.domain.country import CountryField

_EQ = "Equal to this."
_NE = "Not equal to this; an absent value is not equal to anything."
_IN = "Equal to one of these; an empty list matches nothing."
_NOT_IN = "Equal to none of these, or absent; an empty list matches everything."
_GT, _GTE, _LT, _LTE = "Greater than this.", "This or greater.", "Less than this.", "This or less."
_IS_NULL = "true: the value is absent. false: it is present."


def _operator(description: str, name: str | None = None) -> Any:  # noqa: ANN401 - as strawberry.field
    return strawberry.field(default=None, description=description, name=name)


@strawberry.input(
    description="Conditions on a text. Case and accents do not matter, and either kind of "
    "apostrophe will do. Operators given together must all hold; an operator that is null is as "
    "if not given. An absent value satisfies only isNull: true, ne and notIn."
)
class StringFilter:
    eq: str | None = _operator(_EQ)
    ne: str | None = _operator(_NE)
    in_: list[str] | None = _operator(_IN, "in")
    not_in: list[str] | None = _operator(_NOT_IN)
    contains: str | None = _operator("Contains this anywhere.")
    starts_with: str | None = _operator("Begins with this.")
    ends_with: str | None = _operator("Ends with this.")
    is_null: bool | None = _operator(_IS_NULL)


@strawberry.input(
    description="Conditions on a whole number. Operators given together must all hold; an "
    "operator that is null is as if not given."
)
class IntFilter:
    eq: int | None = _operator(_EQ)
    ne: int | None = _operator(_NE)
    in_: list[int] | None = _operator(_IN, "in")
    not_in: list[int] | None = _operator(_NOT_IN)
    gt: int | None = _operator(_GT)
    gte: int | None = _operator(_GTE)
    lt: int | None = _operator(_LT)
    lte: int | None = _operator(_LTE)
    is_null: bool | None = _operator(_IS_NULL)


@strawberry.input(
    description="Conditions on a number. Operators given together must all hold; an operator that "
    "is null is as if not given. An absent value satisfies only isNull: true, ne and notIn."
)
class FloatFilter:
    eq: float | None = _operator(_EQ)
    ne: float | None = _operator(_NE)
    in_: list[float] | None = _operator(_IN, "in")
    not_in: list[float] | None = _operator(_NOT_IN)
    gt: float | None = _operator(_GT)
    gte: float | None = _operator(_GTE)
    lt: float | None = _operator(_LT)
    lte: float | None = _operator(_LTE)
    is_null: bool | None = _operator(_IS_NULL)


@strawberry.input(
    description="Conditions on an instant. Operators given together must all hold; an operator "
    "that is null is as if not given."
)
class DateTimeFilter:
    eq: datetime | None = _operator(_EQ)
    ne: datetime | None = _operator(_NE)
    gt: datetime | None = _operator("Later than this.")
    gte: datetime | None = _operator("This or later.")
    lt: datetime | None = _operator("Earlier than this.")
    lte: datetime | None = _operator("This or earlier.")
    is_null: bool | None = _operator(_IS_NULL)


FieldFilter = StringFilter | IntFilter | FloatFilter | DateTimeFilter


@strawberry.input(
    description="Which countries are wanted. Fields given together must all hold; a field that is "
    "null is as if not given; an empty filter matches every country."
)
class CountryFilter:
    code: StringFilter | None = _operator("By ISO 3166-1 alpha-2 code, e.g. FR.")
    alpha3: StringFilter | None = _operator("By ISO 3166-1 alpha-3 code, e.g. FRA.")
    name: StringFilter | None = _operator("By English name.")
    capital: StringFilter | None = _operator("By capital; absent where there is none.")
    region: StringFilter | None = _operator("By UN M49 region, e.g. Africa.")
    subregion: StringFilter | None = _operator("By UN M49 subregion, e.g. Western Africa.")
    currency_code: StringFilter | None = _operator("By ISO 4217 code, e.g. EUR.")
    population: IntFilter | None = _operator("By number of people.")
    area_km2: FloatFilter | None = _operator("By area in square kilometres.")
    exchange_rate: FloatFilter | None = _operator("By units of the currency for one US dollar.")
    estimated_gdp: FloatFilter | None = _operator("By estimated GDP in US dollars.")
    last_refreshed_at: DateTimeFilter | None = _operator("By the time of the last refresh.")
    and_: list["CountryFilter"] | None = _operator(
        "All of these hold; an empty list matches everything.", "and"
    )
    or_: list["CountryFilter"] | None = _operator(
        "At least one of these holds; an empty list matches nothing.", "or"
    )
    not_: "CountryFilter | None" = _operator("This does not hold.", "not")


@strawberry.enum(description="What countries can be sorted by; the fields are those of Country.")
class CountrySortField(Enum):
    CODE = CountryField.CODE.value
    ALPHA3 = CountryField.ALPHA3.value
    NAME = CountryField.NAME.value
    CAPITAL = CountryField.CAPITAL.value
    REGION = CountryField.REGION.value
    SUBREGION = CountryField.SUBREGION.value
    POPULATION = CountryField.POPULATION.value
    AREA_KM2 = CountryField.AREA_KM2.value
    CURRENCY_CODE = CountryField.CURRENCY_CODE.value
    EXCHANGE_RATE = CountryField.EXCHANGE_RATE.value
    ESTIMATED_GDP = CountryField.ESTIMATED_GDP.value
    LAST_REFRESHED_AT = CountryField.LAST_REFRESHED_AT.value
