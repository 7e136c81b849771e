"""The summary image: what it says, that it holds together, and that it is the same every time."""

import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from itertools import combinations
from types import FrameType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from graphql_api.domain.provenance import Provenance
from graphql_api.domain.summary import Summary, TopCountry
from graphql_api.images.summary_image import (
    _BACKGROUND,
    HEIGHT,
    WIDTH,
    Bar,
    Bounds,
    Color,
    FontSpec,
    Text,
    _load_font,
    build_layout,
    describe,
    draw,
    format_usd,
    truncate_to_width,
)
from graphql_api.sources.registry import COUNTRIES_PROVIDERS, RATES_PROVIDERS

HARD_NAMES = (
    "South Georgia & South Sandwich Islands",
    "St. Vincent & Grenadines",
    "Congo - Kinshasa",
    "Côte d’Ivoire",
    "São Tomé & Príncipe",
    "Türkiye",
    "Åland Islands",
    "Curaçao",
    "Réunion",
    "St. Barthélemy",
    "Myanmar (Burma)",
    "Österreich, Česko, Ísland, Türkiye, Việt Nam, Łotwa",
    "Ελλάδα, Україна, Қазақстан",
)
HOSTILE_NAMES = (
    "",
    " \t\r\n ",
    "two\nlines\u2028three\x0bfour",
    "\x00\x1b[31m\x7f\ufeff",
    "\u202egnp.\u202d",
    "Z" + "\u0335\u0489\u0301" * 300,
    "🇹🇷 👩\u200d👩\u200d👧\ufe0f",
    "العربية עברית 中文 ไทย",
    "\ud800\U000e0001\U0010ffff",
    "W" * 10_000,
    "i" * 10_000,
    "a " * 5_000,
)


def make_source(
    provider: str, *, as_of: datetime | None = datetime(2026, 9, 29, tzinfo=UTC)
) -> Provenance:
    """Return a source line, dated unless told otherwise."""
    return Provenance(provider=provider, as_of=as_of)


def make_top(*figures: tuple[str, float]) -> tuple[TopCountry, ...]:
    """Return the bars of a summary."""
    return tuple(TopCountry(name=name, estimated_gdp=gdp) for name, gdp in figures)


NORMAL = Summary(
    total_countries=250,
    top=make_top(
        ("United States", 481e9),
        ("Germany", 155.3e9),
        ("United Kingdom", 121e9),
        ("France", 98.4e9),
        ("Italy", 71e9),
    ),
    countries_source=make_source("geonames"),
    rates_source=make_source("er-api", as_of=datetime(2026, 11, 24, tzinfo=UTC)),
    refreshed_at=datetime(2026, 11, 24, 16, 26, 59, tzinfo=UTC),
)
EMPTY = Summary(
    total_countries=0, top=(), countries_source=None, rates_source=None, refreshed_at=None
)

names = st.sampled_from(HARD_NAMES + HOSTILE_NAMES) | st.text()
instants = st.none() | st.datetimes(timezones=st.just(UTC))
sources = st.none() | st.builds(Provenance, provider=names, as_of=instants)
summaries = st.builds(
    Summary,
    total_countries=st.integers(min_value=0),
    top=st.lists(
        st.builds(
            TopCountry,
            name=names,
            estimated_gdp=st.floats(min_value=0, allow_nan=False, allow_infinity=False),
        ),
        max_size=5,
    ).map(tuple),
    countries_source=sources,
    rates_source=sources,
    refreshed_at=instants,
)


def layout_texts(summary: Summary) -> list[str]:
    """Return the texts of a picture in the order in which they are laid out."""
    return [box.text for box in build_layout(summary) if isinstance(box, Text)]


def layout_bars(summary: Summary) -> list[Bounds]:
    """Return where the bars of the countries are."""
    return [
        box.bounds
        for box in build_layout(summary)
        if isinstance(box, Bar) and box.color is Color.ACCENT
    ]


def is_overlapping(first: Bounds, second: Bounds) -> bool:
    """Tell whether two boxes share a pixel."""
    return max(first.left, second.left) < min(first.right, second.right) and max(
        first.top, second.top
    ) < min(first.bottom, second.bottom)


def find_overlaps(boxes: Iterable[Text | Bar]) -> list[tuple[Text | Bar, Text | Bar]]:
    """Return the pairs of boxes that share a pixel, of which at least one is a text."""
    pairs = combinations(boxes, 2)
    return [
        (first, second)
        for first, second in pairs
        if (isinstance(first, Text) or isinstance(second, Text))
        and is_overlapping(first.bounds, second.bounds)
    ]


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0"),
        (0.4, "$0"),
        (0.6, "$1"),
        (12, "$12"),
        (999.4, "$999"),
        (999.6, "$1.0K"),
        (1000, "$1.0K"),
        (99_940, "$99.9K"),
        (99_960, "$100K"),
        (950_000, "$950K"),
        (999_499, "$999K"),
        (999_501, "$1.0M"),
        (12.4e6, "$12.4M"),
        (847e9, "$847B"),
        (999.4e9, "$999B"),
        (999.95e9, "$1.0T"),
        (1e12, "$1.0T"),
        (3.1e12, "$3.1T"),
        (3.14e15, "$3.1Q"),
        (999e15, "$999Q"),
        (999.6e15, "$1.0e18"),
        (3.14e20, "$3.1e20"),
        (1.7976931348623157e308, "$1.8e308"),
        (5e-324, "$0"),
    ],
)
def test_amounts_are_abbreviated(amount: float, text: str) -> None:
    """An amount takes the unit that leaves at most three digits before the point."""
    assert format_usd(amount) == text


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_no_amount_is_long(amount: float) -> None:
    """However large an amount is, eight letters hold it."""
    assert len(format_usd(amount)) <= 8


def test_the_picture_says_every_figure() -> None:
    """The picture shows count, ranking, caveat, sources with their dates, and time of refresh."""
    assert layout_texts(NORMAL) == [
        "250",
        "countries",
        "Highest estimated GDP",
        "Rough estimates from population and exchange rate, in US dollars",
        "United States",
        "$481B",
        "Germany",
        "$155B",
        "United Kingdom",
        "$121B",
        "France",
        "$98.4B",
        "Italy",
        "$71.0B",
        "Refreshed 24 Nov 2026, 16:26 UTC",
        "Countries by GeoNames (CC BY 4.0), 29 Sep 2026",
        "Rates by Exchange Rate API, 24 Nov 2026",
    ]


def test_an_empty_picture_says_so() -> None:
    """Without countries the picture says what it waits for."""
    assert layout_texts(EMPTY) == [
        "0",
        "countries",
        "No estimates yet",
        "An estimate needs a population and an exchange rate",
        "Not refreshed yet",
    ]


def test_the_description_says_what_the_picture_says() -> None:
    """The alt text has the figures of the picture in sentences."""
    assert describe(NORMAL) == (
        "250 countries. Highest estimated GDP: United States $481B, Germany $155B, "
        "United Kingdom $121B, France $98.4B, Italy $71.0B. "
        "Rough estimates from population and exchange rate, in US dollars. "
        "Countries by GeoNames (CC BY 4.0), 29 Sep 2026. "
        "Rates by Exchange Rate API, 24 Nov 2026. Refreshed 24 Nov 2026, 16:26 UTC."
    )


def test_the_description_of_an_empty_picture_says_so() -> None:
    """The alt text without countries has no ranking and no sources."""
    assert describe(EMPTY) == (
        "0 countries. No estimates yet. "
        "An estimate needs a population and an exchange rate. Not refreshed yet."
    )


def test_one_country_is_a_country() -> None:
    """The noun agrees with the number."""
    assert layout_texts(replace(EMPTY, total_countries=1))[:2] == ["1", "country"]


@pytest.mark.parametrize(
    ("countries", "rates", "shown"),
    [
        (
            make_source("bundled"),
            make_source("bundled"),
            [
                "Countries by GeoNames (CC BY 4.0), bundled with the server, 29 Sep 2026",
                "Rates by fawazahmed0 currency-api (CC0), bundled with the server, 29 Sep 2026",
            ],
        ),
        (
            make_source("restcountries", as_of=None),
            make_source("frankfurter"),
            ["Countries by REST Countries", "Rates by Frankfurter, 29 Sep 2026"],
        ),
        (make_source("our\nmirror"), None, ["Countries by our mirror, 29 Sep 2026"]),
        (None, make_source("geonames", as_of=None), ["Rates by geonames"]),
    ],
)
def test_sources_are_credited(
    countries: Provenance | None, rates: Provenance | None, shown: list[str]
) -> None:
    """A known provider has its name and licence, another one its plain name."""
    assert layout_texts(replace(EMPTY, countries_source=countries, rates_source=rates))[5:] == shown


def test_a_long_source_keeps_its_date() -> None:
    """What is shortened is the provider's name, not when its data are from."""
    line = layout_texts(replace(EMPTY, countries_source=make_source("w" * 500)))[-1]

    assert line.startswith("Countries by wwww")
    assert line.endswith("w…, 29 Sep 2026")


def test_bars_are_in_proportion() -> None:
    """Half the amount is half the bar, and nothing is still to be seen."""
    top = make_top(("A", 8e9), ("B", 8e9), ("C", 4e9), ("D", 1.0), ("E", 0.0))
    lengths = [bar.right - bar.left for bar in layout_bars(replace(NORMAL, top=top))]

    assert lengths == [916, 916, 458, 6, 6]


def test_bars_without_amounts_are_alike() -> None:
    """Where every amount is zero no bar is longer than another."""
    lengths = [
        bar.right - bar.left
        for bar in layout_bars(replace(NORMAL, top=make_top(("A", 0), ("B", 0))))
    ]

    assert lengths == [6, 6]


def test_columns_are_aligned() -> None:
    """Names start at one edge, bars at another, and amounts end at a third."""
    rows = [box for box in build_layout(NORMAL) if isinstance(box, Text)][4:14]
    ends = [box.left + _load_font(box.font).getlength(box.text) for box in rows[1::2]]

    assert [box.left for box in rows[::2]] == [72] * 5
    assert {bar.left for bar in layout_bars(NORMAL)} == {layout_bars(NORMAL)[0].left}
    assert ends == [1128] * 5


@settings(deadline=None)
@given(summaries)
@example(NORMAL)
@example(EMPTY)
def test_nothing_overlaps(summary: Summary) -> None:
    """Whatever the figures are, no text touches another one or a bar."""
    assert find_overlaps(build_layout(summary)) == []


@settings(deadline=None)
@given(summaries)
@example(NORMAL)
@example(EMPTY)
def test_everything_is_inside_the_margins(summary: Summary) -> None:
    """Whatever the figures are, nothing leaves the frame or comes near its edge."""
    assert [
        box
        for box in build_layout(summary)
        if box.bounds.left < 60
        or box.bounds.top < 48
        or box.bounds.right > WIDTH - 60
        or box.bounds.bottom > HEIGHT - 48
    ] == []


@settings(deadline=None, max_examples=20)
@given(summaries)
@example(NORMAL)
@example(EMPTY)
def test_the_paint_stays_inside_the_layout(summary: Summary) -> None:
    """What is measured is what is painted: outside the boxes there is only paper."""
    image = Image.open(BytesIO(draw(summary))).convert("RGB")
    canvas = ImageDraw.Draw(image)
    for box in build_layout(summary):
        left, top, right, bottom = map(round, box.bounds)
        if right > left and bottom > top:
            canvas.rectangle((left, top, right - 1, bottom - 1), fill=_BACKGROUND)

    assert image.getcolors() == [(WIDTH * HEIGHT, (0xFA, 0xF9, 0xF6))]


@settings(deadline=None)
@given(names, st.floats(min_value=40, max_value=1000))
def test_fitted_text_fits(text: str, width: float) -> None:
    """A fitted text is one line that is no wider than asked."""
    font_spec = FontSpec(18, 400)
    fitted = truncate_to_width(text, font=font_spec, width=width)

    assert _load_font(font_spec).getlength(fitted) <= width
    assert fitted == " ".join(fitted.split())


def test_text_that_fits_is_left_alone() -> None:
    """Only what does not fit is shortened, and by no more than it must."""
    font_spec = FontSpec(18, 400)
    width = _load_font(font_spec).getlength("Côte d’Iv…")

    assert truncate_to_width("Côte d’Ivoire", font=font_spec, width=1000) == "Côte d’Ivoire"
    assert truncate_to_width("Côte d’Ivoire", font=font_spec, width=width) == "Côte d’Iv…"
    assert truncate_to_width("Côte d’Ivoire", font=font_spec, width=width - 1) == "Côte d’I…"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\nlines\u2028three\x0bfour", "two lines three four"),
        ("  a \u200b b\t", "a b"),
        ("\u202egnp\u202c", "gnp"),
        ("Co\u0302te d’Ivoire", "Côte d’Ivoire"),
        ("Z\u0335\u0489x", "Zx"),
        ("\x00\ud800", ""),
    ],
)
def test_text_becomes_one_plain_line(text: str, line: str) -> None:
    """Line breaks, invisible characters and piled-up marks do not reach the picture."""
    assert truncate_to_width(text, font=FontSpec(18, 400), width=1000) == line


@pytest.mark.parametrize("name", HARD_NAMES)
def test_every_letter_has_a_glyph(name: str) -> None:
    """No letter of a hard name shows as the box that stands for an unknown one."""
    font = _load_font(FontSpec(23, 500))
    missing_glyph = bytes(font.getmask("\U000e0fff"))

    assert [letter for letter in name if bytes(font.getmask(letter)) == missing_glyph] == []


@pytest.mark.parametrize("summary", [NORMAL, EMPTY], ids=["normal", "empty"])
def test_the_picture_is_a_png_of_the_right_size(summary: Summary) -> None:
    """The bytes are a PNG of 1200 by 630 pixels."""
    png = draw(summary)

    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[12:24] == b"IHDR" + (1200).to_bytes(4, "big") + (630).to_bytes(4, "big")


def test_the_picture_is_painted_in_its_colours() -> None:
    """The middle of the first bar, the end of the last track and the corner have their colours."""
    image = Image.open(BytesIO(draw(NORMAL))).convert("RGB")

    assert image.getpixel((500, 270)) == (0x0F, 0x6B, 0x66)
    assert image.getpixel((1000, 458)) == (0xEA, 0xE7, 0xDF)
    assert image.getpixel((0, 0)) == (0xFA, 0xF9, 0xF6)


def test_equal_summaries_give_equal_bytes() -> None:
    """Two replicas that know the same figures serve the same picture."""
    assert draw(replace(NORMAL)) == draw(NORMAL)


def test_threads_draw_the_same_picture() -> None:
    """Eight threads that share the fonts do not disturb one another."""
    with ThreadPoolExecutor(8) as executor:
        images = list(executor.map(draw, [NORMAL, EMPTY] * 16))

    assert set(images[::2]) == {draw(NORMAL)}
    assert set(images[1::2]) == {draw(EMPTY)}


@pytest.mark.parametrize(
    ("provider", "attribution"),
    [
        ("restcountries", "Countries by REST Countries"),
        ("restcountries-v3", "Countries by REST Countries"),
        ("geonames", "Countries by GeoNames (CC BY 4.0)"),
        ("bundled", "Countries by GeoNames (CC BY 4.0), bundled with the server"),
    ],
)
def test_credits_of_countries(provider: str, attribution: str) -> None:
    """The picture credits each provider of countries as its licence asks."""
    source = Provenance(provider=provider, as_of=None)
    assert attribution in layout_texts(replace(NORMAL, countries_source=source))
    assert provider in COUNTRIES_PROVIDERS


@pytest.mark.parametrize(
    ("provider", "attribution"),
    [
        ("er-api", "Rates by Exchange Rate API"),
        ("frankfurter", "Rates by Frankfurter"),
        ("fawazahmed0", "Rates by fawazahmed0 currency-api (CC0)"),
        ("bundled", "Rates by fawazahmed0 currency-api (CC0), bundled with the server"),
    ],
)
def test_credits_of_rates(provider: str, attribution: str) -> None:
    """The picture credits each provider of rates as its licence asks."""
    source = Provenance(provider=provider, as_of=None)
    assert attribution in layout_texts(replace(NORMAL, rates_source=source))
    assert provider in RATES_PROVIDERS


def count_measurements(summary: Summary) -> int:
    """Return how often a text is measured while a picture is laid out."""
    count = 0

    def profile(_frame: FrameType, event: str, function: object) -> None:
        nonlocal count
        if event == "c_call" and getattr(function, "__name__", "") == "getlength":
            count += 1

    sys.setprofile(profile)
    try:
        build_layout(summary)
    finally:
        sys.setprofile(None)
    return count


def test_long_names_cost_no_more() -> None:
    """Fitting a name halves what is left of it, and looks at no more letters than a line holds."""
    short, long, longer = (
        replace(NORMAL, top=make_top(*(("W" * length, 1e9) for _ in range(5))))
        for length in (5, 256, 10_000)
    )
    assert count_measurements(long) - count_measurements(short) == 5 * 8
    assert count_measurements(longer) == count_measurements(long)


@pytest.mark.parametrize("total", [0, 1, 250, 10**30])
def test_countries_without_estimates(total: int) -> None:
    """Where no country has a currency, a rate or people, the picture still holds together."""
    summary = replace(NORMAL, total_countries=total, top=())
    assert find_overlaps(build_layout(summary)) == []
    assert layout_texts(summary)[2:4] == [
        "No estimates yet",
        "An estimate needs a population and an exchange rate",
    ]
