"""The summary image: its words, its layout and its bytes."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from itertools import combinations
from types import FrameType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor, ImageDraw

from graphql_api.domain.provenance import Provenance
from graphql_api.domain.snapshot import Ranking, StatisticsYears, Summary, TopCountry
from graphql_api.images import SUMMARY_IMAGE_HEIGHT, SUMMARY_IMAGE_WIDTH, Theme
from graphql_api.images.canvas import (
    PALETTES,
    Bar,
    Bounds,
    Color,
    Text,
    TextStyle,
    load_font,
    measure_width,
    paint,
    truncate_to_width,
)
from graphql_api.images.summary_image import build_layout, draw
from graphql_api.images.summary_text import describe
from graphql_api.sources.registry import COUNTRIES_PROVIDERS, RATES_PROVIDERS, STATISTICS_PROVIDERS
from tests.support.factories import EMPTY_SUMMARY

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


def make_source(provider: str, *, as_of: datetime | None = datetime(2026, 9, 29, tzinfo=UTC)) -> Provenance:
    """Return the provenance of data, dated by default."""
    return Provenance(provider=provider, as_of=as_of)


def make_top(*countries: tuple[str, float] | tuple[str, float, int]) -> tuple[TopCountry, ...]:
    """Return the bars of a summary, of a name, an amount and maybe a year each."""
    return tuple(
        TopCountry(name=country[0], amount=country[1], year=country[2] if len(country) == 3 else None)
        for country in countries
    )


NORMAL = Summary(
    total_countries=250,
    top=make_top(
        ("United States", 481e9), ("Germany", 155.3e9), ("United Kingdom", 121e9), ("France", 98.4e9), ("Italy", 71e9)
    ),
    ranking=Ranking.ESTIMATED_GDP,
    countries_source=make_source("geonames"),
    rates_source=make_source("er-api", as_of=datetime(2026, 11, 24, tzinfo=UTC)),
    statistics_source=None,
    statistics_years=StatisticsYears(),
    refreshed_at=datetime(2026, 11, 24, 16, 26, 59, tzinfo=UTC),
)
REAL = replace(
    NORMAL,
    top=make_top(("United States", 29.2e12, 2024), ("China", 18.7e12, 2023), ("Eritrea", 2e9)),
    ranking=Ranking.GDP,
    statistics_source=make_source("world-bank", as_of=datetime(2026, 10, 7, tzinfo=UTC)),
    statistics_years=StatisticsYears(population=2024, gdp=2023),
)

names = st.sampled_from(HARD_NAMES + HOSTILE_NAMES) | st.text()
years = st.none() | st.integers(1000, 2999)
instants = st.none() | st.datetimes(timezones=st.just(UTC))
sources = st.none() | st.builds(Provenance, provider=names, as_of=instants)
summaries = st.builds(
    Summary,
    total_countries=st.integers(min_value=0),
    top=st.lists(
        st.builds(
            TopCountry, name=names, amount=st.floats(min_value=0, allow_nan=False, allow_infinity=False), year=years
        ),
        max_size=5,
    ).map(tuple),
    ranking=st.sampled_from(Ranking),
    countries_source=sources,
    rates_source=sources,
    statistics_source=sources,
    statistics_years=st.builds(StatisticsYears, population=years, gdp=years),
    refreshed_at=instants,
)


def layout_texts(summary: Summary) -> list[str]:
    """Return the texts of an image in layout order."""
    return [box.text for box in build_layout(summary) if isinstance(box, Text)]


def layout_bars(summary: Summary) -> list[Bounds]:
    """Return the bounds of the bars of the countries."""
    return [box.bounds for box in build_layout(summary) if isinstance(box, Bar) and box.color is Color.ACCENT]


def is_overlapping(first: Bounds, second: Bounds) -> bool:
    """Return whether two boxes share a pixel."""
    return max(first.left, second.left) < min(first.right, second.right) and max(first.top, second.top) < min(
        first.bottom, second.bottom
    )


def find_overlaps(boxes: Iterable[Text | Bar]) -> list[tuple[Text | Bar, Text | Bar]]:
    """Return the pairs of boxes that share a pixel, at least one of them a text."""
    pairs = combinations(boxes, 2)
    return [
        (first, second)
        for first, second in pairs
        if (isinstance(first, Text) or isinstance(second, Text)) and is_overlapping(first.bounds, second.bounds)
    ]


def test_texts() -> None:
    """The image shows count, ranking, disclaimer, dated attributions and time of refresh."""
    assert layout_texts(NORMAL) == [
        "250",
        "countries",
        "Highest demo GDP estimate",
        "Derived from population and exchange rate, not a statistic",
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


def test_texts_of_real_figures() -> None:
    """Real GDPs have their year where it is known, and the statistics the years of most figures."""
    assert layout_texts(REAL)[2:] == [
        "Highest GDP",
        "From national accounts, in current US dollars",
        "United States",
        "$29.2T (2024)",
        "China",
        "$18.7T (2023)",
        "Eritrea",
        "$2.0B",
        "Refreshed 24 Nov 2026, 16:26 UTC",
        "Countries by GeoNames (CC BY 4.0), 29 Sep 2026",
        "Statistics by World Bank (CC BY 4.0), population of 2024, GDP of 2023, 7 Oct 2026",
        "Rates by Exchange Rate API, 24 Nov 2026",
    ]


def test_empty_texts() -> None:
    """Without countries the image shows what is missing."""
    assert layout_texts(EMPTY_SUMMARY) == [
        "0",
        "countries",
        "No estimates yet",
        "An estimate needs a population and an exchange rate",
        "Not refreshed yet",
    ]


def test_alt_text() -> None:
    """The alt text has the figures of the image in sentences."""
    assert describe(NORMAL) == (
        "250 countries. Highest demo GDP estimate: United States $481B, Germany $155B, "
        "United Kingdom $121B, France $98.4B, Italy $71.0B. "
        "Derived from population and exchange rate, not a statistic. "
        "Countries by GeoNames (CC BY 4.0), 29 Sep 2026. "
        "Rates by Exchange Rate API, 24 Nov 2026. Refreshed 24 Nov 2026, 16:26 UTC."
    )


def test_empty_alt_text() -> None:
    """The alt text without countries has no ranking and no attributions."""
    assert describe(EMPTY_SUMMARY) == (
        "0 countries. No estimates yet. An estimate needs a population and an exchange rate. Not refreshed yet."
    )


def test_singular() -> None:
    """The noun agrees with the number."""
    assert layout_texts(replace(EMPTY_SUMMARY, total_countries=1))[:2] == ["1", "country"]


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
def test_attributions(countries: Provenance | None, rates: Provenance | None, shown: list[str]) -> None:
    """A known provider has its name and licence, an unknown one its plain name."""
    assert layout_texts(replace(EMPTY_SUMMARY, countries_source=countries, rates_source=rates))[5:] == shown


def test_long_attribution() -> None:
    """A long provider name is shortened, and the date stays."""
    line = layout_texts(replace(EMPTY_SUMMARY, countries_source=make_source("w" * 500)))[-1]

    assert line.startswith("Countries by wwww")
    assert line.endswith("w…, 29 Sep 2026")


def test_bars_are_in_proportion() -> None:
    """A bar's length is proportional to the amount, with a visible minimum."""
    top = make_top(("A", 8e9), ("B", 8e9), ("C", 4e9), ("D", 1.0), ("E", 0.0))
    lengths = [bar.right - bar.left for bar in layout_bars(replace(NORMAL, top=top))]

    assert lengths == [916, 916, 458, 6, 6]


def test_bars_of_zero() -> None:
    """If all amounts are zero, all bars have the minimum length."""
    lengths = [bar.right - bar.left for bar in layout_bars(replace(NORMAL, top=make_top(("A", 0), ("B", 0))))]

    assert lengths == [6, 6]


def test_columns_are_aligned() -> None:
    """Names and bars are aligned left, amounts right."""
    rows = [box for box in build_layout(NORMAL) if isinstance(box, Text)][4:14]
    ends = [box.left + load_font(box.style).getlength(box.text) for box in rows[1::2]]

    assert [box.left for box in rows[::2]] == [72] * 5
    assert {bar.left for bar in layout_bars(NORMAL)} == {layout_bars(NORMAL)[0].left}
    assert ends == [1128] * 5


@pytest.mark.slow
@settings(deadline=None)
@given(summaries)
@example(NORMAL)
@example(REAL)
@example(EMPTY_SUMMARY)
def test_nothing_overlaps(summary: Summary) -> None:
    """No text overlaps another text or a bar, whatever the figures."""
    assert find_overlaps(build_layout(summary)) == []


@settings(deadline=None)
@given(summaries)
@example(NORMAL)
@example(REAL)
@example(EMPTY_SUMMARY)
def test_margins(summary: Summary) -> None:
    """Everything stays inside the margins, whatever the figures."""
    assert [
        box
        for box in build_layout(summary)
        if box.bounds.left < 60
        or box.bounds.top < 48
        or box.bounds.right > SUMMARY_IMAGE_WIDTH - 60
        or box.bounds.bottom > SUMMARY_IMAGE_HEIGHT - 48
    ] == []


@settings(deadline=None, max_examples=20)
@given(summaries)
@example(NORMAL)
@example(REAL)
@example(EMPTY_SUMMARY)
def test_paint_stays_inside_layout(summary: Summary) -> None:
    """Outside the measured boxes there is only background."""
    image = Image.open(BytesIO(draw(summary))).convert("RGB")
    canvas = ImageDraw.Draw(image)
    for box in build_layout(summary):
        left, top, right, bottom = map(round, box.bounds)
        if right > left and bottom > top:
            canvas.rectangle((left, top, right - 1, bottom - 1), fill=PALETTES[Theme.LIGHT][0])

    assert image.getcolors() == [(SUMMARY_IMAGE_WIDTH * SUMMARY_IMAGE_HEIGHT, (0xFA, 0xF9, 0xF6))]


@settings(deadline=None)
@given(names, st.floats(min_value=40, max_value=1000))
def test_truncated_text_fits(text: str, width: float) -> None:
    """A truncated text is one line of at most the given width."""
    style = TextStyle(18, 400)
    fitted = truncate_to_width(text, style, width)

    assert load_font(style).getlength(fitted) <= width
    assert fitted == " ".join(fitted.split())


def test_truncation_is_minimal() -> None:
    """A text is shortened only if it is too wide, and no more than necessary."""
    style = TextStyle(18, 400)
    width = load_font(style).getlength("Côte d’Iv…")

    assert truncate_to_width("Côte d’Ivoire", style, 1000) == "Côte d’Ivoire"
    assert truncate_to_width("Côte d’Ivoire", style, width) == "Côte d’Iv…"
    assert truncate_to_width("Côte d’Ivoire", style, width - 1) == "Côte d’I…"


@pytest.mark.parametrize("name", HARD_NAMES)
def test_every_letter_has_a_glyph(name: str) -> None:
    """The font has a glyph for every letter of hard names."""
    font = load_font(TextStyle(23, 500))
    missing_glyph = bytes(font.getmask("\U000e0fff"))

    assert [letter for letter in name if bytes(font.getmask(letter)) == missing_glyph] == []


@pytest.mark.parametrize("summary", [NORMAL, EMPTY_SUMMARY], ids=["normal", "empty"])
def test_png(summary: Summary) -> None:
    """The bytes are a PNG of 1200 by 630 pixels, with correct checksums, and show what was painted."""
    png = draw(summary)

    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[12:24] == b"IHDR" + (1200).to_bytes(4, "big") + (630).to_bytes(4, "big")
    with Image.open(BytesIO(png)) as image:
        image.verify()
    with Image.open(BytesIO(png)) as image:
        assert image.mode == "P"
        assert image.tobytes() == paint(build_layout(summary)).tobytes()


def test_colors() -> None:
    """Bar, track and background have their colours."""
    image = Image.open(BytesIO(draw(NORMAL))).convert("RGB")

    assert image.getpixel((500, 270)) == (0x0F, 0x6B, 0x66)
    assert image.getpixel((1000, 458)) == (0xEA, 0xE7, 0xDF)
    assert image.getpixel((0, 0)) == (0xFA, 0xF9, 0xF6)


def test_equal_summaries_give_equal_bytes() -> None:
    """Replicas with equal data serve equal bytes."""
    assert draw(replace(NORMAL)) == draw(NORMAL)


def background_and_text(theme: Theme) -> tuple[float, float]:
    """Return the luminance of the background, and of the brightest or darkest pixel on it."""
    with Image.open(BytesIO(draw(NORMAL, theme))) as image:
        gray = image.convert("L")
    background = gray.getpixel((0, 0))
    low, high = gray.getextrema()
    assert isinstance(background, int)
    assert isinstance(low, int)
    assert isinstance(high, int)
    return background, max(low, high, key=lambda luminance: abs(luminance - background))


def test_themes() -> None:
    """The light theme is dark on light, the dark theme light on dark, with the same layout."""
    assert background_and_text(Theme.LIGHT) == (249, 30)
    assert background_and_text(Theme.DARK) == (23, 244)
    assert draw(NORMAL, Theme.LIGHT) == draw(NORMAL)


@pytest.mark.parametrize("theme", list(Theme))
def test_contrast(theme: Theme) -> None:
    """Every text has the contrast that WCAG 2.2 requires of small text, 4.5 to 1."""

    def luminance(color: str) -> float:
        channels = (channel / 255 for channel in ImageColor.getrgb(color)[:3])
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    background, _, _, _, muted, strong, accent = map(luminance, PALETTES[theme])
    ratios = [(max(color, background) + 0.05) / (min(color, background) + 0.05) for color in (muted, strong, accent)]
    assert min(ratios) > 4.5


@pytest.mark.parametrize(
    ("provider", "attribution"),
    [
        ("restcountries", "Countries by REST Countries"),
        ("restcountries-v3", "Countries by REST Countries"),
        ("geonames", "Countries by GeoNames (CC BY 4.0)"),
        ("bundled", "Countries by GeoNames (CC BY 4.0), bundled with the server"),
    ],
)
def test_countries_attribution(provider: str, attribution: str) -> None:
    """The image shows the attribution of each countries provider."""
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
def test_rates_attribution(provider: str, attribution: str) -> None:
    """The image shows the attribution of each rates provider."""
    source = Provenance(provider=provider, as_of=None)
    assert attribution in layout_texts(replace(NORMAL, rates_source=source))
    assert provider in RATES_PROVIDERS


@pytest.mark.parametrize(
    ("provider", "attribution"),
    [
        ("world-bank", "Statistics by World Bank (CC BY 4.0)"),
        ("bundled", "Statistics by Unicode CLDR (Unicode-3.0), bundled with the server"),
    ],
)
def test_statistics_attribution(provider: str, attribution: str) -> None:
    """The image shows the attribution of each statistics provider."""
    source = Provenance(provider=provider, as_of=None)
    assert attribution in layout_texts(replace(NORMAL, statistics_source=source))
    assert provider in STATISTICS_PROVIDERS


def count_measurements(summary: Summary) -> int:
    """Return how many texts are measured during the layout."""
    count = 0

    def profile(_frame: FrameType, event: str, function: object) -> None:
        nonlocal count
        if event == "c_call" and getattr(function, "__name__", "") == "getlength":
            count += 1

    measure_width.cache_clear()
    sys.setprofile(profile)
    try:
        build_layout(summary)
    finally:
        sys.setprofile(None)
    return count


def test_long_names_are_cheap() -> None:
    """Truncation bisects, and measures at most the characters that a line can hold."""
    short, long, longer = (
        replace(NORMAL, top=make_top(*(("ABCDE"[index] + "W" * length, 1e9) for index in range(5))))
        for length in (5, 256, 10_000)
    )
    assert count_measurements(long) - count_measurements(short) == 5 * 8
    assert count_measurements(longer) == count_measurements(long)


@pytest.mark.parametrize("total", [0, 1, 250, 10**30])
def test_countries_without_estimates(total: int) -> None:
    """Without any estimate nothing overlaps, whatever the number of countries."""
    summary = replace(NORMAL, total_countries=total, top=())
    assert find_overlaps(build_layout(summary)) == []
    assert layout_texts(summary)[2:4] == ["No estimates yet", "An estimate needs a population and an exchange rate"]
