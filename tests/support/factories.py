"""Rows for tests: builders with defaults for every field, and strategies of hard cases."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from graphql_api.domain.country import Country, CountryIdentity, Reference
from graphql_api.domain.snapshot import Ranking, Snapshot, StatisticsYears, Summary

few_examples = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For property tests over rows: few examples of many rows, without a deadline."""

REFRESHED_AT = datetime(2026, 11, 23, 16, 26, 0, 123456, tzinfo=UTC)
AS_OF = datetime(2026, 11, 22, tzinfo=UTC)

CODES = ("AX", "CI", "CW", "DE", "FR", "GB", "ST", "TO", "TR", "US", "XK", "ZW")

HARD_TEXTS = (
    "Åland Islands",
    "ALAND ISLANDS",
    "Côte d’Ivoire",
    "cote d'ivoire",
    "Nukuʻalofa",
    "São Tomé",
    "Sa\u0303o Tome\u0301",
    "Türkiye",
    "Curaçao",
    "Straße",
    "STRASSE",
    "'; DROP TABLE countries; --",
    'a "quoted" \\ %s %_ <b>{0}</b>',
    "\u202eeciov fo noitceriD",
    "🇹🇷 emoji",
    "中文",
    "two\nlines\x00",
    "\u0301",
    "",
    "w" * 200,
)
"""Texts that differ in case or accents only, that are special elsewhere, or are empty."""

LOOKALIKES = (
    "ß",
    "ẞ",
    "ſs",
    "ßd",
    "ﬁ",
    "ﬁn",
    "ＦＩ",
    "ｆｉｎ",
    "fı",
    "Fİ",
    "FÍ",
    "F\u0131\u0301",
    "\u212ar",
    "\u00a0FI",
    "FI\u0301",
)
"""Texts that are no codes of South Sudan, Finland or Korea, though folding or a change of case makes them such."""

HARD_NUMBERS = (0.0, 5e-324, 0.1, 1.0, 1e22, 1.7976931348623157e308)


STATISTICS_FIELDS = (
    "population_year",
    "population_density",
    "gdp",
    "gdp_year",
    "gdp_per_capita",
    "gdp_ppp",
    "gdp_ppp_year",
    "statistics_population",
    "statistics_provider",
    "statistics_as_of",
)
"""Attributes of a row that are null without statistics; the density without an area."""


def make_country(code: str = "FR", **changes: Any) -> Country:  # noqa: ANN401 - what replace takes
    """Return a row of live providers with that code, with `changes`."""
    country = Country(
        code=code,
        alpha3=f"{code}A",
        name=f"Land {code}",
        capital=f"City {code}",
        region="Europe",
        subregion="Western Europe",
        population=1000,
        area_km2=50.5,
        currency_code="EUR",
        exchange_rate=0.5,
        estimated_gdp=3_000_000.0,
        flag_url=f"https://flags.example/{code.lower()}.svg",
        last_refreshed_at=REFRESHED_AT,
        revision=1,
        countries_provider="geonames",
        countries_as_of=AS_OF,
        rates_provider="er-api",
        rates_as_of=AS_OF,
        population_year=2024,
        population_density=1000 / 50.5,
        gdp=5_000_000.0,
        gdp_year=2023,
        gdp_per_capita=5000.0,
        gdp_ppp=6_000_000.0,
        gdp_ppp_year=2022,
        statistics_population=1000,
        statistics_provider="world-bank",
        statistics_as_of=AS_OF,
    )
    return replace(country, **changes)


def make_sparse_country(code: str = "AQ", **changes: Any) -> Country:  # noqa: ANN401 - what replace takes
    """Return a row with that code without region and figures, with `changes`."""
    absent = ("capital", "region", "subregion", "area_km2", "currency_code", "exchange_rate", "estimated_gdp")
    row = make_country(code, **dict.fromkeys((*absent, *STATISTICS_FIELDS)), population=0)
    return replace(row, **changes)


def make_identity(code: str = "FR", **changes: Any) -> CountryIdentity:  # noqa: ANN401 - what replace takes
    """Return the identity that matches `make_country` of the same code."""
    row = make_country(code)
    identity = CountryIdentity(
        code=code,
        alpha3=row.alpha3,
        name=row.name,
        region=row.region,
        subregion=row.subregion,
        flag_url=str(row.flag_url),
        aliases=(),
    )
    return replace(identity, **changes)


def make_reference(*identities: CountryIdentity) -> Reference:
    """Return the reference of these identities."""
    return {identity.code: identity for identity in identities}


def make_snapshot(rows: Iterable[Country] = (), reference: Reference | None = None) -> Snapshot:
    """Return the snapshot of `rows`, by default without aliases."""
    return Snapshot.from_rows(rows, reference or {})


def country_codes(rows: Iterable[Country]) -> list[str]:
    """Return the codes of `rows`, in order."""
    return [row.code for row in rows]


def texts() -> st.SearchStrategy[str]:
    """Draw mostly hard texts, so that they are often equal, and sometimes any text."""
    return st.sampled_from(HARD_TEXTS) | st.text(max_size=4)


def numbers() -> st.SearchStrategy[float]:
    """Draw numbers as validation accepts them: finite, from zero."""
    return st.sampled_from(HARD_NUMBERS) | st.floats(0, allow_infinity=False)


def instants() -> st.SearchStrategy[datetime]:
    """Draw instants that differ by microseconds, so that they are often equal."""
    return st.integers(0, 3).map(lambda steps: REFRESHED_AT + timedelta(microseconds=steps))


def countries(codes: Sequence[str] = CODES) -> st.SearchStrategy[Country]:
    """Draw a row with nulls, common values and hostile ones."""
    optional = st.none() | texts()
    return st.builds(
        make_country,
        st.sampled_from(codes),
        name=texts(),
        capital=optional,
        region=st.sampled_from(("Africa", "Europe", None)),
        subregion=optional,
        population=st.sampled_from((0, 1, 1000, 2**31 - 1)),
        area_km2=st.none() | numbers(),
        currency_code=st.sampled_from(("EUR", "USD", None)),
        exchange_rate=st.none() | numbers(),
        estimated_gdp=st.none() | numbers(),
        population_density=st.none() | numbers(),
        gdp=st.none() | numbers(),
        gdp_per_capita=st.none() | numbers(),
        gdp_ppp=st.none() | numbers(),
        last_refreshed_at=instants(),
        revision=st.integers(1, 3),
    )


def country_lists(codes: Sequence[str] = CODES, *, min_size: int = 0) -> st.SearchStrategy[list[Country]]:
    """Draw the rows of a table, each code at most once, in any order."""
    return st.lists(countries(codes), min_size=min_size, max_size=8, unique_by=lambda row: row.code)


EMPTY_SUMMARY = Summary(
    total_countries=0,
    top=(),
    ranking=Ranking.ESTIMATED_GDP,
    countries_source=None,
    rates_source=None,
    statistics_source=None,
    statistics_years=StatisticsYears(),
    refreshed_at=None,
)
"""The summary without rows."""
