"""The pages of single countries: their figures with year and source, links, and a converter of their currency."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from graphql_api.catalog import Catalog
from graphql_api.domain.conversion import Conversion, convert
from graphql_api.domain.country import Country
from graphql_api.domain.report import SourceKind
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import MAX_SEARCH_LENGTH, SnapshotReader
from graphql_api.errors import InvalidInput
from graphql_api.http.middleware.security_headers import build_csp
from graphql_api.http.site.flags import Flags
from graphql_api.http.site.page import SITE_NAME, GetBaseURL, PageCache, PageHead
from graphql_api.http.site.parameters import Parameters
from graphql_api.http.site.playground_link import build_playground_link
from graphql_api.http.site.static_files import Asset, relative_root
from graphql_api.http.site.structured_data import describe_country
from graphql_api.http.site.templates import render_template
from graphql_api.http.site.world_map import render_small_map
from graphql_api.sources.registry import get_attribution
from graphql_api.utils import formatting

ASSETS = (Asset.from_package("country.css"),)
COUNTRY_QUERY = """query Country($code: String!) {
  country(code: $code) {
    code alpha3 numericCode name nativeNames { lang name } aliases emoji capital
    region subregion continent { name }
    population populationYear areaKm2 populationDensity
    gdp gdpYear gdpPerCapita gdpPpp gdpPppYear estimatedGdp
    exchangeRate currencies { code name symbol rate }
    languages { language { code name nativeName } official share }
    neighbours { code name }
    callingCodes tld timezones postalCode { format }
    figuresFrom { provider asOf } statisticsFrom { provider asOf } rateFrom { provider asOf }
  }
}"""
"""The query that gives what the page shows."""
_MAX_PAGES = 64
"""Rendered pages that a process holds, 30 kB each."""
_MAX_SUGGESTIONS = 5
_DEFAULT_AMOUNT = "100"
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
"""A number of 0 or more. Python's floats have more forms: 1_000, ٣, infinity."""
_CSP = {"Content-Security-Policy": build_csp(allow_forms=True)}


class ConversionRequest(NamedTuple):
    """The form of the converter."""

    amount: str
    to: str


class UnknownCountry(HTTPException):
    """The path names no country, but perhaps one of the suggestions."""

    def __init__(self, name: str, suggestions: Sequence[Country]) -> None:
        texts = " or ".join(f"{country.code} ({country.name})" for country in suggestions)
        hint = f" Did you mean {texts}?" if texts else ""
        super().__init__(404, f"No country has the code or the name {name!r}.{hint}")
        self.suggestions = suggestions


class Figure(NamedTuple):
    """A number with what is known of it."""

    label: str
    value: str
    year: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryPages:
    """Serves a page for each country."""

    catalog: Catalog
    has_playground: bool
    get_base_url: GetBaseURL
    flags: Flags
    _pages: PageCache = field(default_factory=lambda: PageCache(_MAX_PAGES), init=False)

    async def serve(self, request: Request) -> Response:
        """Return the page of the country that the path names, or redirect to it.

        Raises:
            UnknownCountry: there is no such country.
            HTTPException: 400 if its money cannot be converted as requested.
        """
        snapshot, name = self.catalog.snapshot, request.path_params["name"]
        country = _find(name, snapshot)
        if name != country.code:
            query_string = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"{country.code}{query_string}", 302)
        form = _parse_form(Parameters(request.query_params))
        conversion = _convert(form, country, snapshot)
        head = PageHead(
            title=f"{country.name}: {SITE_NAME}",
            description=_describe(country),
            base_url=self.get_base_url(request),
            path=f"countries/{country.code}",
            image_path=f"images/summary.png?country={country.code}",
        )
        return await self._pages.respond(
            request,
            snapshot,
            (head, form),
            lambda: self.render(country, snapshot, head, form, conversion),
            headers={**_CSP, "Cache-Control": "no-cache"},
        )

    def render(
        self,
        country: Country,
        snapshot: Snapshot,
        head: PageHead,
        form: ConversionRequest,
        conversion: Conversion | None,
    ) -> str:
        """Return the page as HTML."""
        graph, rows = snapshot.graph, snapshot.rows
        links, position = graph.get_links(country), rows.index(country)
        return render_template(
            "country.html",
            root=relative_root(f"/{head.path}"),
            head=head,
            country=country,
            flag_url=self.flags.get_url(country.code),
            flag_emoji=formatting.flag_emoji(country.code),
            links=links,
            numeric_code=graph.get_numeric_code(country),
            aliases=graph.get_aliases(country),
            continent=graph.get_continent(country),
            figures=list(_list_figures(country)),
            currencies=graph.get_currencies(country),
            targets=[currency for code, currency in graph.currencies.items() if code in graph.rates],
            amount=form.amount or _DEFAULT_AMOUNT,
            to=form.to.upper() or ("EUR" if country.currency_code == "USD" else "USD"),
            conversion=conversion,
            neighbours=graph.get_neighbours(country),
            previous=rows[position - 1] if position else None,
            following=rows[position + 1] if position + 1 < len(rows) else None,
            small_map=render_small_map(country.code, country.name),
            query=COUNTRY_QUERY,
            playground_link=self.has_playground and build_playground_link(COUNTRY_QUERY, {"code": country.code}),
            structured_data=describe_country(country, snapshot, head),
        )


def _find(name: str, snapshot: Snapshot) -> Country:
    """Return the country with a code or a name, in which hyphens may stand for spaces."""
    reader = SnapshotReader(snapshot)
    text = name[: MAX_SEARCH_LENGTH + 1]
    country = reader.find_by_code(text) or reader.find_by_name(text) or reader.find_by_name(text.replace("-", " "))
    if country is not None:
        return country
    matches = reader.search(text[:MAX_SEARCH_LENGTH], _MAX_SUGGESTIONS)
    raise UnknownCountry(text, [match.country for match in matches])


def _parse_form(params: Parameters) -> ConversionRequest:
    """Return the form; 400 for an amount that is no number."""
    form = ConversionRequest(params.get("amount"), params.get("to"))
    if form.amount and not (_NUMBER.fullmatch(form.amount) and isfinite(float(form.amount))):
        params.report("amount", "a finite number of 0 or more")
    params.reject_wrong()
    return form


def _convert(form: ConversionRequest, country: Country, snapshot: Snapshot) -> Conversion | None:
    """Return the converted amount of the country's money; None if the form is not filled in."""
    if not form.to or not country.currency_code or country.exchange_rate is None:
        return None
    try:
        [conversion] = convert(snapshot.graph, float(form.amount or _DEFAULT_AMOUNT), country.currency_code, [form.to])
    except InvalidInput as error:
        raise HTTPException(400, error.public_message) from None
    return conversion


def _describe(country: Country) -> str:
    place = f" in {country.subregion or country.region}" if country.region else ""
    capital = f", capital {country.capital}" if country.capital else ""
    return f"{country.name}{place}{capital}: {country.population:,} people, with area, GDP, currency and neighbours."


def _list_figures(country: Country) -> Iterator[Figure]:
    """Yield the figures that the country has, each with its year and source."""
    figures = _describe_source(SourceKind.COUNTRIES, country.countries_provider, country.countries_as_of)
    statistics = _describe_source(SourceKind.STATISTICS, country.statistics_provider, country.statistics_as_of)
    rates = _describe_source(SourceKind.RATES, country.rates_provider, country.rates_as_of)
    year = country.stated_population_year
    population_source = statistics if country.population == country.statistics_population else figures
    yield Figure("Population", f"{country.population:,}", year, population_source)
    if country.area_km2 is not None:
        yield Figure("Area", f"{formatting.format_area(country.area_km2)} km²", None, figures)
    if country.population_density is not None:
        yield Figure("Density", f"{country.population_density:,.1f} people per km²", year)
    if country.gdp is not None:
        yield Figure("GDP", formatting.format_usd(country.gdp), country.gdp_year, statistics)
    if country.gdp_per_capita is not None:
        yield Figure("GDP per person", formatting.format_usd(country.gdp_per_capita), country.gdp_year)
    if country.gdp_ppp is not None:
        text = f"{formatting.format_usd(country.gdp_ppp)} (international dollars)"
        yield Figure("GDP at purchasing power parity", text, country.gdp_ppp_year, statistics)
    if country.exchange_rate is not None:
        rate = f"{formatting.format_rate(country.exchange_rate)} {country.currency_code} per US$"
        yield Figure("Exchange rate", rate, None, rates)
    if country.estimated_gdp is not None:
        text = formatting.format_usd(country.estimated_gdp)
        yield Figure("Demo GDP estimate", text, None, "derived from population and exchange rate, not a statistic")


def _describe_source(kind: SourceKind, provider: str | None, as_of: datetime | None) -> str:
    """Return the attribution of a provider, and the date of its data; empty without a provider."""
    if provider is None:
        return ""
    attribution = get_attribution(kind, provider) or provider
    return f"{attribution}, as of {formatting.format_date(as_of)}" if as_of else attribution
