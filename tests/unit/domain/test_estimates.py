"""The estimated GDP: known multipliers, an exact quotient, and null where it is undefined."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.estimates import estimated_gdp, gdp_multiplier
from tests.support.factories import few_examples

MAX_POPULATION = 2**31 - 1


@pytest.mark.parametrize(
    ("code", "multiplier"),
    [
        ("AF", 1026),
        ("AQ", 1635),
        ("AX", 1532),
        ("BH", 1000),
        ("CI", 1492),
        ("DE", 1869),
        ("FR", 1903),
        ("HM", 1995),
        ("US", 1275),
        ("XK", 1813),
        ("ZW", 1960),
        ("AEB", 2000),
    ],
)
def test_multiplier(code: str, multiplier: int) -> None:
    """The multipliers equal those of sha256sum and bc, at both ends of the range too."""
    assert gdp_multiplier(code) == multiplier


def test_multipliers_of_every_code() -> None:
    """The multipliers of all two-letter codes add up to the sum by sha256sum and bc."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert sum(gdp_multiplier(first + second) for first in letters for second in letters) == 1_011_955


@pytest.mark.parametrize(
    ("population", "rate", "estimate"),
    [
        (1000, 1.0, 1_903_000.0),
        (1000, 0.5, 3_806_000.0),
        (68_000_000, 0.8, 161_755_000_000.0),
        (MAX_POPULATION, 1.0, 4_086_661_380_241.0),
        (0, 1.0, 0.0),
        (1000, None, None),
        (0, None, None),
    ],
)
def test_estimate(population: int, rate: float | None, estimate: float | None) -> None:
    """The estimate is population times multiplier over rate, and None without a rate."""
    assert estimated_gdp("FR", population, rate) == estimate


@pytest.mark.parametrize(("population", "estimate"), [(1000, None), (0, 0.0)])
def test_estimate_beyond_the_numbers(population: int, estimate: float | None) -> None:
    """A quotient beyond the largest float is None, not infinite."""
    assert estimated_gdp("FR", population, 5e-324) == estimate


@few_examples
@given(population=st.integers(0, MAX_POPULATION), rate=st.floats(0, exclude_min=True, allow_infinity=False))
def test_estimate_is_exact(population: int, rate: float) -> None:
    """The estimate is the number nearest to the true quotient, rounded to cents, whatever the rate."""
    try:
        nearest: float | None = round(float(population * 1903 / Fraction(rate)), 2)
    except OverflowError:
        nearest = None
    assert estimated_gdp("FR", population, rate) == nearest
