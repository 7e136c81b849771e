"""Measures of the world map: the values of countries, in classes that each have a colour."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql_api.domain.country import Country, CountryField
from graphql_api.http.site.parameters import Parameters
from graphql_api.utils import formatting

AMOUNT_CLASSES = 5
"""Colours of amounts, which have an order."""
REGION_CLASSES = 6
"""Colours of regions."""
_MIN_DENSITY = 0.01
_DENSITY_DECIMALS = ((100, 0), (1, 1), (0, 2))
"""Decimals from a density on, the highest first."""
_MIN_COMPACT_RATE = 1000

Value: TypeAlias = float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A field that the map shows."""

    field: CountryField
    label: str
    """Text of the link."""
    title: str
    """Text above the legend."""
    unit: str = ""
    """Unit of a value, in which `{currency}` is the country's."""
    format: Callable[[Any], str]
    """Formats a value for the map and its table."""
    format_short: Callable[[Any], str]
    """Formats a value for the legend."""
    get_year: Callable[[Country], int | None] = lambda _: None

    @property
    def is_amount(self) -> bool:
        """Return whether the values have an order."""
        return not self.field.is_text

    def get_value(self, row: Country) -> Value | None:
        """Return the value of a country; None without data."""
        value: Value | None = getattr(row, self.field)
        return value

    def describe(self, row: Country) -> str:
        """Return the value of a country in words, with its unit and year."""
        value = self.get_value(row)
        if value is None:
            return "no data"
        year = self.get_year(row)
        unit = self.unit.format(currency=row.currency_code)
        parts = [self.format(value), unit, f"({year})" if year else ""]
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class MapClass:
    """Countries that have the same colour."""

    label: str
    rows: tuple[Country, ...]


def _format_density(density: float) -> str:
    """Return people per km², with decimals if they are few."""
    if density < _MIN_DENSITY:
        return f"< {_MIN_DENSITY}"
    decimals = next(count for least, count in _DENSITY_DECIMALS if density >= least)
    return f"{density:,.{decimals}f}"


def _format_short_rate(rate: float) -> str:
    """Return an exchange rate with three significant digits."""
    return formatting.format_compact(rate) if rate >= _MIN_COMPACT_RATE else f"{rate:.3g}"


MEASURES: Mapping[str, Measure] = {
    measure.field.value: measure
    for measure in (
        Measure(
            field=CountryField.POPULATION,
            label="Population",
            title="Population",
            unit="people",
            format="{:,}".format,
            format_short=formatting.format_compact,
            get_year=lambda row: row.population_year,
        ),
        Measure(
            field=CountryField.POPULATION_DENSITY,
            label="Density",
            title="People per km²",
            unit="people per km²",
            format=_format_density,
            format_short=_format_density,
            get_year=lambda row: row.population_year,
        ),
        Measure(
            field=CountryField.GDP,
            label="GDP",
            title="GDP in current US dollars",
            format=formatting.format_usd,
            format_short=formatting.format_usd,
            get_year=lambda row: row.gdp_year,
        ),
        Measure(
            field=CountryField.GDP_PER_CAPITA,
            label="GDP per capita",
            title="GDP per capita in current US dollars",
            format="${:,.0f}".format,
            format_short=formatting.format_usd,
            get_year=lambda row: row.gdp_year,
        ),
        Measure(
            field=CountryField.EXCHANGE_RATE,
            label="Exchange rate",
            title="Exchange rate: units of the currency for one US dollar",
            unit="{currency} per US$",
            format=formatting.format_rate,
            format_short=_format_short_rate,
        ),
        Measure(
            field=CountryField.REGION,
            label="Region",
            title="Regions of the United Nations’ M49 standard",
            format=str,
            format_short=str,
        ),
    )
}
"""By the value of the query parameter, in the order of the page."""
DEFAULT_MEASURE = MEASURES[CountryField.POPULATION]


def parse_measure(params: Parameters) -> Measure:
    """Return the measure that the query parameter `map` names; population without one, or if it is wrong."""
    return MEASURES.get(params.choose("map", MEASURES), DEFAULT_MEASURE)


def classify(rows: Iterable[Country], measure: Measure) -> list[MapClass]:
    """Return the countries with data in classes: each region, or about as many countries by ascending amount.

    Equal amounts are in one class, so that there may be fewer classes than colours.
    """
    by_value: dict[Value, list[Country]] = defaultdict(list)
    for row in rows:
        if (value := measure.get_value(row)) is not None:
            by_value[value].append(row)
    if not measure.is_amount:
        return [MapClass(str(value), tuple(by_value[value])) for value in sorted(by_value, key=str)]
    groups = _split_evenly(sorted((value, by_value[value]) for value in by_value))
    return [_build_class(group, measure) for group in groups]


def _split_evenly(groups: Sequence[tuple[Value, Sequence[Country]]]) -> list[list[tuple[Value, Sequence[Country]]]]:
    """Return ascending groups of countries in classes, each in the class of its middle country."""
    total, before = sum(len(rows) for _, rows in groups), 0
    classes: dict[int, list[tuple[Value, Sequence[Country]]]] = defaultdict(list)
    for value, rows in groups:
        classes[AMOUNT_CLASSES * (2 * before + len(rows)) // (2 * total)].append((value, rows))
        before += len(rows)
    return list(classes.values())


def _build_class(groups: Sequence[tuple[Value, Sequence[Country]]], measure: Measure) -> MapClass:
    least, most = (measure.format_short(groups[index][0]) for index in (0, -1))
    label = least if least == most else f"{least} – {most}"
    return MapClass(label, tuple(row for _, rows in groups for row in rows))
