"""Checking countries: what of a provider's records is believed, and why the rest is not."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import CountryFigures
from graphql_api.sources.countries import validate_countries
from graphql_api.sources.provider import ProviderError, RawCountries, RawCountry
from graphql_api.sources.reference import load_reference

REFERENCE = load_reference()
POPULATION = "its population is not a whole number from 0 to 2147483647"


def make_record(code: object = "FR", population: object = 1, label: str = "a record") -> RawCountry:
    """Return a record that counts, unless told otherwise, and says no more than it must."""
    return RawCountry(
        label=label,
        code=code,
        capital=None,
        population=population,
        area_km2=None,
        currencies=(),
    )


VALID_RECORD = make_record("DE")


def validate_one(raw: RawCountry) -> CountryFigures:
    """Return the figures that a record is kept as."""
    validated = validate_countries(RawCountries(countries=[raw], as_of=None), REFERENCE)
    assert validated.skipped == ()
    (figures,) = validated.figures
    return figures


def skipped_reasons(*raw: RawCountry) -> list[tuple[str, str]]:
    """Return the records that are skipped, with their reasons, beside one that is kept."""
    validated = validate_countries(
        RawCountries(countries=[VALID_RECORD, *raw], as_of=None), REFERENCE
    )
    assert [item.code for item in validated.figures] == ["DE"]
    return [(item.record, item.reason) for item in validated.skipped]


def test_whole_record() -> None:
    """A good record is kept with all it says, text stripped and currency in use."""
    raw = replace(
        make_record(" fr\n", 67),
        capital=" Paris ",
        area_km2=547030,
        currencies=[None, " VEF ", "EUR"],
    )
    assert validate_one(raw) == CountryFigures(
        code="FR", capital="Paris", population=67, area_km2=547030.0, currency_code="VES"
    )


def test_bad_optional_values() -> None:
    """What is optional and bad is none, and the record is kept."""
    raw = replace(make_record(), capital="\x00", area_km2=-1.0, currencies=["euro"])
    assert validate_one(raw) == CountryFigures(
        code="FR", capital=None, population=1, area_km2=None, currency_code=None
    )


def test_order_and_date() -> None:
    """Records are kept in the provider's order, under its date."""
    as_of = datetime(2026, 9, 29, tzinfo=UTC)
    validated = validate_countries(
        RawCountries(countries=[make_record("FR"), VALID_RECORD], as_of=as_of), REFERENCE
    )
    assert [figures.code for figures in validated.figures] == ["FR", "DE"]
    assert validated.as_of == as_of


@pytest.mark.parametrize(("population", "read"), [(0, 0), (2.0, 2), (2**31 - 1, 2**31 - 1)])
def test_population(population: object, read: int) -> None:
    """Whole numbers that GraphQL can carry are kept, as integers."""
    figures = validate_one(make_record(population=population))
    assert (figures.population, type(figures.population)) == (read, int)


@pytest.mark.parametrize(
    "population",
    [None, -1, 2**31, 1.5, "7", True, float("nan"), float("inf"), 10**400, [7]],
)
def test_no_population(population: object) -> None:
    """Without a whole number that GraphQL can carry the record is skipped."""
    assert skipped_reasons(make_record(population=population)) == [("a record", POPULATION)]


@pytest.mark.parametrize("code", [None, "", "  ", 7, ["FR"]])
def test_no_code(code: object) -> None:
    """Without a code the record is skipped."""
    assert skipped_reasons(make_record(code)) == [("a record", "it has no two-letter code")]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("AN", "AN"),
        ("xx", "XX"),
        ("FRA", "FRA"),
        ("F R", "F R"),
        ("ß", "ß"),
        ("ﬁ", "ﬁ"),
        ("F\u202e", "F�"),
        ("x" * 10_000, "X" * 79 + "…"),
    ],
)
def test_unknown_code(code: str, shown: str) -> None:
    """A code that is no country's is skipped, also one whose capitals would be."""
    assert skipped_reasons(make_record(code)) == [
        ("a record", f"{shown} is not a current ISO 3166-1 alpha-2 code")
    ]


def test_listed_twice() -> None:
    """The first record of a country counts, and a bad one is not its first."""
    raw = [make_record(population=-1), make_record(population=2), make_record("fr", population=3)]
    validated = validate_countries(RawCountries(countries=raw, as_of=None), REFERENCE)
    assert [(item.code, item.population) for item in validated.figures] == [("FR", 2)]
    assert [item.reason for item in validated.skipped] == [POPULATION, "FR was listed before"]


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("Netherlands Antilles", "Netherlands Antilles"),
        ("x" * 10_000, "x" * 79 + "…"),
        ("a\x00b", "a�b"),
        ("", "record 2"),
        (" \t ", "record 2"),
    ],
)
def test_label(label: str, shown: str) -> None:
    """A skipped record is named by its label, made safe, or by its place in the list."""
    assert skipped_reasons(make_record(None, label=label)) == [(shown, "it has no two-letter code")]


@pytest.mark.parametrize(
    ("raw", "count"),
    [([], 0), ([make_record(None), make_record("AN"), make_record(population=None)], 3)],
)
def test_nothing_to_keep(raw: list[RawCountry], count: int) -> None:
    """A list without a usable record is refused."""
    with pytest.raises(ProviderError) as exc_info:
        validate_countries(RawCountries(countries=raw, as_of=None), REFERENCE)
    assert str(exc_info.value) == f"none of its {count} records can be used"


@pytest.mark.parametrize("total", [None, 0, 1, -1])
def test_all_of_it(total: int | None) -> None:
    """A list that has as many records as the provider says, or more, is checked."""
    validated = validate_countries(
        RawCountries(countries=[VALID_RECORD], as_of=None, total=total), REFERENCE
    )
    assert len(validated.figures) == 1


@pytest.mark.parametrize(("total", "shown"), [(2, "2"), (10**400, "1" + "0" * 78 + "…")])
def test_less_than_all(total: int, shown: str) -> None:
    """A list with fewer records than the provider says that it has is refused."""
    with pytest.raises(ProviderError) as exc_info:
        validate_countries(
            RawCountries(countries=[VALID_RECORD], as_of=None, total=total), REFERENCE
        )
    assert str(exc_info.value) == f"it sent 1 of its {shown} records"


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers(-1, 2**31)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["FR", "fr", "DE", "\ud800", 10**400])
)
RECORDS = st.lists(
    st.builds(
        RawCountry,
        label=st.text(max_size=3),
        code=ANYTHING,
        capital=ANYTHING,
        population=ANYTHING,
        area_km2=ANYTHING,
        currencies=st.lists(ANYTHING, max_size=2),
    ),
    max_size=4,
)


@given(RECORDS)
def test_anything(raw: list[RawCountry]) -> None:
    """Whatever the records say, each is kept once or skipped with a reason."""
    validated = validate_countries(
        RawCountries(countries=[VALID_RECORD, *raw], as_of=None), REFERENCE
    )
    codes = [item.code for item in validated.figures]
    assert len(codes) + len(validated.skipped) == 1 + len(raw)
    assert len(set(codes)) == len(codes)
    assert [item for item in validated.skipped if not item.record or not item.reason] == []
