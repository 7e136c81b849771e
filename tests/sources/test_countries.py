"""Checking countries: what of a provider's records is believed, and why the rest is not."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import Figures
from graphql_api.sources.countries import check
from graphql_api.sources.provider import RawCountries, RawCountry, Unusable
from graphql_api.sources.reference import load_reference

REFERENCE = load_reference()
POPULATION = "its population is not a whole number from 0 to 2147483647"


def record(code: object = "FR", population: object = 1, label: str = "a record") -> RawCountry:
    """Return a record that counts, unless told otherwise, and says no more than it must."""
    return RawCountry(
        label=label,
        code=code,
        capital=None,
        population=population,
        area_km2=None,
        currencies=(),
    )


GOOD = record("DE")


def kept(raw: RawCountry) -> Figures:
    """Return the figures that a record is kept as."""
    checked = check(RawCountries(countries=[raw], as_of=None), REFERENCE)
    assert checked.skipped == ()
    (figures,) = checked.figures
    return figures


def skipped(*raw: RawCountry) -> list[tuple[str, str]]:
    """Return the records that are skipped, with their reasons, beside one that is kept."""
    checked = check(RawCountries(countries=[GOOD, *raw], as_of=None), REFERENCE)
    assert [one.code for one in checked.figures] == ["DE"]
    return [(one.record, one.reason) for one in checked.skipped]


def test_whole_record() -> None:
    """A good record is kept with all it says, text stripped and currency in use."""
    raw = replace(
        record(" fr\n", 67), capital=" Paris ", area_km2=547030, currencies=[None, " VEF ", "EUR"]
    )
    assert kept(raw) == Figures(
        code="FR", capital="Paris", population=67, area_km2=547030.0, currency_code="VES"
    )


def test_bad_optional_values() -> None:
    """What is optional and bad is none, and the record is kept."""
    raw = replace(record(), capital="\x00", area_km2=-1.0, currencies=["euro"])
    assert kept(raw) == Figures(
        code="FR", capital=None, population=1, area_km2=None, currency_code=None
    )


def test_order_and_date() -> None:
    """Records are kept in the provider's order, under its date."""
    as_of = datetime(2026, 9, 29, tzinfo=UTC)
    checked = check(RawCountries(countries=[record("FR"), GOOD], as_of=as_of), REFERENCE)
    assert [one.code for one in checked.figures] == ["FR", "DE"]
    assert checked.as_of == as_of


@pytest.mark.parametrize(("population", "read"), [(0, 0), (2.0, 2), (2**31 - 1, 2**31 - 1)])
def test_population(population: object, read: int) -> None:
    """Whole numbers that GraphQL can carry are kept, as integers."""
    figures = kept(record(population=population))
    assert (figures.population, type(figures.population)) == (read, int)


@pytest.mark.parametrize(
    "population",
    [None, -1, 2**31, 1.5, "7", True, float("nan"), float("inf"), 10**400, [7]],
)
def test_no_population(population: object) -> None:
    """Without a whole number that GraphQL can carry the record is skipped."""
    assert skipped(record(population=population)) == [("a record", POPULATION)]


@pytest.mark.parametrize("code", [None, "", "  ", 7, ["FR"]])
def test_no_code(code: object) -> None:
    """Without a code the record is skipped."""
    assert skipped(record(code)) == [("a record", "it has no two-letter code")]


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
    assert skipped(record(code)) == [
        ("a record", f"{shown} is not a current ISO 3166-1 alpha-2 code")
    ]


def test_listed_twice() -> None:
    """The first record of a country counts, and a bad one is not its first."""
    raw = [record(population=-1), record(population=2), record("fr", population=3)]
    checked = check(RawCountries(countries=raw, as_of=None), REFERENCE)
    assert [(one.code, one.population) for one in checked.figures] == [("FR", 2)]
    assert [one.reason for one in checked.skipped] == [POPULATION, "FR was listed before"]


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
    assert skipped(record(None, label=label)) == [(shown, "it has no two-letter code")]


@pytest.mark.parametrize(
    ("raw", "count"), [([], 0), ([record(None), record("AN"), record(population=None)], 3)]
)
def test_nothing_to_keep(raw: list[RawCountry], count: int) -> None:
    """A list without a usable record is refused."""
    with pytest.raises(Unusable) as refused:
        check(RawCountries(countries=raw, as_of=None), REFERENCE)
    assert str(refused.value) == f"none of its {count} records can be used"


@pytest.mark.parametrize("total", [None, 0, 1, -1])
def test_all_of_it(total: int | None) -> None:
    """A list that has as many records as the provider says, or more, is checked."""
    checked = check(RawCountries(countries=[GOOD], as_of=None, total=total), REFERENCE)
    assert len(checked.figures) == 1


@pytest.mark.parametrize(("total", "shown"), [(2, "2"), (10**400, "1" + "0" * 78 + "…")])
def test_less_than_all(total: int, shown: str) -> None:
    """A list with fewer records than the provider says that it has is refused."""
    with pytest.raises(Unusable) as refused:
        check(RawCountries(countries=[GOOD], as_of=None, total=total), REFERENCE)
    assert str(refused.value) == f"it sent 1 of its {shown} records"


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
    checked = check(RawCountries(countries=[GOOD, *raw], as_of=None), REFERENCE)
    codes = [one.code for one in checked.figures]
    assert len(codes) + len(checked.skipped) == 1 + len(raw)
    assert len(set(codes)) == len(codes)
    assert [one for one in checked.skipped if not one.record or not one.reason] == []
