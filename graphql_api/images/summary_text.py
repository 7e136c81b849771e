"""The words of the summary image, and its alt text."""

from collections.abc import Iterator
from datetime import datetime

from graphql_api.domain.provenance import Provenance
from graphql_api.domain.report import SourceKind
from graphql_api.domain.snapshot import Ranking, StatisticsYears, Summary, TopCountry
from graphql_api.sources.registry import PROVIDERS
from graphql_api.utils.formatting import format_date, format_datetime, format_usd, to_plain_line

TITLES = {Ranking.GDP: "Highest GDP", Ranking.ESTIMATED_GDP: "Highest demo GDP estimate"}
DISCLAIMERS = {
    Ranking.GDP: "From national accounts, in current US dollars",
    Ranking.ESTIMATED_GDP: "Derived from population and exchange rate, not a statistic",
}
EMPTY_TITLE = "No estimates yet"
EMPTY_HINT = "An estimate needs a population and an exchange rate"


def describe(summary: Summary) -> str:
    """Return the alt text: what the image shows, in sentences."""
    ranking = ", ".join(f"{to_plain_line(top.name)} {format_amount(top)}" for top in summary.top)
    sentences = (
        f"{summary.total_countries:,} {country_noun(summary)}",
        f"{TITLES[summary.ranking]}: {ranking}" if summary.top else EMPTY_TITLE,
        DISCLAIMERS[summary.ranking] if summary.top else EMPTY_HINT,
        *(attribution + as_of for attribution, as_of in format_attributions(summary)),
        format_refreshed_at(summary.refreshed_at),
    )
    return ". ".join(sentences) + "."


def country_noun(summary: Summary) -> str:
    """Return the noun after the number of countries."""
    return "country" if summary.total_countries == 1 else "countries"


def format_amount(country: TopCountry) -> str:
    """Return the amount in compact form, with its year if that is known."""
    year = f" ({country.year})" if country.year else ""
    return format_usd(country.amount) + year


def format_years(years: StatisticsYears) -> str:
    """Return the years of statistics, e.g. "population of 2024, GDP of 2023"; empty without any."""
    known = {"population": years.population, "GDP": years.gdp}
    return ", ".join(f"{name} of {year}" for name, year in known.items() if year is not None)


def format_attributions(summary: Summary) -> Iterator[tuple[str, str]]:
    """Yield the attribution of each kind of data, and the years and the date that follow it, if known."""
    sources = {
        SourceKind.COUNTRIES: summary.countries_source,
        SourceKind.STATISTICS: summary.statistics_source,
        SourceKind.RATES: summary.rates_source,
    }
    for kind, source in sources.items():
        if source is not None:
            years = summary.statistics_years if kind is SourceKind.STATISTICS else StatisticsYears()
            yield format_attribution(kind, source, years)


def format_attribution(kind: SourceKind, source: Provenance, years: StatisticsYears) -> tuple[str, str]:
    """Return the attribution of one kind of data, and the years and the date that follow it, if known."""
    provider = PROVIDERS[kind].get(source.provider)
    name = provider.short_attribution if provider else to_plain_line(source.provider)
    dates = [format_years(years), format_date(source.as_of) if source.as_of else ""]
    return f"{kind.capitalize()} by {name}", "".join(f", {date}" for date in dates if date)


def format_refreshed_at(refreshed_at: datetime | None) -> str:
    """Return the time of the last refresh, in words."""
    return f"Refreshed {format_datetime(refreshed_at)}" if refreshed_at else "Not refreshed yet"
