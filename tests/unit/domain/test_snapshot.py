"""The snapshot: independent of the order of rows, indexed, dated and versioned."""

from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import FIELDS, Country, CountryField, FieldKind
from graphql_api.domain.folding import fold_name
from graphql_api.domain.snapshot import DataVersion
from tests.support.factories import (
    REFRESHED_AT,
    country_codes,
    country_lists,
    few_examples,
    make_country,
    make_identity,
    make_reference,
    make_snapshot,
    make_sparse_country,
    texts,
)

DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
EMPTY = make_snapshot()
IVORY_COAST = make_country("CI", name="Côte d’Ivoire")
SNAPSHOT = make_snapshot(
    [IVORY_COAST, make_country("DE")], make_reference(make_identity("CI", aliases=("Ivory Coast",)))
)


def test_empty() -> None:
    """An empty snapshot has a version, no date, no live data, and nothing to find."""
    assert EMPTY.rows == ()
    assert EMPTY.version == DataVersion(0, 0)
    assert EMPTY.columns == dict.fromkeys(CountryField, ())
    assert EMPTY.by_code == {}
    assert EMPTY.by_name == {}
    assert EMPTY.last_refreshed_at is None
    assert not EMPTY.has_live_figures
    assert not EMPTY.has_live_rates


def test_order() -> None:
    """Rows are ordered by folded name, then code."""
    named = {"US": "aland", "FR": "Åland", "DE": "zz", "AX": "ÅLAND", "CI": "B"}
    snapshot = make_snapshot(make_country(code, name=name) for code, name in named.items())
    assert country_codes(snapshot.rows) == ["AX", "FR", "US", "CI", "DE"]


def test_version() -> None:
    """The version is the highest revision and the number of rows, also as text."""
    rows = [make_country("FR", revision=7), make_country("DE", revision=9), make_country("US")]
    assert make_snapshot(rows).version == DataVersion(9, 3)
    assert str(DataVersion(9, 3)) == "9-3"
    assert str(EMPTY.version) == "0-0"


def test_version_changes_with_a_deletion() -> None:
    """A snapshot without one of its rows has another version."""
    rows = [make_country("FR", revision=7), make_country("DE", revision=9)]
    assert make_snapshot(rows[:1]).version == DataVersion(7, 1)
    assert make_snapshot(rows[1:]).version == DataVersion(9, 1)


@few_examples
@given(revision=st.integers(0, 10**10 - 1), count=st.integers(0, 10**10 - 1))
def test_version_reads_back(revision: int, count: int) -> None:
    """A version is parsed from its text."""
    assert DataVersion.parse(str(DataVersion(revision, count))) == DataVersion(revision, count)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "7",
        "7-",
        "-7",
        "7-2-1",
        "07-2",
        "7-02",
        "+7-2",
        " 7-2",
        "7-2\n",
        "7_0-2",
        "٧-2",
        "a-b",
        "12345678901-2",
        "7-12345678901",
    ],
)
def test_not_a_version(text: str) -> None:
    """A version has one spelling: signs, spaces, leading zeros and other digits are rejected."""
    with pytest.raises(ValueError, match=r"^not a version$"):
        DataVersion.parse(text)


def test_columns() -> None:
    """Columns hold folded text, unchanged numbers and instants, and None for null."""
    france = make_country("FR", name="FRANCE", capital="Évry", subregion=None, area_km2=None)
    columns = make_snapshot([make_country("US", name="U.S."), france]).columns
    expected = {
        CountryField.CODE: "fr",
        CountryField.ALPHA3: "fra",
        CountryField.NAME: "france",
        CountryField.CAPITAL: "evry",
        CountryField.REGION: "europe",
        CountryField.SUBREGION: None,
        CountryField.POPULATION: 1000,
        CountryField.AREA_KM2: None,
        CountryField.CURRENCY_CODE: "eur",
        CountryField.EXCHANGE_RATE: 0.5,
        CountryField.ESTIMATED_GDP: 3_000_000.0,
        CountryField.LAST_REFRESHED_AT: REFRESHED_AT,
    }
    assert list(columns) == list(CountryField)
    assert {field: columns[field][0] for field in expected} == expected
    assert columns[CountryField.CODE] == ("fr", "us")


def test_by_code() -> None:
    """A row is indexed by its own codes, and by those of the reference that are no row's own."""
    france, germany = make_country("FR"), make_country("DE", alpha3="DEU")
    assert make_snapshot([france, germany]).by_code == {"FR": france, "FRA": france, "DE": germany, "DEU": germany}
    reference = make_reference(
        make_identity("FR", numeric_code="250", other_codes=("FX", "DE", "DEU")),
        make_identity("DE", numeric_code=None, other_codes=()),
        make_identity("GB", numeric_code="826", other_codes=("UK",)),
    )
    assert make_snapshot([france, germany], reference).by_code == {
        "FR": france,
        "FRA": france,
        "DE": germany,
        "DEU": germany,
        "250": france,
        "FX": france,
    }


def test_by_name() -> None:
    """A row is indexed by its name and by each alias, as a look-up compares them."""
    ivory_coast = make_country("CI", name="Côte d’Ivoire")
    reference = make_reference(
        make_identity("CI", aliases=("Ivory Coast", "République de Côte d'Ivoire")),
        make_identity("FR", aliases=("Gaul",)),
    )
    assert make_snapshot([ivory_coast, make_country("DE")], reference).by_name == {
        "cotedivoire": ivory_coast,
        "ivorycoast": ivory_coast,
        "republiquedecotedivoire": ivory_coast,
        "landde": make_country("DE"),
    }


@pytest.mark.parametrize(("first", "second"), [("AX", "ZW"), ("ZW", "AX")])
def test_own_name_wins_over_an_alias(first: str, second: str) -> None:
    """A name that is also another country's alias finds the country with the name."""
    bearer, claimant = make_country(first, name="Congó"), make_country(second, name="Middle")
    reference = make_reference(make_identity(second, aliases=("CONGO",)), make_identity(first))
    assert make_snapshot([bearer, claimant], reference).by_name == {"congo": bearer, "middle": claimant}
    assert make_snapshot([claimant], reference).by_name == {"congo": claimant, "middle": claimant}


@few_examples
@given(rows=country_lists(), aliases=st.lists(texts(), max_size=3), data=st.data())
def test_order_of_arrival(rows: list[Country], aliases: list[str], data: st.DataObject) -> None:
    """The same rows in any order make the same snapshot, with the same indexes and summary."""
    reference = make_reference(*(make_identity(row.code, aliases=tuple(aliases)) for row in rows))
    shuffled = make_snapshot(data.draw(st.permutations(rows)), reference)
    assert shuffled == make_snapshot(rows, reference)
    assert shuffled.summarize() == make_snapshot(rows, reference).summarize()


@few_examples
@given(rows=country_lists())
def test_everyone_is_found(rows: list[Country]) -> None:
    """Every row is found by its code, and by its name unless another row has it too."""
    snapshot = make_snapshot(rows)
    assert [snapshot.by_code[row.code] for row in rows] == rows
    assert {key: fold_name(row.name) for key, row in snapshot.by_name.items()} == {
        fold_name(row.name): fold_name(row.name) for row in rows
    }


def test_last_refreshed_at() -> None:
    """The date of the data is that of the newest row."""
    older, newer = REFRESHED_AT - DAY, REFRESHED_AT
    rows = [
        make_country("DE", last_refreshed_at=older),
        make_country("FR", last_refreshed_at=newer),
        make_country("US", last_refreshed_at=older),
    ]
    assert make_snapshot(rows).last_refreshed_at == newer


@pytest.mark.parametrize(
    ("figures", "rates", "live"),
    [
        (("geonames", "geonames"), ("er-api", "er-api"), (True, True)),
        (("geonames", "bundled"), ("bundled", "er-api"), (True, True)),
        (("bundled", "bundled"), ("er-api", "er-api"), (False, True)),
        (("geonames", "geonames"), ("bundled", "bundled"), (True, False)),
        (("geonames", "geonames"), ("bundled", None), (True, False)),
        (("geonames", "geonames"), (None, None), (True, False)),
        (("geonames", "geonames"), (None, "er-api"), (True, True)),
        (("bundled", "bundled"), ("bundled", "bundled"), (False, False)),
    ],
)
def test_live_data(figures: tuple[str, str], rates: tuple[str | None, str | None], live: tuple[bool, bool]) -> None:
    """Each kind is live if any row has it from a live provider, and fresh data needs both."""
    rows = (
        make_country(code, countries_provider=figures_provider, rates_provider=rates_provider)
        for code, figures_provider, rates_provider in zip(("DE", "FR"), figures, rates, strict=True)
    )
    snapshot = make_snapshot(rows)
    assert (snapshot.has_live_figures, snapshot.has_live_rates) == live
    assert snapshot.is_stale(now=REFRESHED_AT, stale_after=DAY) is (live != (True, True))


@pytest.mark.parametrize(
    ("now", "stale"),
    [
        (REFRESHED_AT, False),
        (REFRESHED_AT + DAY, False),
        (REFRESHED_AT + DAY + MICROSECOND, True),
        (REFRESHED_AT - DAY, False),
    ],
)
def test_stale_with_age(now: datetime, stale: bool) -> None:
    """Live data is stale once its newest row is older than the limit."""
    old = make_country("DE", last_refreshed_at=REFRESHED_AT - 9 * DAY)
    snapshot = make_snapshot([old, make_country("FR")])
    assert snapshot.is_stale(now=now, stale_after=DAY) is stale


def test_stale_without_rows() -> None:
    """No data is stale data."""
    assert EMPTY.is_stale(now=REFRESHED_AT, stale_after=DAY) is True


def test_snapshots_do_not_change() -> None:
    """A snapshot is immutable, as running queries share it."""
    snapshot = make_snapshot([make_country("FR")])
    with pytest.raises(FrozenInstanceError):
        snapshot.rows = ()  # type: ignore[misc]  # the refusal is what is tested
    assert country_codes(snapshot.rows) == ["FR"]


def test_digest_of_equal_rows() -> None:
    """Equal rows have one digest, whatever their order and the types that a parser or a database gave their values."""
    row = make_country("FR", area_km2=50.0)
    paris = timezone(timedelta(hours=1))
    same = replace(row, area_km2=50, last_refreshed_at=row.last_refreshed_at.astimezone(paris))
    assert same == row
    snapshots = [make_snapshot([row, make_country("TR")]), make_snapshot([make_country("TR"), same])]
    assert snapshots[0].digest == snapshots[1].digest


@pytest.mark.parametrize("name", FIELDS)
def test_digest_of_other_rows(name: str) -> None:
    """Every field changes the digest, from null too."""
    values: dict[FieldKind, Any] = {
        FieldKind.TEXT: "other",
        FieldKind.INT: 12_345,
        FieldKind.FLOAT: 0.25,
        FieldKind.INSTANT: REFRESHED_AT + MICROSECOND,
    }
    rows = [make_country("FR"), make_sparse_country("FR")]
    digests = [make_snapshot([row]).digest for row in rows]
    digests += [make_snapshot([replace(row, **{name: values[FIELDS[name].kind]})]).digest for row in rows]
    assert len(set(digests)) == 4
