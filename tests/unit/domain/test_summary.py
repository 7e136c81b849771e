"""The contents of the summary image: top five, most common providers, date."""

from datetime import timedelta

import pytest
from hypothesis import given

from graphql_api.domain.country import Country
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.snapshot import Ranking, StatisticsYears, Summary, TopCountry
from tests.support.factories import (
    AS_OF,
    EMPTY_SUMMARY,
    REFRESHED_AT,
    country_lists,
    few_examples,
    make_country,
    make_snapshot,
)

DAY = timedelta(days=1)


def test_empty() -> None:
    """Without rows the summary is zero or None."""
    assert make_snapshot().summarize() == EMPTY_SUMMARY


def test_whole() -> None:
    """The summary of a few rows has every value, and no country without a GDP in the top."""
    rows = [
        make_country("DE", gdp=None, gdp_year=None, last_refreshed_at=REFRESHED_AT - DAY),
        make_country("FR", gdp=0.0, gdp_year=None),
        make_country("US", gdp=2.5, gdp_year=2011),
    ]
    assert make_snapshot(rows).summarize() == Summary(
        total_countries=3,
        top=(TopCountry(name="Land US", amount=2.5, year=2011), TopCountry(name="Land FR", amount=0.0)),
        ranking=Ranking.GDP,
        countries_source=Provenance(provider="geonames", as_of=AS_OF),
        rates_source=Provenance(provider="er-api", as_of=AS_OF),
        statistics_source=Provenance(provider="world-bank", as_of=AS_OF),
        statistics_years=StatisticsYears(population=2024, gdp=2011),
        refreshed_at=REFRESHED_AT,
    )


@pytest.mark.parametrize("ranking", list(Ranking))
def test_estimates_without_gdp(ranking: Ranking) -> None:
    """Without any GDP the estimates are ranked, for either ranking, and have no year."""
    rows = [make_country(code, gdp=None, gdp_year=2024, estimated_gdp=2.0) for code in ("FR", "US")]
    summary = make_snapshot(rows).summarize(ranking)
    assert summary.ranking is Ranking.ESTIMATED_GDP
    assert summary.top == (TopCountry(name="Land FR", amount=2.0), TopCountry(name="Land US", amount=2.0))


def test_estimates_beside_gdp() -> None:
    """The estimates are ranked on request although there are GDPs."""
    rows = [make_country("FR", gdp=9.0, estimated_gdp=None), make_country("US", gdp=None, estimated_gdp=2.0)]
    summary = make_snapshot(rows).summarize(Ranking.ESTIMATED_GDP)
    assert (summary.ranking, summary.top) == (Ranking.ESTIMATED_GDP, (TopCountry(name="Land US", amount=2.0),))


def test_years() -> None:
    """The years are the most common ones of the most common source, the latest of several."""
    rows = [
        make_country("AX", population_year=2024, gdp_year=2011),
        make_country("CI", population_year=2024, gdp_year=2023),
        make_country("DE", population_year=2020, gdp_year=None),
        make_country("FR", population_year=1999, gdp_year=1999, statistics_provider="bundled"),
    ]
    assert make_snapshot(rows).summarize().statistics_years == StatisticsYears(population=2024, gdp=2023)


def test_top_five() -> None:
    """The top has the five largest estimates, largest first, and equal ones in order of name."""
    estimates = {"AX": 3.0, "CI": 9.0, "DE": 3.0, "FR": 4.0, "GB": 3.0, "ST": 1.0, "US": 3.0}
    rows = [make_country(code, estimated_gdp=estimates[code]) for code in reversed(estimates)]
    assert [country.name for country in make_snapshot(rows).summarize(Ranking.ESTIMATED_GDP).top] == [
        "Land CI",
        "Land FR",
        "Land AX",
        "Land DE",
        "Land GB",
    ]


def test_commonest_source() -> None:
    """Each source is the provenance of most rows, without rows that have no rate."""
    rows = [
        make_country("AX", countries_provider="bundled", rates_provider=None, rates_as_of=None),
        make_country("CI", countries_as_of=None, rates_provider=None, rates_as_of=None),
        make_country("DE", countries_as_of=None, rates_provider=None, rates_as_of=None),
        make_country("FR", rates_provider="bundled", rates_as_of=AS_OF - DAY),
    ]
    summary = make_snapshot(rows).summarize()
    assert summary.countries_source == Provenance(provider="geonames", as_of=None)
    assert summary.rates_source == Provenance(provider="bundled", as_of=AS_OF - DAY)


def test_no_rates() -> None:
    """Without any rate there is no source of rates."""
    rows = [make_country("FR", rates_provider=None, rates_as_of=None)]
    assert make_snapshot(rows).summarize().rates_source is None


def test_equally_common_sources() -> None:
    """Of equally common sources the first in order of name is chosen, on every replica."""
    rows = [make_country("DE", countries_provider="second"), make_country("AX", countries_provider="first")]
    expected = Provenance(provider="first", as_of=AS_OF)
    assert make_snapshot(rows).summarize().countries_source == expected
    assert make_snapshot(rows[::-1]).summarize().countries_source == expected


@few_examples
@given(rows=country_lists())
def test_equal_rows_make_one_key(rows: list[Country]) -> None:
    """Equal summaries hash equally, as the image cache needs, and none has more than five bars."""
    first, second = make_snapshot(rows).summarize(), make_snapshot(rows).summarize()
    assert {first: "picture"}[second] == "picture"
    gdps = [row.gdp for row in rows if row.gdp is not None]
    amounts = gdps or [row.estimated_gdp for row in rows if row.estimated_gdp is not None]
    assert [bar.amount for bar in first.top] == sorted(amounts, reverse=True)[:5]
