"""Filters: every operator, the rules for null and spelling, and nesting."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.filters import AllOf, AnyOf, Condition, Filter, Not, Operand, Operator, find_rows, keep_rows
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader
from tests.support.factories import (
    REFRESHED_AT,
    country_codes,
    country_lists,
    few_examples,
    make_country,
    make_snapshot,
    make_sparse_country,
)
from tests.support.reference_model import filters, matches

LATER = REFRESHED_AT + timedelta(microseconds=1)

ABSENT = make_sparse_country("AQ", name="Antarctica", region="Europe")
SNAPSHOT = make_snapshot(
    [
        ABSENT,
        make_country("CI", name="Côte d’Ivoire", capital="Yamoussoukro", population=1000),
        make_country("ST", name="São Tomé & Príncipe", capital="São Tomé", population=2000),
        make_country("TO", name="Tonga", capital="Nukuʻalofa", area_km2=748.0, last_refreshed_at=LATER),
    ]
)
ALL_CODES = ["AQ", "CI", "ST", "TO"]


def select_codes(filter_: Filter, snapshot: Snapshot = SNAPSHOT) -> list[str]:
    """Return the codes of the rows that match."""
    row_indexes = find_rows(filter_, SnapshotReader(snapshot))
    return country_codes(snapshot.rows[row_index] for row_index in sorted(row_indexes))


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
        (Operator.NE, "Paris", ALL_CODES),
        (Operator.IN, frozenset({"NUKU`ALOFA", "Sao Tome", "Paris"}), ["ST", "TO"]),
        (Operator.IN, frozenset({"Paris"}), []),
        (Operator.IN, frozenset(), []),
        (Operator.NOT_IN, frozenset({"NUKU`ALOFA", "Sao Tome", "Paris"}), ["AQ", "CI"]),
        (Operator.NOT_IN, frozenset(), ALL_CODES),
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
    assert select_codes(Condition(CountryField.CAPITAL, operator, operand)) == codes


@pytest.mark.parametrize(
    ("operator", "operand", "codes"),
    [
        (Operator.EQ, 50.5, ["CI", "ST"]),
        (Operator.EQ, 748, ["TO"]),
        (Operator.NE, 50.5, ["AQ", "TO"]),
        (Operator.IN, frozenset({748, 1.0}), ["TO"]),
        (Operator.IN, frozenset(), []),
        (Operator.NOT_IN, frozenset({748, 1.0}), ["AQ", "CI", "ST"]),
        (Operator.NOT_IN, frozenset(), ALL_CODES),
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
    """Numbers are compared by value, and null is neither less nor greater than any."""
    assert select_codes(Condition(CountryField.AREA_KM2, operator, operand)) == codes


@pytest.mark.parametrize(
    ("operator", "codes"),
    [
        (Operator.EQ, ["TO"]),
        (Operator.NE, ["AQ", "CI", "ST"]),
        (Operator.GT, []),
        (Operator.GTE, ["TO"]),
        (Operator.LT, ["AQ", "CI", "ST"]),
        (Operator.LTE, ALL_CODES),
    ],
)
def test_instants(operator: Operator, codes: list[str]) -> None:
    """Instants are compared to the microsecond."""
    assert select_codes(Condition(CountryField.LAST_REFRESHED_AT, operator, LATER)) == codes


@pytest.mark.parametrize(
    ("filter_", "codes"),
    [
        (AllOf(()), ALL_CODES),
        (AnyOf(()), []),
        (Not(AllOf(())), []),
        (Not(AnyOf(())), ALL_CODES),
        (Not(Condition(CountryField.CAPITAL, Operator.EQ, "sao tome")), ["AQ", "CI", "TO"]),
        (Not(Condition(CountryField.AREA_KM2, Operator.GT, 0)), ["AQ"]),
        (Not(Condition(CountryField.CAPITAL, Operator.NE, "sao tome")), ["ST"]),
        (Not(Not(Condition(CountryField.AREA_KM2, Operator.LTE, 50.5))), ["CI", "ST"]),
    ],
)
def test_not_is_two_valued(filter_: Filter, codes: list[str]) -> None:
    """A row matches a filter or its negation, also with nulls and empty lists."""
    assert select_codes(filter_) == codes


def test_joined() -> None:
    """AllOf intersects its parts and AnyOf unites them, with each row once and in order."""
    tonga = Condition(CountryField.CODE, Operator.EQ, "to")
    europe = Condition(CountryField.REGION, Operator.EQ, "europe")
    has_o = Condition(CountryField.NAME, Operator.CONTAINS, "o")
    assert select_codes(AnyOf((tonga, has_o, europe))) == ALL_CODES
    assert select_codes(AllOf((europe, has_o, Not(tonga)))) == ["CI", "ST"]
    assert select_codes(AnyOf((tonga, AllOf((europe, Not(has_o)))))) == ["AQ", "TO"]
    assert select_codes(AllOf((has_o, AnyOf(())))) == []


def test_candidates() -> None:
    """Only candidates match, each once, in their order."""
    europe = Condition(CountryField.REGION, Operator.EQ, "europe")
    for filter_ in (europe, AllOf((europe,)), AnyOf((europe, europe)), Not(AnyOf(()))):
        assert list(keep_rows(filter_, SnapshotReader(SNAPSHOT), (3, 1, 2))) == [3, 1, 2]


@few_examples
@given(rows=country_lists(), filter_=filters())
def test_model(rows: list[Country], filter_: Filter) -> None:
    """For any rows and nesting, the matching rows are those of a row-by-row model."""
    snapshot = make_snapshot(rows)
    assert select_codes(filter_, snapshot) == country_codes(row for row in snapshot.rows if matches(row, filter_))


@few_examples
@given(rows=country_lists(), filter_=filters(), data=st.data())
def test_candidates_model(rows: list[Country], filter_: Filter, data: st.DataObject) -> None:
    """Filtering candidates equals filtering all rows and then keeping the candidates, in their order."""
    snapshot = make_snapshot(rows)
    candidates = data.draw(st.lists(st.sampled_from(range(len(rows))), unique=True) if rows else st.just([]))
    matching = find_rows(filter_, SnapshotReader(snapshot))
    assert list(keep_rows(filter_, SnapshotReader(snapshot), candidates)) == [
        row_index for row_index in candidates if row_index in matching
    ]
