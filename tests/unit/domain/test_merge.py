"""Merging: the rows of a refresh, how they differ from the stored ones, and the new snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import Country, CountryFigures, CountryStatistics
from graphql_api.domain.merge import MergeResult, SourceData, merge
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.snapshot import DataVersion, Snapshot
from tests.support.factories import (
    CODES,
    REFRESHED_AT,
    STATISTICS_FIELDS,
    country_codes,
    country_lists,
    few_examples,
    make_country,
    make_identity,
    make_reference,
    make_snapshot,
)

REFERENCE = make_reference(*(make_identity(code, aliases=(f"Old {code}",)) for code in CODES))
NOW = REFRESHED_AT + timedelta(hours=1)
FIGURES_FROM = Provenance(provider="mirror", as_of=datetime(2026, 11, 20, tzinfo=UTC))
RATES_FROM = Provenance(provider="frankfurter", as_of=None)
RATES = {"EUR": 0.5, "USD": 1.0}
REVISION = 9


def make_figures(code: str = "FR", **changes: Any) -> CountryFigures:  # noqa: ANN401 - what replace takes
    """Return the figures that `make_country` of the code was made from."""
    row = make_country(code)
    figures = {field.name: getattr(row, field.name) for field in fields(CountryFigures)}
    return CountryFigures(**figures | changes)


def merge_figures(
    figures: Sequence[CountryFigures], stored: Snapshot, rates: Mapping[str, float] | None = None
) -> MergeResult:
    """Merge figures, with two rates by default, into the stored rows."""
    source_data = SourceData(
        figures=figures, figures_from=FIGURES_FROM, rates=RATES if rates is None else rates, rates_from=RATES_FROM
    )
    return merge(source_data, stored, reference=REFERENCE, refreshed_at=NOW, revision=REVISION)


def merge_counts(result: MergeResult) -> tuple[int, int, int, tuple[str, ...]]:
    """Return inserted, updated, unchanged and missing, as in a report."""
    return result.inserted, result.updated, result.unchanged, result.missing


def make_stored_snapshot(**changes: Any) -> Snapshot:  # noqa: ANN401 - what replace takes
    """Return the row of `make_figures()`, as an earlier refresh stored it."""
    row = make_country("FR", estimated_gdp=3_806_000.0)
    return make_snapshot([replace(row, **changes)], REFERENCE)


def test_row() -> None:
    """A row has the reference's identity, the providers' figures, the estimate and provenance."""
    figures = make_figures("FR", capital="Évry", population=2000, area_km2=None)
    identity = make_identity("FR", name="France", alpha3="FRX", region=None, subregion="West")
    source_data = SourceData(figures=[figures], figures_from=FIGURES_FROM, rates=RATES, rates_from=RATES_FROM)
    result = merge(
        source_data, make_snapshot(), reference=make_reference(identity), refreshed_at=NOW, revision=REVISION
    )
    assert result.rows == (
        make_country(
            "FR",
            alpha3="FRX",
            name="France",
            capital="Évry",
            region=None,
            subregion="West",
            population=2000,
            area_km2=None,
            currency_code="EUR",
            exchange_rate=0.5,
            estimated_gdp=7_612_000.0,
            flag_url="https://flags.example/fr.svg",
            last_refreshed_at=NOW,
            revision=9,
            countries_provider="mirror",
            countries_as_of=datetime(2026, 11, 20, tzinfo=UTC),
            rates_provider="frankfurter",
            rates_as_of=None,
            **dict.fromkeys(STATISTICS_FIELDS),
        ),
    )


def make_statistics(code: str = "FR", **changes: Any) -> CountryStatistics:  # noqa: ANN401 - what replace takes
    """Return statistics of a country, all of them unlike those of `make_country`."""
    statistics = CountryStatistics(
        code=code, population=2000, population_year=2021, gdp=7000.0, gdp_year=2020, gdp_ppp=8000.0, gdp_ppp_year=2019
    )
    return replace(statistics, **changes)


STATISTICS_FROM = Provenance(provider="office", as_of=REFRESHED_AT)


def merge_statistics(
    statistics: Sequence[CountryStatistics], stored: Snapshot | None = None, *, is_new: bool = True
) -> Country:
    """Return the row of France from `make_figures` and these statistics."""
    source_data = SourceData(
        figures=[make_figures(area_km2=50.0)],
        figures_from=FIGURES_FROM,
        rates=RATES,
        rates_from=RATES_FROM,
        statistics=statistics,
        statistics_from=STATISTICS_FROM if is_new else None,
    )
    stored = stored or make_snapshot()
    (row,) = merge(source_data, stored, reference=REFERENCE, refreshed_at=NOW, revision=REVISION).rows
    return row


def test_row_with_statistics() -> None:
    """The population, all that is derived from it, and the GDPs are those of the statistics, with their years."""
    row = merge_statistics([make_statistics("US"), make_statistics()])
    assert {name: getattr(row, name) for name in ("population", "estimated_gdp", *STATISTICS_FIELDS)} == {
        "population": 2000,
        "estimated_gdp": 7_612_000.0,
        "population_year": 2021,
        "population_density": 40.0,
        "gdp": 7000.0,
        "gdp_year": 2020,
        "gdp_per_capita": 3.5,
        "gdp_ppp": 8000.0,
        "gdp_ppp_year": 2019,
        "statistics_population": 2000,
        "statistics_provider": "office",
        "statistics_as_of": REFRESHED_AT,
    }


def test_row_with_statistics_but_no_population() -> None:
    """Without a population in the statistics, that of the figures is used, with no year and no GDP per person."""
    row = merge_statistics([make_statistics(population=None, population_year=None)])
    assert (row.population, row.population_year, row.statistics_population) == (1000, None, None)
    assert (row.population_density, row.gdp, row.gdp_per_capita) == (20.0, 7000.0, None)
    assert (row.estimated_gdp, row.statistics_provider) == (3_806_000.0, "office")


def test_row_without_statistics() -> None:
    """A country that new statistics lack has none, even if it had some, and the population of the figures."""
    row = merge_statistics([make_statistics("US")], make_snapshot([make_country("FR")]))
    assert (row.population, row.population_density) == (1000, 20.0)
    assert {getattr(row, name) for name in STATISTICS_FIELDS if name != "population_density"} == {None}


@pytest.mark.parametrize(("area", "density"), [(None, None), (0.0, None), (5e-324, None), (1e300, 1000 / 1e300)])
def test_density(area: float | None, density: float | None) -> None:
    """The density is null without an area, and if it is not a finite number."""
    (row,) = merge_figures([make_figures(area_km2=area)], make_snapshot()).rows
    assert row.population_density == density


@pytest.mark.parametrize(
    ("gdp", "population", "per_capita"), [(7000.0, 0, None), (None, 2000, None), (0.0, 2000, 0.0), (1e308, 1, 1e308)]
)
def test_gdp_per_capita(gdp: float | None, population: int, per_capita: float | None) -> None:
    """The GDP per person is null without a GDP or without people."""
    assert merge_statistics([make_statistics(gdp=gdp, population=population)]).gdp_per_capita == per_capita


def test_stored_statistics_stay() -> None:
    """Without new statistics the stored ones stay, with years and provenance; the rest is new."""
    stored = merge_statistics([make_statistics()])
    row = merge_statistics([], make_snapshot([replace(stored, area_km2=1.0, exchange_rate=9.0)]), is_new=False)
    assert row == stored


def test_stored_gdp_stays_without_a_population() -> None:
    """A population that was not of the statistics does not stay with them."""
    stored = merge_statistics([make_statistics(population=None, population_year=None)])
    row = merge_statistics([], make_snapshot([replace(stored, population=5)]), is_new=False)
    assert (row.population, row.gdp, row.statistics_population) == (1000, 7000.0, None)


def test_no_statistics_at_all() -> None:
    """Without new and without stored statistics, every field of them is null: no year is made up."""
    stored = make_snapshot([make_country("FR", population=5, **dict.fromkeys(STATISTICS_FIELDS))])
    row = merge_statistics([], stored, is_new=False)
    assert (row.population, row.population_density) == (1000, 20.0)
    assert {getattr(row, name) for name in STATISTICS_FIELDS if name != "population_density"} == {None}


def test_new_date_of_statistics_is_no_change() -> None:
    """A row whose statistics only have another provider or date is unchanged."""
    stored = make_snapshot(
        [replace(merge_statistics([make_statistics()]), statistics_provider="other", statistics_as_of=None)]
    )
    source_data = SourceData(
        figures=[make_figures(area_km2=50.0)],
        figures_from=FIGURES_FROM,
        rates=RATES,
        rates_from=RATES_FROM,
        statistics=[make_statistics()],
        statistics_from=STATISTICS_FROM,
    )
    result = merge(source_data, stored, reference=REFERENCE, refreshed_at=NOW, revision=REVISION)
    assert merge_counts(result) == (0, 0, 1, ())
    assert (result.rows[0].statistics_provider, result.rows[0].statistics_as_of) == ("office", REFRESHED_AT)


@pytest.mark.parametrize("currency", [None, "XAF"])
def test_row_without_a_rate(currency: str | None) -> None:
    """Without a currency or its rate, a row has no estimate and no provenance of a rate."""
    source_data = SourceData(
        figures=[make_figures(currency_code=currency)], figures_from=FIGURES_FROM, rates=RATES, rates_from=FIGURES_FROM
    )
    (row,) = merge(source_data, make_snapshot(), reference=REFERENCE, refreshed_at=NOW, revision=REVISION).rows
    assert (row.currency_code, row.exchange_rate, row.estimated_gdp) == (currency, None, None)
    assert (row.rates_provider, row.rates_as_of) == (None, None)
    assert (row.countries_provider, row.countries_as_of) == ("mirror", FIGURES_FROM.as_of)


def test_order() -> None:
    """Rows are ordered by code, whatever the provider's order or the names."""
    result = merge_figures([make_figures(code) for code in ("US", "CI", "FR", "AX")], make_snapshot())
    assert country_codes(result.rows) == ["AX", "CI", "FR", "US"]


def test_revision() -> None:
    """Every written row has the new revision, which is in the snapshot's version too."""
    stored = make_snapshot([make_country("FR", revision=3), make_country("US", revision=7)])
    result = merge_figures([make_figures("FR"), make_figures("AX")], stored)
    assert [row.revision for row in result.rows] == [9, 9]
    assert result.snapshot.version == DataVersion(9, 3)


def test_unchanged() -> None:
    """A row with equal data is unchanged, although its date, revision and provider are new."""
    result = merge_figures([make_figures()], make_stored_snapshot())
    assert merge_counts(result) == (0, 0, 1, ())
    (row,) = result.rows
    assert (row.last_refreshed_at, row.revision) == (NOW, 9)
    assert (row.countries_provider, row.rates_provider) == ("mirror", "frankfurter")


@pytest.mark.parametrize(
    "changes",
    [
        {"alpha3": "XXX"},
        {"name": "Francia"},
        {"capital": None},
        {"capital": "CITY FR"},
        {"region": "Africa"},
        {"subregion": None},
        {"population": 1001},
        {"area_km2": 50.6},
        {"currency_code": "USD"},
        {"exchange_rate": 0.6},
        {"estimated_gdp": None},
        {"flag_url": None},
    ],
)
def test_updated(changes: dict[str, object]) -> None:
    """A row that differs in any field of data is updated as a whole."""
    result = merge_figures([make_figures()], make_stored_snapshot(**changes))
    assert merge_counts(result) == (0, 1, 0, ())
    assert result.rows == merge_figures([make_figures()], make_stored_snapshot()).rows


def test_missing() -> None:
    """A stored row that is not listed is reported as missing and not written."""
    germany = make_country("DE", countries_provider="old", revision=1)
    former = make_country("AN", name="A former land", revision=4)
    stored = make_snapshot([germany, *make_stored_snapshot().rows, former], REFERENCE)
    result = merge_figures([make_figures("FR"), make_figures("US")], stored)
    assert merge_counts(result) == (1, 0, 1, ("A former land", "Land DE"))
    assert country_codes(result.rows) == ["FR", "US"]
    assert result.snapshot.by_code["DE"] == germany
    assert result.snapshot.by_code["AN"] == former
    assert result.snapshot.version == DataVersion(9, 4)
    assert result.snapshot.by_name["oldde"] == germany


def test_nothing_listed() -> None:
    """Without listed countries nothing is written, and the stored rows are published."""
    stored = make_stored_snapshot()
    result = merge_figures([], stored)
    assert (result.rows, result.snapshot) == ((), stored)
    assert merge_counts(result) == (0, 0, 0, ("Land FR",))


def figure_lists() -> st.SearchStrategy[list[CountryFigures]]:
    """Draw figures with each code at most once, of few values, so that many stay equal."""
    strategy = st.builds(
        make_figures,
        st.sampled_from(CODES),
        capital=st.sampled_from(("Paris", None)),
        currency_code=st.sampled_from(("EUR", "USD", None)),
    )
    return st.lists(strategy, max_size=8, unique_by=lambda item: item.code)


def rate_tables() -> st.SearchStrategy[dict[str, float]]:
    """Draw rates of some of the currencies."""
    return st.dictionaries(st.sampled_from(("EUR", "USD")), st.sampled_from((0.5, 1.0)))


@few_examples
@given(first=figure_lists(), first_rates=rate_tables(), second=figure_lists(), second_rates=rate_tables())
def test_counts(
    first: list[CountryFigures],
    first_rates: dict[str, float],
    second: list[CountryFigures],
    second_rates: dict[str, float],
) -> None:
    """A second refresh counts exactly the new, changed, equal and unlisted countries."""
    before = {item.code: (item, first_rates.get(item.currency_code or "")) for item in first}
    after = {item.code: (item, second_rates.get(item.currency_code or "")) for item in second}
    stored = merge_figures(first, make_snapshot(), first_rates).snapshot
    same = [code for code in after if before.get(code) == after[code]]
    assert merge_counts(merge_figures(second, stored, second_rates)) == (
        len(after.keys() - before.keys()),
        len(after.keys() & before.keys()) - len(same),
        len(same),
        tuple(f"Land {code}" for code in sorted(before.keys() - after.keys())),
    )


@few_examples
@given(stored=country_lists(), listed=figure_lists(), data=st.data())
def test_published(stored: list[Country], listed: list[CountryFigures], data: st.DataObject) -> None:
    """The published snapshot equals one of the reloaded rows, in any order."""
    result = merge_figures(listed, make_snapshot(stored, REFERENCE))
    written_rows = {row.code: row for row in result.rows}
    reloaded = list(({row.code: row for row in stored} | written_rows).values())
    assert result.snapshot == make_snapshot(data.draw(st.permutations(reloaded)), REFERENCE)


@few_examples
@given(stored=country_lists(), listed=figure_lists(), data=st.data())
def test_order_of_the_list(stored: list[Country], listed: list[CountryFigures], data: st.DataObject) -> None:
    """The order of a provider's list makes no difference."""
    before = make_snapshot(stored, REFERENCE)
    assert merge_figures(data.draw(st.permutations(listed)), before) == merge_figures(listed, before)
