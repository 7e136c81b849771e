"""The card of a country: its words, its layout, its map and its bytes."""

from datetime import UTC, datetime
from io import BytesIO

import pytest
from PIL import Image

from graphql_api.domain.country import Country
from graphql_api.domain.nodes import Currency
from graphql_api.images import SUMMARY_IMAGE_HEIGHT, SUMMARY_IMAGE_WIDTH, Theme
from graphql_api.images.canvas import Dot, Text
from graphql_api.images.country_card import build_card_layout, draw_card
from graphql_api.sources.reference import load_reference
from tests.support.factories import make_country

REFERENCE = load_reference()
EURO = Currency("EUR", "Euro", "€", 2)
FRANCE = make_country(
    "FR",
    name="France",
    region="Europe",
    subregion="Western Europe",
    capital="Paris",
    population=68_287_487,
    population_year=2024,
    gdp=3.16e12,
    gdp_year=2023,
    currency_code="EUR",
    exchange_rate=0.92,
    countries_provider="geonames",
    countries_as_of=None,
    statistics_provider="world-bank",
    statistics_as_of=datetime(2026, 10, 7, tzinfo=UTC),
    rates_provider="er-api",
    rates_as_of=datetime(2026, 11, 24, tzinfo=UTC),
    last_refreshed_at=datetime(2026, 11, 24, 16, 26, tzinfo=UTC),
)
NAMES = [identity.name for identity in REFERENCE.values()]


def list_texts(country: Country, currency: Currency | None = EURO) -> list[str]:
    return [box.text for box in build_card_layout(country, currency) if isinstance(box, Text)]


def test_texts() -> None:
    """The card has the name, the place, the figures with their years, the sources and the time of the refresh."""
    assert list_texts(FRANCE) == [
        *("France", "Western Europe, FR"),
        *("Capital", "Paris", "Population", "68,287,487 (2024)", "GDP", "$3.2T (2023)"),
        *("Currency", "Euro (EUR)", "Rate", "0.92 EUR per US$"),
        "Refreshed 24 Nov 2026, 16:26 UTC",
        "Countries by GeoNames (CC BY 4.0)",
        "Statistics by World Bank (CC BY 4.0), 7 Oct 2026",
        "Rates by Exchange Rate API, 24 Nov 2026",
    ]


def test_missing_facts() -> None:
    """A GDP and a rate without data are called so; a country may have neither a capital nor a currency."""
    nowhere = make_country(
        "AQ",
        name="Antarctica",
        region="Antarctica",
        subregion=None,
        capital=None,
        gdp=None,
        currency_code=None,
        exchange_rate=None,
        population=0,
        population_year=None,
    )
    assert list_texts(nowhere, None)[:6] == ["Antarctica", "Antarctica, AQ", "Population", "0", "GDP", "no data"]
    unrated = make_country("CU", currency_code="CUP", exchange_rate=None)
    assert list_texts(unrated, None)[8:12] == ["Currency", "CUP", "Rate", "no data"]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("Bosnia & Herzegovina", ["Bosnia & Herzegovina"]),
        ("South Georgia & South Sandwich Islands", ["South Georgia & South", "Sandwich Islands"]),
        ("W" * 500, ["WWWWWWWWWWW…"]),
        ("two\n\u202elines", ["two lines"]),
        ("", [""]),
    ],
)
def test_names(name: str, lines: list[str]) -> None:
    """A long name is on two lines, an endless one is cut, and none has invisible characters."""
    assert list_texts(make_country("FR", name=name))[: len(lines)] == lines


@pytest.mark.parametrize("name", [*sorted(NAMES, key=len)[-12:], "W" * 500, "W " * 300, ""])
def test_texts_are_inside(name: str) -> None:
    """No text leaves the margins or reaches the map."""
    country = make_country("FR", name=name, capital=name, subregion=name, currency_code="EUR", exchange_rate=1e9)
    currency = Currency("EUR", name, "€", 2)
    boxes = [box for box in build_card_layout(country, currency) if isinstance(box, Text)]
    assert [box for box in boxes if box.bounds.left < 60 or box.bounds.right > SUMMARY_IMAGE_WIDTH - 60] == []
    assert [box for box in boxes if box.bounds.top < 40 or box.bounds.bottom > SUMMARY_IMAGE_HEIGHT - 40] == []
    assert [box for box in boxes if box.bounds.bottom < 480 and box.bounds.right > 640] == []


def open_card(code: str, theme: Theme = Theme.LIGHT) -> Image.Image:
    return Image.open(BytesIO(draw_card(make_country(code), EURO, theme))).convert("RGB")


def test_map() -> None:
    """The country, the land around it and the sea have their colours; so has a hole that is another country."""
    france = open_card("FR")
    assert france.size == (1200, 630)
    assert france.getpixel((880, 240)) == (0x0F, 0x6B, 0x66)
    assert france.getpixel((740, 400)) == (0xCF, 0xCB, 0xC0)
    assert france.getpixel((670, 200)) == (0xE4, 0xED, 0xEF)
    south_africa = open_card("ZA")
    assert south_africa.getpixel((870, 300)) == (0x0F, 0x6B, 0x66)
    assert south_africa.getpixel((938, 270)) == (0xCF, 0xCB, 0xC0)  # Lesotho


def test_small_country() -> None:
    """A country that is too small to be seen is a dot, in the colour of the theme."""
    [dot] = [box for box in build_card_layout(make_country("VA"), EURO) if isinstance(box, Dot)]
    position = (round(dot.bounds.left) + 9, round(dot.bounds.top) + 9)
    assert open_card("VA").getpixel(position) == (0x0F, 0x6B, 0x66)
    assert open_card("VA", Theme.DARK).getpixel(position) == (0x4F, 0xC1, 0xB4)


def test_equal_bytes() -> None:
    """Replicas with equal data serve equal bytes."""
    assert draw_card(make_country("FR"), EURO) == draw_card(make_country("FR"), EURO)
