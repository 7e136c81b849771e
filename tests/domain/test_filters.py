"""Filters: every operator, the rules for absent values and spelling, and how filters nest."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.filters import (
    AllOf,
    AnyOf,
    Condition,
    Filter,
    Not,
    Operand,
    Operator,
    select,
)
from graphql_api.domain.snapshot import Snapshot
from tests.domain.model import filters, matches
from tests.rows import REFRESHED_AT, codes_of, make_country, make_snapshot, quick, tables

LATER = REFRESHED_AT + timedelta(microseconds=1)

ABSENT = make_country(
    "AQ",
    name="Antarctica",
    capital=None,
    subregion=None,
    population=0,
    area_km2=None,
    currency_code=None,
    exchange_rate=None,
    estimated_gdp=None,
)
FOUR = make_snapshot(
    [
        ABSENT,
        make_country("CI", name="Côte d’Ivoire", capital="Yamoussoukro", population=1000),
        make_country("ST", name="São Tomé & Príncipe", capital="São Tomé", population=2000),
        make_country(
            "TO", name="Tonga", capital="Nukuʻalofa", area_km2=748.0, last_refreshed_at=LATER
        ),
    ]
)
EVERY = ["AQ", "CI", "ST", "TO"]


def found(wanted: Filter, snapshot: Snapshot = FOUR) -> list[str]:
    """Return the codes of the rows that match."""
    places = select(wanted, snapshot, range(len(snapshot.rows)))
    return codes_of(snapshot.rows[place] for place in places)


@pytest.mark.parametrize(
    ("operator", "operand", "codes"),
    [
        (Operator.EQ, "são tomé", ["ST"]),
        (Operator.EQ, "SAO TOME", ["ST"]),
        (Operator.EQ, "Sa\u0303o Tome\u0301", ["ST"]),
        (Operator.EQ, "Nuku'alofa", ["TO"]),
        (Operator.EQ, "nuku’ALOFA", ["TO"]),
        (Operator.EQ, "São", []),
        (Operator.EQ, "", []),
        (Operator.NE, "sao tome", ["AQ", "CI", "TO"]),
        (Operator.NE, "Paris", EVERY),
        (Operator.IN, frozenset({"NUKU`ALOFA", "Sao Tome", "Paris"}), ["ST", "TO"]),
        (Operator.IN, frozenset({"Paris"}), []),
        (Operator.IN, frozenset(), []),
        (Operator.NOT_IN, frozenset({"NUKU`ALOFA", "Sao Tome", "Paris"}), ["AQ", "CI"]),
        (Operator.NOT_IN, frozenset(), EVERY),
        (Operator.CONTAINS, "O TÓ", ["ST"]),
        (Operator.CONTAINS, "o", ["CI", "ST", "TO"]),
        (Operator.CONTAINS, "'", ["TO"]),
        (Operator.CONTAINS, "", ["CI", "ST", "TO"]),
        (Operator.CONTAINS, "%", []),
        (Operator.STARTS_WITH, "SÃO", ["ST"]),
        (Operator.STARTS_WITH, "tome", []),
        (Operator.ENDS_WITH, "ALOFÁ", ["TO"]),
        (Operator.ENDS_WITH, "nuku", []),
        (Operator.IS_NULL, True, ["AQ"]),
        (Operator.IS_NULL, False, ["CI", "ST", "TO"]),
    ],
)
def test_text(operator: Operator, operand: Operand, codes: list[str]) -> None:
    """Text is compared without case, accents and kinds of apostrophe; nothing is a wildcard."""
    assert found(Condition(CountryField.CAPITAL, operator, operand)) == codes


@pytest.mark.parametrize(
    ("operator", "operand", "codes"),
    [
        (Operator.EQ, 50.5, ["CI", "ST"]),
        (Operator.EQ, 748, ["TO"]),
        (Operator.NE, 50.5, ["AQ", "TO"]),
        (Operator.IN, frozenset({748, 1.0}), ["TO"]),
        (Operator.IN, frozenset(), []),
        (Operator.NOT_IN, frozenset({748, 1.0}), ["AQ", "CI", "ST"]),
        (Operator.NOT_IN, frozenset(), EVERY),
        (Operator.GT, 50.5, ["TO"]),
        (Operator.GT, -1, ["CI", "ST", "TO"]),
        (Operator.GTE, 50.5, ["CI", "ST", "TO"]),
        (Operator.LT, 748.0, ["CI", "ST"]),
        (Operator.LT, 1e308, ["CI", "ST", "TO"]),
        (Operator.LTE, 748.0, ["CI", "ST", "TO"]),
        (Operator.IS_NULL, True, ["AQ"]),
        (Operator.IS_NULL, False, ["CI", "ST", "TO"]),
    ],
)
def test_numbers(operator: Operator, operand: Operand, codes: list[str]) -> None:
    """Numbers are compared by value; an absent one is neither less nor greater than any."""
    assert found(Condition(CountryField.AREA_KM2, operator, operand)) == codes


@pytest.mark.parametrize(
    ("operator", "codes"),
    [
        (Operator.EQ, ["TO"]),
        (Operator.NE, ["AQ", "CI", "ST"]),
        (Operator.GT, []),
        (Operator.GTE, ["TO"]),
        (Operator.LT, ["AQ", "CI", "ST"]),
        (Operator.LTE, EVERY),
    ],
)
def test_instants(operator: Operator, codes: list[str]) -> None:
    """Instants are compared to the microsecond."""
    assert found(Condition(CountryField.LAST_REFRESHED_AT, operator, LATER)) == codes


@pytest.mark.parametrize(
    ("wanted", "codes"),
    [
        (AllOf(()), EVERY),
        (AnyOf(()), []),
        (Not(AllOf(())), []),
        (Not(AnyOf(())), EVERY),
        (Not(Condition(CountryField.CAPITAL, Operator.EQ, "sao tome")), ["AQ", "CI", "TO"]),
        (Not(Condition(CountryField.AREA_KM2, Operator.GT, 0)), ["AQ"]),
        (Not(Condition(CountryField.CAPITAL, Operator.NE, "sao tome")), ["ST"]),
        (Not(Not(Condition(CountryField.AREA_KM2, Operator.LTE, 50.5))), ["CI", "ST"]),
    ],
)
def test_not_is_two_valued(wanted: Filter, codes: list[str]) -> None:
    """What does not match, matches its negation, absent values and empty lists included."""
    assert found(wanted) == codes


def test_joined() -> None:
    """All of the parts narrow one another, any of them add up, each row once and in order."""
    tonga = Condition(CountryField.CODE, Operator.EQ, "to")
    europe = Condition(CountryField.REGION, Operator.EQ, "europe")
    o = Condition(CountryField.NAME, Operator.CONTAINS, "o")
    assert found(AnyOf((tonga, o, europe))) == EVERY
    assert found(AllOf((europe, o, Not(tonga)))) == ["CI", "ST"]
    assert found(AnyOf((tonga, AllOf((europe, Not(o)))))) == ["AQ", "TO"]
    assert found(AllOf((o, AnyOf(())))) == []


def test_candidates() -> None:
    """Only the candidates are looked at, and they keep their order."""
    europe = Condition(CountryField.REGION, Operator.EQ, "europe")
    for wanted in (europe, AllOf((europe,)), AnyOf((europe, europe)), Not(AnyOf(()))):
        assert list(select(wanted, FOUR, (3, 1, 2))) == [3, 1, 2]


@quick
@given(rows=tables(), wanted=filters())
def test_model(rows: list[Country], wanted: Filter) -> None:
    """Over any rows and any nesting, exactly the rows match that a row-by-row reading says."""
    snapshot = make_snapshot(rows)
    assert found(wanted, snapshot) == codes_of(row for row in snapshot.rows if matches(row, wanted))


@quick
@given(rows=tables(), wanted=filters(), data=st.data())
def test_candidates_model(rows: list[Country], wanted: Filter, data: st.DataObject) -> None:
    """Selecting among candidates is selecting among all, less those that are no candidates."""
    snapshot = make_snapshot(rows)
    everything = range(len(rows))
    candidates = data.draw(
        st.lists(st.sampled_from(everything), unique=True) if rows else st.just([])
    )
    matching = select(wanted, snapshot, everything)
    assert list(select(wanted, snapshot, candidates)) == [
        place for place in candidates if place in matching
    ]
