"""What the landing page says of the data: their age, their sources, and each country in order."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from graphql_api.domain.country import BUNDLED, Country, CountryField
from graphql_api.domain.sorting import SortKey
from graphql_api.http.site.landing import (
    BY_NAME,
    Freshness,
    Link,
    flag_emoji,
    format_age,
    format_rate,
    parse_sort_key,
    render,
)
from tests.support.factories import REFRESHED_AT, make_country, make_snapshot
from tests.support.html import HTMLPage

A_DAY = timedelta(days=1)


def render_page(
    *rows: Country, order: SortKey = BY_NAME, age: timedelta = timedelta(hours=1)
) -> HTMLPage:
    """Return the page of these rows."""
    snapshot = make_snapshot(rows)
    freshness = Freshness.of(snapshot, now=REFRESHED_AT + age, stale_after=A_DAY)
    return HTMLPage(render(snapshot, order, freshness, [Link("readyz", "Health", "of it")]))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"),
        (0, "just now"),
        (59.9, "just now"),
        (60, "1 minute ago"),
        (119, "1 minute ago"),
        (3599, "59 minutes ago"),
        (3600, "1 hour ago"),
        (86_399, "23 hours ago"),
        (86_400, "1 day ago"),
        (86_400 * 1234.5, "1,234 days ago"),
    ],
)
def test_age(seconds: float, words: str) -> None:
    """An age is told in whole units, of which there is at least one."""
    assert format_age(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (89_500.0, "89,500.00"),
        (577.3903304, "577.39"),
        (63.98126, "63.9813"),
        (1.0, "1.0000"),
        (0.88022588, "0.8802"),
        (0.000012345, "1.234e-05"),
    ],
)
def test_rates(rate: float, text: str) -> None:
    """A rate has the digits that tell it from its neighbours."""
    assert format_rate(rate) == text


def test_flags() -> None:
    """A flag is spelled with the letters of the code."""
    assert (flag_emoji("FR"), flag_emoji("XK")) == ("🇫🇷", "🇽🇰")


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", BY_NAME),
        ("sort=name", BY_NAME),
        ("sort=population&direction=desc", SortKey(CountryField.POPULATION, descending=True)),
        ("sort=population&direction=asc", SortKey(CountryField.POPULATION)),
        ("sort=population", SortKey(CountryField.POPULATION, descending=True)),
        ("sort=capital&direction=desc", SortKey(CountryField.CAPITAL, descending=True)),
        ("sort=capital&direction=<script>", SortKey(CountryField.CAPITAL)),
        ("sort=nothing&direction=desc", BY_NAME),
        ("direction=desc", BY_NAME),
    ],
)
def test_order(query: str, order: SortKey) -> None:
    """An address says how to sort; what it cannot mean is by name."""
    assert parse_sort_key(dict(parse_qsl(query))) == order


ROWS = (
    make_country("DE", name="Germany", population=83, area_km2=None, exchange_rate=None),
    make_country("FR", name="France", population=67, capital=None, estimated_gdp=None),
    make_country("AX", name="Åland Islands", population=30_000, area_km2=1580.4),
)


def country_names(page: HTMLPage) -> list[str]:
    """Return the names of the countries in the order of the table."""
    return [line.split()[1] for line in page.text.splitlines() if line[:1] >= "🇦"]


def test_table() -> None:
    """A row has the flag, the name, the code and the figures, with a dash for what is absent."""
    page = render_page(*ROWS)
    lines = [line for line in page.text.splitlines() if line[:1] >= "🇦"]
    assert lines == [
        "🇦🇽 Åland Islands AXCity AXEurope30,0001,580EUR0.53.0M",
        "🇫🇷 France FR–Europe6750EUR0.5–",
        "🇩🇪 Germany DECity DEEurope83–EUR–3.0M",
    ]


def test_sorted() -> None:
    """The rows are in the order asked for, which the caption and the heading tell."""
    order = SortKey(CountryField.POPULATION, descending=True)
    page = render_page(*ROWS, order=order)
    assert country_names(page) == ["Åland", "Germany", "France"]
    assert country_names(render_page(*ROWS)) == ["Åland", "France", "Germany"]
    sorted_by = [
        heading.get("aria-sort") for heading in page.find_all("th") if heading["scope"] == "col"
    ]
    assert sorted_by == [None, None, None, "descending", None, None, None, None]
    assert "3 countries,\nby Population, descending. The headings sort." in page.text


def test_headings() -> None:
    """A heading sorts by itself: text from A, numbers from the highest, and the other way round."""
    links = [
        str(link["href"]) for link in render_page(*ROWS).find_all("a") if link.get("data-sort")
    ]
    assert links == [
        "?sort=name&direction=desc",
        "?sort=capital&direction=asc",
        "?sort=region&direction=asc",
        "?sort=population&direction=desc",
        "?sort=area_km2&direction=desc",
        "?sort=currency_code&direction=asc",
        "?sort=exchange_rate&direction=desc",
        "?sort=estimated_gdp&direction=desc",
    ]
    for link in links:
        order = parse_sort_key(dict(parse_qsl(link[1:])))
        page = render_page(*ROWS, order=order)
        [reversed_link] = [
            str(anchor["href"])
            for anchor in page.find_all("a")
            if anchor.get("data-sort") == order.field.value
        ]
        assert parse_sort_key(dict(parse_qsl(reversed_link[1:]))) == SortKey(
            order.field, descending=not order.descending
        )


def test_freshness() -> None:
    """The page tells the age and the instant, to people and to programs."""
    page = render_page(*ROWS, age=timedelta(hours=3, minutes=59))
    assert [time["datetime"] for time in page.find_all("time")] == [REFRESHED_AT.isoformat()]
    assert "Refreshed 3 hours ago,\non 23 Nov 2026, 16:26 UTC." in page.text
    assert "Not up to date" not in page.text


@pytest.mark.parametrize(
    ("changes", "age", "reason"),
    [
        ({}, timedelta(days=2), "the last refresh was too long ago."),
        (
            {"countries_provider": BUNDLED},
            timedelta(0),
            "the figures are those that came with the server.",
        ),
        ({"rates_provider": BUNDLED}, timedelta(0), "the rates are those that came"),
        (
            {"countries_provider": BUNDLED, "rates_provider": BUNDLED},
            timedelta(days=2),
            "the figures and rates are those that came with the server.",
        ),
    ],
)
def test_stale(changes: dict[str, str], age: timedelta, reason: str) -> None:
    """Data that are old or bundled have a warning that says which it is."""
    text = render_page(make_country("FR", **changes), age=age).text
    assert f"Not up to date: {reason}" in text


def test_sources() -> None:
    """Each source is credited as its licence asks, with a link, its date, and for how many rows."""
    page = render_page(
        make_country("FR"),
        make_country("DE"),
        make_country("AX", countries_provider="our <mirror>", countries_as_of=None),
    )
    text = " ".join(page.text.split())
    assert (
        "Figures GeoNames (https://www.geonames.org), CC BY 4.0, as of 22 Nov 2026 (2 countries) "
        "our <mirror> (1 country) "
        "Exchange rates Rates by Exchange Rate API (https://www.exchangerate-api.com), "
        "as of 22 Nov 2026"
    ) in text
    links = [str(link["href"]) for link in page.find_all("a")]
    assert "https://www.geonames.org" in links
    assert "https://www.exchangerate-api.com" in links


def test_one_country() -> None:
    """The noun agrees with the number."""
    assert "1 country,\nby name." in render_page(make_country("FR")).text


def test_rows_without_rates() -> None:
    """Where no row has a rate, nobody is credited with one."""
    page = render_page(make_country("FR", rates_provider=None, rates_as_of=None))
    assert [text for text in ("Figures", "Exchange rates") if f"\n{text}\n" in page.text] == [
        "Figures"
    ]


def test_every_column_sorts() -> None:
    """Whatever can be sorted by can be asked for, shown or not."""
    for field in CountryField:
        page = render_page(*ROWS, order=SortKey(field))
        assert len(page.find_all("tr")) == 4


def test_moment_without_rows() -> None:
    """Without rows there is neither an age nor a warning."""
    freshness = Freshness.of(
        make_snapshot(()), now=datetime(2026, 1, 1, tzinfo=UTC), stale_after=A_DAY
    )
    assert freshness == Freshness(age="", stale_reason="")
