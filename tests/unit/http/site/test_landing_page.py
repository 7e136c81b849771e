"""The landing page shows the age of the data, its providers, and the rows in order."""

import shlex
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl

import orjson
import pytest

from graphql_api.domain.country import BUNDLED, Country
from graphql_api.domain.report import Attempt, RefreshFailure, SourceKind
from graphql_api.http.site import project_links
from graphql_api.http.site.freshness import assess_kinds
from graphql_api.http.site.landing_page import LandingPage, PageContent
from graphql_api.http.site.landing_table import View
from graphql_api.http.site.map_measures import DEFAULT_MEASURE
from graphql_api.http.site.page import PageHead
from graphql_api.http.site.parameters import Parameters
from graphql_api.http.site.playground_link import EXAMPLE_QUERY
from graphql_api.http.site.table_query import SORT_FIELDS, parse_table_query
from graphql_api.images import Theme
from graphql_api.images.cache import SummaryImageCache
from tests.support.attempts import make_report, make_source_report
from tests.support.factories import REFRESHED_AT, STATISTICS_FIELDS, make_country
from tests.support.html import HTMLPage
from tests.support.schema_client import PUBLIC_URL, offline_client

A_DAY = timedelta(days=1)
HEAD = PageHead(title="Countries", description="All of them", base_url=PUBLIC_URL)
IMAGE_PATHS = {Theme.LIGHT: "images/light.png", Theme.DARK: "images/dark.png"}


def render_page(
    *rows: Country,
    query: str = "",
    age: timedelta = timedelta(hours=1),
    attempts: tuple[Attempt, ...] = (),
    is_token_required: bool = False,
) -> HTMLPage:
    """Return the page of these rows."""
    catalog = offline_client(rows).catalog
    landing_page = LandingPage(
        catalog=catalog,
        summary_images=SummaryImageCache(),
        clock=lambda: REFRESHED_AT,
        stale_after=A_DAY,
        has_playground=False,
        has_schema=False,
        get_base_url=lambda _: PUBLIC_URL,
        is_token_required=is_token_required,
    )
    table_query = parse_table_query(Parameters(dict(parse_qsl(query))), catalog.snapshot)
    content = PageContent(
        view=View(table_query, DEFAULT_MEASURE),
        now=REFRESHED_AT + age,
        attempts=attempts,
        states=assess_kinds(attempts, REFRESHED_AT + age, A_DAY),
        image_paths=IMAGE_PATHS,
        head=HEAD,
    )
    return HTMLPage(landing_page.render(catalog.snapshot, content))


ROWS = (
    make_country("DE", name="Germany", population=83, area_km2=None, exchange_rate=None),
    make_country("FR", name="France", population=67, capital=None, estimated_gdp=None),
    make_country("AX", name="Åland Islands", population=30_000, area_km2=1580.4),
)


def country_names(page: HTMLPage) -> list[str]:
    """Return the names of the countries in the order of the table."""
    return [line.split()[1] for line in page.text.splitlines() if line[:1] >= "🇦"]


def test_table() -> None:
    """A row shows flag, name, code and figures, with a dash for null."""
    page = render_page(*ROWS)
    lines = [line for line in page.text.splitlines() if line[:1] >= "🇦"]
    assert lines == [
        "🇦🇽 Åland Islands AX30,000City AXEurope1,580EUR0.55.0M 20233.0M",
        "🇫🇷 France FR67–Europe50EUR0.55.0M 2023–",
        "🇩🇪 Germany DE83City DEEurope–EUR–5.0M 20233.0M",
    ]


def test_sorted() -> None:
    """The rows follow the sort key, which the caption and the heading name."""
    page = render_page(*ROWS, query="sort=population&direction=desc")
    assert country_names(page) == ["Åland", "Germany", "France"]
    assert country_names(render_page(*ROWS)) == ["Åland", "France", "Germany"]
    sorted_by = [heading.get("aria-sort") for heading in page.find_all("th") if heading["scope"] == "col"][-9:]
    assert sorted_by == [None, "descending", *[None] * 7]
    assert "3 countries,\nby Population, descending. The headings sort." in page.text


def test_headings() -> None:
    """A heading sorts text from A and numbers from the highest, then reverses the order."""
    links = [str(link["href"]) for link in render_page(*ROWS).find_all("a") if link.get("data-sort")]
    assert links == [
        "?sort=name&direction=desc",
        "?sort=population&direction=desc",
        "?sort=capital&direction=asc",
        "?sort=region&direction=asc",
        "?sort=area_km2&direction=desc",
        "?sort=currency_code&direction=asc",
        "?sort=exchange_rate&direction=desc",
        "?sort=gdp&direction=desc",
        "?sort=estimated_gdp&direction=desc",
    ]
    for link in links:
        query = dict(parse_qsl(link[1:]))
        page = render_page(*ROWS, query=link[1:])
        [reversed_link] = [
            str(anchor["href"]) for anchor in page.find_all("a") if anchor.get("data-sort") == query["sort"]
        ]
        assert dict(parse_qsl(reversed_link[1:])) == {
            **query,
            "direction": "asc" if query["direction"] == "desc" else "desc",
        }


def test_filter() -> None:
    """The form has what the URL asks for, and the headings and the exports keep it."""
    page = render_page(*ROWS, query="q=germany&region=&sort=name&direction=desc")
    assert country_names(page) == ["Germany"]
    assert "1 of 3 countries,\nby Country, descending." in page.text
    fields = {str(field["name"]): field["value"] for field in page.find_all("input") if field["name"] != "token"}
    assert fields == {"sort": "name", "direction": "desc", "q": "germany"}
    links = [str(link["href"]) for link in page.find_all("a")]
    parameters = "q=germany&sort=name&direction=desc"
    assert {f"countries.csv?{parameters}", f"countries.json?{parameters}", "countries/DE"} <= set(links)
    assert all("q=germany" in link for link in links if link.startswith("?sort"))


def test_address() -> None:
    """The page has the address to send queries to, and a command that a shell reads as one query to it."""
    text = render_page(*ROWS).text
    [line] = [line for line in text.splitlines() if line.startswith("curl")]
    *_, body, url = shlex.split(line)
    assert url == f"{PUBLIC_URL}/graphql"
    assert orjson.loads(body) == {"query": EXAMPLE_QUERY}
    assert f"\n{url}\n" in text


def test_project_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page links to what the metadata of the installed package names."""
    monkeypatch.setattr(project_links, "read_project_urls", lambda: ("Source, https://a.example/code",))
    page = render_page(*ROWS)
    assert "https://a.example/code" in [link["href"] for link in page.find_all("a")]
    assert "\nHealth what is served now\nSource the code of this server\n" in page.text


def test_attempts() -> None:
    """The last refreshes are bars, the oldest first, with their durations or the reasons of failures."""
    failure = RefreshFailure(id="2", at=REFRESHED_AT, code="SOURCE_UNAVAILABLE", message="No <source>.")
    report = make_report("1")
    page = render_page(*ROWS, attempts=(failure, report))
    bars = [bar["class"] for bar in page.find_all("rect") if bar.get("class") in {"done", "failed"}]
    assert bars == ["done", "failed"]
    text = " ".join(page.text.split())
    assert "The last 2 refreshes, 1 failed" in text
    assert "23 Nov 2026, 16:26 UTC: failed. No <source>." in text
    assert "The last refresh failed on 23 Nov 2026, 16:26 UTC: No <source>." in text
    assert "The last refresh failed" not in render_page(*ROWS, attempts=(report, failure)).text


def test_administrators() -> None:
    """The refresh is behind a link of administrators only where it requires a token."""
    texts = [render_page(*ROWS, is_token_required=is_required).text for is_required in (False, True)]
    assert ["For administrators" in text for text in texts] == [False, True]


def test_freshness() -> None:
    """The page shows the age and the time of the last refresh, also machine-readable."""
    page = render_page(*ROWS, age=timedelta(hours=3, minutes=59))
    assert [time["datetime"] for time in page.find_all("time")] == [REFRESHED_AT.isoformat()]
    assert "Refreshed 3 hours ago,\non 23 Nov 2026, 16:26 UTC." in page.text
    assert "Not up to date" not in page.text


@pytest.mark.parametrize(
    ("changes", "age", "reason"),
    [
        ({}, timedelta(days=2), "the last refresh was too long ago."),
        ({"countries_provider": BUNDLED}, timedelta(0), "the figures are those bundled with the server."),
        ({"rates_provider": BUNDLED}, timedelta(0), "the rates are those bundled with the server."),
        (
            {"countries_provider": BUNDLED, "rates_provider": BUNDLED},
            timedelta(days=2),
            "the figures and rates are those bundled with the server.",
        ),
    ],
)
def test_stale(changes: dict[str, str], age: timedelta, reason: str) -> None:
    """Old or bundled data has a warning that names the reason."""
    text = render_page(make_country("FR", **changes), age=age).text
    assert f"Not up to date: {reason}" in text


def test_sources() -> None:
    """Each provider has its attribution with a link, its date and its number of rows."""
    page = render_page(
        make_country("FR"),
        make_country("DE"),
        make_country("AX", countries_provider="our <mirror>", countries_as_of=None),
    )
    text = " ".join(page.text.split())
    assert (
        "Capitals, areas, currencies GeoNames, CC BY 4.0, as of 22 Nov 2026 (2 countries) "
        "our <mirror> (1 country) "
        "Population, GDP World Bank, World Development Indicators, CC BY 4.0, "
        "population of 2024, GDP of 2023, as of 22 Nov 2026 "
        "Exchange rates Rates by Exchange Rate API, as of 22 Nov 2026 "
        "Names, regions, languages"
    ) in text
    links = [str(link["href"]) for link in page.find_all("a")]
    assert "https://www.geonames.org" in links
    assert "https://www.exchangerate-api.com" in links


def test_states() -> None:
    """Each kind has the time of its confirmation, or since when and why it is old."""
    rates = make_source_report("er-api")
    statistics = make_source_report("world-bank", kind=SourceKind.STATISTICS)
    stored = replace(statistics, live=False, stored=True, failures=("world-bank: <503>",))
    old, middle, new = (
        make_report(name, finished_at=REFRESHED_AT - timedelta(hours=hours), sources=(rates, source))
        for name, hours, source in (("1", 3, statistics), ("2", 2, stored), ("3", 1, stored))
    )
    text = " ".join(render_page(make_country("FR"), attempts=(new, middle, old), age=timedelta(0)).text.split())
    assert "Exchange rates Rates by Exchange Rate API, as of 22 Nov 2026 Confirmed 1 hour ago" in text
    assert "Old since 23 Nov 2026, 14:26 UTC: world-bank: <503>. Last confirmed 3 hours ago. Exchange rates" in text
    assert "Not confirmed since 23 Nov 2026, 13:26 UTC: the last refresh did not include it. Population" in text
    text = render_page(make_country("FR"), attempts=(old,), age=A_DAY).text
    assert text.count("Old since 24 Nov 2026, 13:26 UTC: no refresh since then. Last confirmed 1 day ago.") == 2


def test_statistics_without_years() -> None:
    """Statistics that do not state their years have the date of their source only; without any there is no entry."""
    undated = {"statistics_provider": BUNDLED, "population_year": None, "gdp": None, "gdp_year": None}
    text = " ".join(render_page(make_country("FR", **undated)).text.split())
    assert "Population, GDP Unicode CLDR, Unicode-3.0, as of 22 Nov 2026, bundled with the server Exchange" in text
    assert "Population, GDP" not in render_page(make_country("FR", **dict.fromkeys(STATISTICS_FIELDS))).text


def test_image() -> None:
    """The image follows the colour scheme, and its alternative text has the years."""
    page = render_page(make_country("FR"))
    [image], [source] = page.find_all("img"), page.find_all("source")
    assert image["src"] == "images/light.png"
    assert source == {"srcset": "images/dark.png", "media": "(prefers-color-scheme: dark)"}
    assert "Highest GDP: Land FR $5.0M (2023)." in str(image["alt"])
    assert "Statistics by World Bank (CC BY 4.0), population of 2024, GDP of 2023, 22 Nov 2026." in str(image["alt"])


def test_one_country() -> None:
    """The noun agrees with the number."""
    assert "1 country,\nby name." in render_page(make_country("FR")).text


def test_rows_without_rates() -> None:
    """Without rates there is no attribution for rates."""
    page = render_page(make_country("FR", rates_provider=None, rates_as_of=None))
    titles = ("Capitals, areas, currencies", "Exchange rates")
    assert [text for text in titles if f"\n{text}\n" in page.text] == ["Capitals, areas, currencies"]


def test_every_column_sorts() -> None:
    """The page sorts by every field, including those without a column."""
    for field in SORT_FIELDS:
        page = render_page(*ROWS, query=f"sort={field}")
        assert len(page.find_all("tr")) == 8


def test_no_rows() -> None:
    """Without rows there is neither an age nor a warning."""
    text = render_page().text
    assert "No countries are loaded yet." in text
    assert "Refreshed" not in text
    assert "Not up to date" not in text
