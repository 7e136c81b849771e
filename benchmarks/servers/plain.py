"""Plain Strawberry on FastAPI, with its caches and with data in memory."""

import json
import os
from collections.abc import Callable
from enum import Enum
from operator import attrgetter
from pathlib import Path
from typing import Any

import strawberry
from fastapi import FastAPI
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.fastapi import GraphQLRouter


@strawberry.type
class Country:
    """A country."""

    code: str
    name: str
    capital: str | None
    region: str | None
    population: int
    currency_code: str | None
    exchange_rate: float | None
    estimated_gdp: float | None
    flag_url: str | None


@strawberry.enum
class SortField(Enum):
    """Sortable fields."""

    NAME = "name"
    POPULATION = "population"


@strawberry.enum
class SortDirection(Enum):
    """Sort direction."""

    ASC = "asc"
    DESC = "desc"


@strawberry.input
class TextFilter:
    """Compares text, ignoring case."""

    eq: str | None = None


@strawberry.input
class NumberFilter:
    """Compares numbers."""

    gt: int | None = None


@strawberry.input
class CountryFilter:
    """Conditions that countries must meet."""

    region: TextFilter | None = None
    population: NumberFilter | None = None

    def matches(self, country: Country) -> bool:
        """Return whether a country meets the conditions."""
        region = self.region.eq if self.region else None
        min_population = self.population.gt if self.population else None
        return (region is None or (country.region or "").lower() == region.lower()) and (
            min_population is None or country.population > min_population
        )


@strawberry.input
class CountrySort:
    """One sort key."""

    field: SortField
    direction: SortDirection = SortDirection.ASC


@strawberry.type
class CountryConnection:
    """A page of countries."""

    nodes: list[Country]
    total_count: int


def _load_countries(path: str) -> list[Country]:
    names = {name.replace("_", "").lower(): name for name in Country.__annotations__}
    rows: list[dict[str, Any]] = json.loads(Path(path).read_text("utf-8"))
    return [Country(**{names[key.lower()]: value for key, value in row.items()}) for row in rows]


COUNTRIES = _load_countries(os.environ["COUNTRIES"])
BY_CODE = {country.code: country for country in COUNTRIES}


@strawberry.type
class Query:
    """Root of queries."""

    @strawberry.field
    def country(self, code: str) -> Country | None:
        """Return one country."""
        return BY_CODE.get(code.upper())

    @strawberry.field
    def countries(
        self,
        filter: CountryFilter | None = None,  # noqa: A002 - the name in the query
        sort: list[CountrySort] | None = None,
        first: int | None = None,
    ) -> CountryConnection:
        """Return a page; without `sort` in order of name, as in the data."""
        matching = [country for country in COUNTRIES if filter is None or filter.matches(country)]
        ordered = list(matching)
        for criterion in reversed(sort or []):
            get_value: Callable[[Country], Any] = attrgetter(criterion.field.value)
            ordered.sort(key=get_value, reverse=criterion.direction is SortDirection.DESC)
        return CountryConnection(nodes=ordered[:first], total_count=len(matching))


schema = strawberry.Schema(query=Query, extensions=[ParserCache, ValidationCache])
app = FastAPI()
app.include_router(GraphQLRouter(schema), prefix="/graphql")
