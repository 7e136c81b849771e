"""The words of the summary image, and its alt text."""

from collections.abc import Iterator
from datetime import datetime

from graphql_api.domain.report import SourceKind
from graphql_api.domain.snapshot import Summary
from graphql_api.sources.registry import PROVIDERS
from graphql_api.utils.formatting import format_date, format_datetime, format_usd, to_plain_line

TITLE = "Highest estimated GDP"
DISCLAIMER = "Rough estimates from population and exchange rate, in US dollars"
EMPTY_TITLE = "No estimates yet"
EMPTY_HINT = "An estimate needs a population and an exchange rate"


def describe(summary: Summary) -> str:
    """Return the alt text: what the image shows, in sentences."""
    ranking = ", ".join(f"{to_plain_line(top.name)} {format_usd(top.estimated_gdp)}" for top in summary.top)
    sentences = (
        f"{summary.total_countries:,} {country_noun(summary)}",
        f"{TITLE}: {ranking}" if summary.top else EMPTY_TITLE,
        DISCLAIMER if summary.top else EMPTY_HINT,
        *(attribution + as_of for attribution, as_of in format_attributions(summary)),
        format_refreshed_at(summary.refreshed_at),
    )
    return ". ".join(sentences) + "."


def country_noun(summary: Summary) -> str:
    """Return the noun after the number of countries."""
    return "country" if summary.total_countries == 1 else "countries"


def format_attributions(summary: Summary) -> Iterator[tuple[str, str]]:
    """Yield the attribution of each kind of data, and the date that follows it, if known."""
    sources = {SourceKind.COUNTRIES: summary.countries_source, SourceKind.RATES: summary.rates_source}
    for kind, source in sources.items():
        if source is not None:
            provider = PROVIDERS[kind].get(source.provider)
            name = provider.short_attribution if provider else to_plain_line(source.provider)
            as_of = f", {format_date(source.as_of)}" if source.as_of else ""
            yield f"{kind.capitalize()} by {name}", as_of


def format_refreshed_at(refreshed_at: datetime | None) -> str:
    """Return the time of the last refresh, in words."""
    return f"Refreshed {format_datetime(refreshed_at)}" if refreshed_at else "Not refreshed yet"
