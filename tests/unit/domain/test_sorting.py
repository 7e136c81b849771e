"""Sorting: a total order for any keys, nulls last, ties by name and then by code."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.derived_cache import DerivedCache
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import SortKey, compare, drop_repeated, sort_rows, sort_values
from tests.support.factories import country_codes, country_lists, few_examples, make_country, make_snapshot
from tests.support.reference_model import sort_by_rank, sort_keys

ABSENT = make_country("AQ", name="Zz", area_km2=None, capital=None)


def sorted_codes(snapshot: Snapshot, *keys: SortKey) -> list[str]:
    """Return the codes of all rows in order."""
    row_indexes = sort_rows(keys, SnapshotReader(snapshot), range(len(snapshot.rows)))
    return country_codes(snapshot.rows[row_index] for row_index in row_indexes)


@pytest.mark.parametrize(("descending", "codes"), [(False, ["CI", "FR", "DE", "AQ"]), (True, ["DE", "FR", "CI", "AQ"])])
@pytest.mark.parametrize("field", [CountryField.AREA_KM2, CountryField.CAPITAL])
def test_absent_values_are_last(field: CountryField, descending: bool, codes: list[str]) -> None:
    """Nulls come last in both directions, for numbers and for text."""
    snapshot = make_snapshot(
        [
            ABSENT,
            make_country("DE", area_km2=3.0, capital="Łódź"),
            make_country("CI", area_km2=0.0, capital="ábidjan"),
            make_country("FR", area_km2=2.0, capital="Berlin"),
        ]
    )
    assert sorted_codes(snapshot, SortKey(field, descending)) == codes


@pytest.mark.parametrize("descending", [False, True])
def test_ties(descending: bool) -> None:
    """Ties, also of nulls, are broken by folded name, then code, ascending."""
    named = {"US": "aland", "FR": "Åland", "DE": "zz", "AX": "ÅLAND", "CI": "B"}
    for area in (1.0, None):
        snapshot = make_snapshot(make_country(c, name=n, area_km2=area) for c, n in named.items())
        sort_key = SortKey(CountryField.AREA_KM2, descending)
        assert sorted_codes(snapshot, sort_key) == ["AX", "FR", "US", "CI", "DE"]


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
    assert sorted_codes(snapshot, region, largest) == ["ST", "CI", "DE", "AX", "TO"]
    assert sorted_codes(snapshot, largest, region) == ["TO", "ST", "DE", "CI", "AX"]
    assert sorted_codes(snapshot) == ["AX", "CI", "DE", "ST", "TO"]


@few_examples
@given(rows=country_lists(), keys=sort_keys())
def test_model(rows: list[Country], keys: tuple[SortKey, ...]) -> None:
    """For any rows and keys, the order is that of the ranks of the values."""
    assert sorted_codes(make_snapshot(rows), *keys) == country_codes(sort_by_rank(rows, keys))


@few_examples
@given(rows=country_lists(), keys=sort_keys(), data=st.data())
def test_some_of_the_rows(rows: list[Country], keys: tuple[SortKey, ...], data: st.DataObject) -> None:
    """Leaving rows out does not change the order of the others."""
    snapshot = make_snapshot(rows)
    subset = data.draw(st.sets(st.sampled_from(range(len(rows)))) if rows else st.just(set()))
    all_indexes = sort_rows(keys, SnapshotReader(snapshot), range(len(rows)))
    assert list(sort_rows(keys, SnapshotReader(snapshot), subset)) == [
        row_index for row_index in all_indexes if row_index in subset
    ]


@few_examples
@given(rows=country_lists(), keys=sort_keys())
def test_positions(rows: list[Country], keys: tuple[SortKey, ...]) -> None:
    """Positions compare in the order of their rows, and equal only themselves."""
    snapshot = make_snapshot(rows)
    row_indexes = sort_rows(keys, SnapshotReader(snapshot), range(len(rows)))
    positions = [sort_values(row_index, keys, snapshot) for row_index in row_indexes]
    assert {compare(first, first, keys) for first in positions} <= {0}
    pairs = list(combinations(positions, 2))
    assert [compare(first, second, keys) for first, second in pairs] == [-1] * len(pairs)
    assert [compare(second, first, keys) for first, second in pairs] == [1] * len(pairs)


@few_examples
@given(rows=country_lists(), keys=sort_keys(), repeated=sort_keys())
def test_repeated_keys(rows: list[Country], keys: tuple[SortKey, ...], repeated: tuple[SortKey, ...]) -> None:
    """Another key of a field that was sorted by decides nothing, whatever its direction, and is dropped."""
    reader = SnapshotReader(make_snapshot(rows))
    all_keys = (*keys, *repeated, *keys)
    first_keys = drop_repeated(all_keys)
    assert len({key.field for key in all_keys}) == len(first_keys)
    assert [next(key for key in all_keys if key.field is first.field) for first in first_keys] == list(first_keys)
    assert sort_rows(first_keys, reader, range(len(rows))) == sort_rows(all_keys, reader, range(len(rows)))


def test_orders_are_bounded() -> None:
    """Orders count into the bound of bytes of what is derived from a snapshot; the least recently used is dropped."""
    rows = [make_country(f"{index}", alpha3=f"x{index}", population=index) for index in range(1000)]
    snapshot = replace(make_snapshot(rows), derived=DerivedCache(40_000))
    reader = SnapshotReader(snapshot)
    fields = (CountryField.POPULATION, CountryField.AREA_KM2, CountryField.NAME)
    by_population, by_area, by_name = ((SortKey(field),) for field in fields)
    first = sort_rows(by_population, reader, range(1000))
    sort_rows(by_area, reader, range(1000))
    assert sort_rows(by_population, reader, range(1000)) is first
    assert snapshot.derived.size == 2 * ((4 + 8 + 4) * 1000 + 1000)
    sort_rows(by_name, reader, range(1000))
    assert snapshot.derived.size == 2 * ((4 + 8 + 4) * 1000 + 1000)
    assert sort_rows(by_population, reader, range(1000)) is first
