"""Sorting: one total order for any keys, absent values last, ties by name and then by code."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.sorting import SortKey, arrange, compare, position_of
from tests.domain.model import in_order, orders
from tests.rows import codes_of, make_country, make_snapshot, quick, tables

ABSENT = make_country("AQ", name="Zz", area_km2=None, capital=None)


def arranged(snapshot: Snapshot, *keys: SortKey) -> list[str]:
    """Return the codes of all rows in order."""
    places = arrange(keys, snapshot, range(len(snapshot.rows)))
    return codes_of(snapshot.rows[place] for place in places)


@pytest.mark.parametrize(
    ("descending", "codes"), [(False, ["CI", "FR", "DE", "AQ"]), (True, ["DE", "FR", "CI", "AQ"])]
)
@pytest.mark.parametrize("field", [CountryField.AREA_KM2, CountryField.CAPITAL])
def test_absent_values_are_last(field: CountryField, descending: bool, codes: list[str]) -> None:
    """Rows without a value come last in both directions, for numbers and for text."""
    snapshot = make_snapshot(
        [
            ABSENT,
            make_country("DE", area_km2=3.0, capital="Łódź"),
            make_country("CI", area_km2=0.0, capital="ábidjan"),
            make_country("FR", area_km2=2.0, capital="Berlin"),
        ]
    )
    assert arranged(snapshot, SortKey(field, descending)) == codes


@pytest.mark.parametrize("descending", [False, True])
def test_ties(descending: bool) -> None:
    """Equal rows, absent values included, fall to the folded name, then the code, upwards."""
    named = {"US": "aland", "FR": "Åland", "DE": "zz", "AX": "ÅLAND", "CI": "B"}
    for area in (1.0, None):
        snapshot = make_snapshot(make_country(c, name=n, area_km2=area) for c, n in named.items())
        tied = SortKey(CountryField.AREA_KM2, descending)
        assert arranged(snapshot, tied) == ["AX", "FR", "US", "CI", "DE"]


def test_keys_in_turn() -> None:
    """A later key decides only among rows that the earlier ones leave equal."""
    snapshot = make_snapshot(
        [
            make_country("AX", region="Europe", population=1),
            make_country("CI", region="africa", population=2),
            make_country("DE", region="EUROPE", population=3),
            make_country("ST", region="Africa", population=4),
            make_country("TO", region=None, population=5),
        ]
    )
    region, largest = SortKey(CountryField.REGION), SortKey(CountryField.POPULATION, True)
    assert arranged(snapshot, region, largest) == ["ST", "CI", "DE", "AX", "TO"]
    assert arranged(snapshot, largest, region) == ["TO", "ST", "DE", "CI", "AX"]
    assert arranged(snapshot) == ["AX", "CI", "DE", "ST", "TO"]


@quick
@given(rows=tables(), keys=orders())
def test_model(rows: list[Country], keys: tuple[SortKey, ...]) -> None:
    """Over any rows and keys, the order is that of the ranks of the values."""
    assert arranged(make_snapshot(rows), *keys) == codes_of(in_order(rows, keys))


@quick
@given(rows=tables(), keys=orders(), data=st.data())
def test_some_of_the_rows(
    rows: list[Country], keys: tuple[SortKey, ...], data: st.DataObject
) -> None:
    """Leaving rows out does not change the order of the others."""
    snapshot = make_snapshot(rows)
    kept = data.draw(st.sets(st.sampled_from(range(len(rows)))) if rows else st.just(set()))
    everything = arrange(keys, snapshot, range(len(rows)))
    assert arrange(keys, snapshot, sorted(kept)) == [place for place in everything if place in kept]


@quick
@given(rows=tables(), keys=orders())
def test_positions(rows: list[Country], keys: tuple[SortKey, ...]) -> None:
    """Positions compare as their rows are arranged, both ways round, and equal only themselves."""
    snapshot = make_snapshot(rows)
    places = arrange(keys, snapshot, range(len(rows)))
    positions = [position_of(place, keys, snapshot) for place in places]
    assert {compare(one, one, keys) for one in positions} <= {0}
    pairs = list(combinations(positions, 2))
    assert [compare(one, two, keys) for one, two in pairs] == [-1] * len(pairs)
    assert [compare(two, one, keys) for one, two in pairs] == [1] * len(pairs)
