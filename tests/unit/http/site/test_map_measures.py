"""Measures of the map: countries in even classes, and values in words."""

import pytest

from graphql_api.domain.country import Country
from graphql_api.http.site.map_measures import MEASURES, classify, parse_measure
from graphql_api.http.site.parameters import Parameters
from tests.support.factories import make_country


def make_countries(*populations: int) -> list[Country]:
    return [make_country(f"A{chr(65 + index)}", population=count) for index, count in enumerate(populations)]


def classify_populations(*populations: int) -> list[tuple[str, int]]:
    classes = classify(make_countries(*populations), MEASURES["population"])
    return [(group.label, len(group.rows)) for group in classes]


def test_even_classes() -> None:
    """Ten amounts are in five classes of two, in ascending order, with the least and the highest amount of each."""
    assert classify_populations(10, 9, 8, 7, 6, 5, 4, 3, 2, 1) == [
        ("1 – 2", 2),
        ("3 – 4", 2),
        ("5 – 6", 2),
        ("7 – 8", 2),
        ("9 – 10", 2),
    ]


def test_equal_amounts_share_a_class() -> None:
    """Equal amounts are never in two classes, so that there are fewer of them."""
    assert classify_populations(1, *[5] * 8, 9) == [("1", 1), ("5", 8), ("9", 1)]
    assert classify_populations(*[7] * 12) == [("7", 12)]
    assert classify_populations() == []


def test_countries_without_data() -> None:
    """A country without a value is in no class."""
    rows = [make_country("FR", gdp=None), make_country("DE", gdp=2e12)]
    assert [(group.label, [row.code for row in group.rows]) for group in classify(rows, MEASURES["gdp"])] == [
        ("$2.0T", ["DE"])
    ]


def test_regions() -> None:
    """Each region is a class, by name."""
    rows = [make_country("FR", region="Europe"), make_country("CN", region="Asia"), make_country("DE", region="Europe")]
    assert [(group.label, len(group.rows)) for group in classify(rows, MEASURES["region"])] == [
        ("Asia", 1),
        ("Europe", 2),
    ]


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        ("population", "68,000,000 people (2024)"),
        ("population_density", "123 people per km² (2024)"),
        ("gdp", "$3.1T (2023)"),
        ("gdp_per_capita", "$45,678 (2023)"),
        ("exchange_rate", "0.92 EUR per US$"),
        ("region", "Europe"),
    ],
)
def test_descriptions(measure: str, text: str) -> None:
    """Values have their unit, their currency and their year."""
    row = make_country(
        "FR",
        population=68_000_000,
        population_year=2024,
        population_density=123.4,
        gdp=3.1e12,
        gdp_year=2023,
        gdp_per_capita=45_678.0,
        exchange_rate=0.92,
        currency_code="EUR",
        region="Europe",
    )
    assert MEASURES[measure].describe(row) == text


@pytest.mark.parametrize(
    ("density", "text"),
    [(2.1e-05, "< 0.01"), (0.136, "0.14"), (3.14, "3.1"), (64.58, "64.6"), (121.4, "121"), (19_528.0, "19,528")],
)
def test_densities(density: float, text: str) -> None:
    """Densities have decimals if they are small, and never an exponent."""
    assert MEASURES["population_density"].format(density) == text


def test_rates_of_the_legend() -> None:
    """The legend has three digits of a rate, and a unit for large ones."""
    rates = [0.30871, 1.0, 17.7145, 330.91, 1_374_999.64]
    assert [MEASURES["exchange_rate"].format_short(rate) for rate in rates] == ["0.309", "1", "17.7", "331", "1.4M"]


def test_description_without_data() -> None:
    """A missing value is called so."""
    assert MEASURES["gdp"].describe(make_country("FR", gdp=None, gdp_year=None)) == "no data"


def test_parameter() -> None:
    """`map` names a measure in any case, population by default; the error for another name lists what is right."""
    for name, field in {
        " ": "population",
        "region": "region",
        "gdpPerCapita": "gdp_per_capita",
        "GDP_PER_CAPITA": "gdp_per_capita",
    }.items():
        params = Parameters({"map": name})
        assert (parse_measure(params), params.problems) == (MEASURES[field], [])
    params = Parameters({"map": "<b>" + "x" * 100})
    assert parse_measure(params) is MEASURES["population"]
    names = "population, population_density, gdp, gdp_per_capita, exchange_rate, region"
    assert params.problems == [f"map must be one of {names}, not '<b>{'x' * 37}'."]
