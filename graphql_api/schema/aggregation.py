"""Output types of aggregates and groups, each over its domain object."""

from collections.abc import Sequence

import strawberry

from graphql_api.domain import aggregation
from graphql_api.domain.aggregation import Aggregate, Group, Numbers
from graphql_api.domain.country import Country, CountryField
from graphql_api.schema.refresh_types import described
from graphql_api.schema.types import CountryType

_ABSENT = "null if no country has one"


def _sum(column: CountryField, description: str) -> float:
    def resolve(parent: strawberry.Parent[Aggregate]) -> float:
        return aggregation.add(parent.get_values(column))

    return strawberry.field(resolver=resolve, description=description)


def _number(column: CountryField, description: str) -> float | None:
    def resolve(parent: strawberry.Parent[Numbers]) -> float | None:
        return parent.compute(column)

    return strawberry.field(resolver=resolve, description=f"{description}; {_ABSENT}.")


@strawberry.type(
    description="Exact sums, rounded once to a Float. Countries without a value are left out; 0 if no country has one."
)
class CountrySums:
    population: float = _sum(CountryField.POPULATION, "Number of people.")
    area_km2: float = _sum(CountryField.AREA_KM2, "Square kilometres.")
    estimated_gdp: float = _sum(CountryField.ESTIMATED_GDP, "US dollars, of rough estimates. `gdp` has the real ones.")
    gdp: float = _sum(
        CountryField.GDP, "Current US dollars, from national accounts. The years of the countries may differ."
    )
    gdp_ppp: float = _sum(
        CountryField.GDP_PPP, "International dollars, at purchasing power parity. The years may differ."
    )


@strawberry.type(
    description="One number of the values of all countries, each of which counts the same whatever its size. Countries "
    "without a value are left out."
)
class CountryNumbers:
    population: float | None = _number(CountryField.POPULATION, "Number of people")
    area_km2: float | None = _number(CountryField.AREA_KM2, "Square kilometres")
    population_density: float | None = _number(
        CountryField.POPULATION_DENSITY,
        "People per square kilometre, of the density of each country: not all people by all area",
    )
    exchange_rate: float | None = _number(
        CountryField.EXCHANGE_RATE, "Units of the currency of each country for 1 US dollar"
    )
    estimated_gdp: float | None = _number(CountryField.ESTIMATED_GDP, "US dollars, of rough estimates")
    gdp: float | None = _number(CountryField.GDP, "Current US dollars, from national accounts")
    gdp_per_capita: float | None = _number(
        CountryField.GDP_PER_CAPITA,
        "Current US dollars per person, of the GDP per person of each country: not all GDP by all people",
    )
    gdp_ppp: float | None = _number(CountryField.GDP_PPP, "International dollars, at purchasing power parity")


@strawberry.type(
    description="Numbers of several countries together. Countries without a value are left out. Of no values, sums are "
    "0 and the others null."
)
class CountryAggregate:
    @strawberry.field(description="Number of countries.")
    @staticmethod
    def count(parent: strawberry.Parent[Aggregate]) -> int:
        return len(parent.row_indexes)

    @strawberry.field(description="Sums of the values.", graphql_type=CountrySums)
    @staticmethod
    def sum(parent: strawberry.Parent[Aggregate]) -> Aggregate:
        return parent

    @strawberry.field(description="Arithmetic means of the values.", graphql_type=CountryNumbers)
    @staticmethod
    def avg(parent: strawberry.Parent[Aggregate]) -> Numbers:
        return Numbers(parent, aggregation.average)

    @strawberry.field(description="The lowest values.", graphql_type=CountryNumbers)
    @staticmethod
    def min(parent: strawberry.Parent[Aggregate]) -> Numbers:
        return Numbers(parent, aggregation.minimum)

    @strawberry.field(description="The highest values.", graphql_type=CountryNumbers)
    @staticmethod
    def max(parent: strawberry.Parent[Aggregate]) -> Numbers:
        return Numbers(parent, aggregation.maximum)

    @strawberry.field(
        description="The values in the middle of their order; of an even number, the mean of the two there.",
        graphql_type=CountryNumbers,
    )
    @staticmethod
    def median(parent: strawberry.Parent[Aggregate]) -> Numbers:
        return Numbers(parent, aggregation.median)


@strawberry.type(name="CountryGroup", description="The countries of a list that share some values.")
class CountryGroupType:
    keys: list[str | None] = described(
        "The shared values: one for each field of `by`, in its order. Null if the countries have none."
    )
    aggregate: CountryAggregate = described("Numbers of the countries of the group.")

    @strawberry.field(
        description="The countries of the group, in the order of the list.", graphql_type=list[CountryType]
    )
    @staticmethod
    def countries(parent: strawberry.Parent[Group]) -> Sequence[Country]:
        return parent.rows
