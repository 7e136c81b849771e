"""The summary image: a pure function from figures to PNG bytes."""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from functools import lru_cache
from importlib.resources import as_file, files
from io import BytesIO
from threading import Lock
from typing import NamedTuple

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFont

from graphql_api.domain.report import SourceKind
from graphql_api.domain.summary import Summary, TopCountry
from graphql_api.sources.registry import get_short_attribution

SIZE = WIDTH, HEIGHT = 1200, 630
_LEFT, _RIGHT = 72, WIDTH - 72
_GUTTER = 28

_COUNT_BASELINE, _HEADING_BASELINE = 154, 226
_FIRST_ROW, _ROW_PITCH, _BAR_HEIGHT, _RADIUS = 270, 47, 22, 6
_BASELINE_OFFSET = 8  # from a row's middle to its baseline
_RULE, _FOOTER_BASELINE, _FOOTER_PITCH = 500, 541, 29

_MAX_COUNT_WIDTH, _MAX_NAME_WIDTH = 760, 440
_MIN_BAR_WIDTH = 6
_MAX_TEXT_LENGTH = (
    256  # no line holds more letters than this, and measuring more of them takes time
)

_UNIT_SUFFIXES = ("", "K", "M", "B", "T", "Q")
_UNIT_FACTOR = 1000
_MIN_WITHOUT_DECIMALS = 100  # from here on whole numbers say enough
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_TITLE = "Highest estimated GDP"
_DISCLAIMER = "Rough estimates from population and exchange rate, in US dollars"
_EMPTY_TITLE = "No estimates yet"
_EMPTY_HINT = "An estimate needs a population and an exchange rate"


class Color(Enum):
    """A colour on the paper; where two meet, the later one covers the earlier one."""

    TRACK = "#EAE7DF"
    MUTED = "#5A6470"
    STRONG = "#16202C"
    ACCENT = "#0F6B66"


_BACKGROUND = "#FAF9F6"
_SHADES = 24  # steps from paper to ink: enough for smooth edges, few enough for a small file


@dataclass(frozen=True, slots=True)
class FontSpec:
    """The one typeface in a size (pixels) and a weight."""

    size: int
    weight: int


_COUNT_FONT = FontSpec(118, 700)
_NOUN_FONT = FontSpec(46, 500)
_MESSAGE_FONT = FontSpec(34, 600)
_HEADING_FONT = FontSpec(22, 600)
_NAME_FONT = FontSpec(23, 500)
_AMOUNT_FONT = FontSpec(23, 600)
_SMALL_FONT = FontSpec(18, 400)


class Bounds(NamedTuple):
    """The pixels that something covers; right and bottom are the first ones it does not."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One line of text, placed by the left end of its baseline."""

    text: str
    left: float = _LEFT
    baseline: int
    font: FontSpec
    color: Color = Color.STRONG

    @property
    def bounds(self) -> Bounds:
        """Where its letters are, as measured."""
        left, top, right, bottom = _load_font(self.font).getbbox(self.text, anchor="ls")
        return Bounds(
            self.left + left, self.baseline + top, self.left + right, self.baseline + bottom
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle with round corners."""

    bounds: Bounds
    color: Color


Layout = tuple[Text | Bar, ...]

# The fonts are shared by all threads, and FreeType lets only one at a time use a font.
_font_lock = Lock()


def draw(summary: Summary) -> bytes:
    """Return the picture of `summary` as a PNG; equal summaries give equal bytes."""
    with _font_lock:
        canvas = _paint(build_layout(summary))
    canvas.putpalette(_palette())
    png = BytesIO()
    canvas.save(png, "PNG")
    return png.getvalue()


def describe(summary: Summary) -> str:
    """Return what the picture of `summary` says, in words."""
    ranking = ", ".join(
        f"{_to_plain_text(c.name)} {format_usd(c.estimated_gdp)}" for c in summary.top
    )
    sentences = (
        f"{summary.total_countries:,} {_count_noun(summary)}",
        f"{_TITLE}: {ranking}" if summary.top else _EMPTY_TITLE,
        _DISCLAIMER if summary.top else _EMPTY_HINT,
        *(attribution + as_of for attribution, as_of in _format_attributions(summary)),
        _format_refreshed_at(summary.refreshed_at),
    )
    return ". ".join(sentences) + "."


def format_usd(amount: float) -> str:
    """Return an amount of US dollars in as few letters as an estimate deserves, e.g. "$3.1T"."""
    scaled = amount
    for unit in _UNIT_SUFFIXES:
        decimals = 1 if unit and round(scaled, 1) < _MIN_WITHOUT_DECIMALS else 0
        if round(scaled, decimals) < _UNIT_FACTOR:
            return f"${scaled:.{decimals}f}{unit}"
        scaled /= _UNIT_FACTOR
    return f"${amount:.1e}".replace("e+", "e")


def build_layout(summary: Summary) -> Layout:
    """Return everything the picture of `summary` shows, each in its place."""
    return (
        *_layout_headline(summary),
        *(_layout_ranking(summary.top) if summary.top else _layout_empty_ranking()),
        *_layout_footer(summary),
    )


def truncate_to_width(text: str, *, font: FontSpec, width: float) -> str:
    """Return `text` on one line, shortened with an ellipsis where it is wider than `width`."""
    line = _to_plain_text(text[:_MAX_TEXT_LENGTH])
    if _measure_width(line, font) <= width:
        return line

    def truncated(length: int) -> str:
        return line[:length].rstrip() + "…"

    fitting = bisect_right(
        range(len(line)), width, key=lambda n: _measure_width(truncated(n), font)
    )
    return truncated(fitting - 1)


def _layout_headline(summary: Summary) -> Iterator[Text]:
    count = truncate_to_width(
        f"{summary.total_countries:,}", font=_COUNT_FONT, width=_MAX_COUNT_WIDTH
    )
    # Large figures have air on their left; without it they line up with the small text below.
    left = _LEFT - _load_font(_COUNT_FONT).getbbox(count, anchor="ls")[0]
    noun_left = left + _measure_width(count, _COUNT_FONT) + _GUTTER // 2
    yield Text(text=count, left=left, baseline=_COUNT_BASELINE, font=_COUNT_FONT)
    yield Text(
        text=_count_noun(summary),
        left=noun_left,
        baseline=_COUNT_BASELINE,
        font=_NOUN_FONT,
        color=Color.MUTED,
    )


def _layout_ranking(top: tuple[TopCountry, ...]) -> Iterator[Text | Bar]:
    yield Text(text=_TITLE, baseline=_HEADING_BASELINE, font=_HEADING_FONT)
    yield _align_right(
        Text(text=_DISCLAIMER, baseline=_HEADING_BASELINE, font=_SMALL_FONT, color=Color.MUTED)
    )
    names = [
        truncate_to_width(country.name, font=_NAME_FONT, width=_MAX_NAME_WIDTH) for country in top
    ]
    amounts = [format_usd(country.estimated_gdp) for country in top]
    left = _LEFT + max(_measure_width(name, _NAME_FONT) for name in names) + _GUTTER
    right = _RIGHT - max(_measure_width(amount, _AMOUNT_FONT) for amount in amounts) - _GUTTER
    max_gdp = max(country.estimated_gdp for country in top) or 1
    for index, country in enumerate(top):
        middle = _FIRST_ROW + index * _ROW_PITCH
        length = round((right - left) * (country.estimated_gdp / max_gdp))
        baseline = middle + _BASELINE_OFFSET
        yield Text(text=names[index], baseline=baseline, font=_NAME_FONT)
        yield _build_bar(left, right, middle=middle, color=Color.TRACK)
        yield _build_bar(
            left, left + max(length, _MIN_BAR_WIDTH), middle=middle, color=Color.ACCENT
        )
        yield _align_right(Text(text=amounts[index], baseline=baseline, font=_AMOUNT_FONT))


def _layout_empty_ranking() -> Iterator[Text]:
    yield Text(text=_EMPTY_TITLE, baseline=_FIRST_ROW + 56, font=_MESSAGE_FONT)
    yield Text(text=_EMPTY_HINT, baseline=_FIRST_ROW + 94, font=_NAME_FONT, color=Color.MUTED)


def _layout_footer(summary: Summary) -> Iterator[Text | Bar]:
    yield Bar(bounds=Bounds(_LEFT, _RULE, _RIGHT, _RULE + 2), color=Color.TRACK)
    refreshed_text = _format_refreshed_at(summary.refreshed_at)
    refreshed_line = _align_right(
        Text(text=refreshed_text, baseline=_FOOTER_BASELINE, font=_SMALL_FONT, color=Color.MUTED)
    )
    yield refreshed_line
    width = refreshed_line.left - _GUTTER - _LEFT
    for index, (attribution, as_of) in enumerate(_format_attributions(summary)):
        line = (
            truncate_to_width(
                attribution, font=_SMALL_FONT, width=width - _measure_width(as_of, _SMALL_FONT)
            )
            + as_of
        )
        baseline = _FOOTER_BASELINE + index * _FOOTER_PITCH
        yield Text(text=line, baseline=baseline, font=_SMALL_FONT, color=Color.MUTED)


def _align_right(text: Text) -> Text:
    return replace(text, left=_RIGHT - _measure_width(text.text, text.font))


def _build_bar(left: float, right: float, *, middle: int, color: Color) -> Bar:
    half = _BAR_HEIGHT // 2
    return Bar(bounds=Bounds(left, middle - half, right, middle + half), color=color)


def _count_noun(summary: Summary) -> str:
    return "country" if summary.total_countries == 1 else "countries"


def _format_attributions(summary: Summary) -> Iterator[tuple[str, str]]:
    """Yield the provider of each kind of data, and the date of its data if it is known."""
    sources = {
        SourceKind.COUNTRIES: summary.countries_source,
        SourceKind.RATES: summary.rates_source,
    }
    for kind, source in sources.items():
        if source is not None:
            attribution = get_short_attribution(kind, source.provider)
            as_of = f", {format_date(source.as_of)}" if source.as_of else ""
            name = attribution or _to_plain_text(source.provider)
            yield f"{kind.capitalize()} by {name}", as_of


def _format_refreshed_at(refreshed_at: datetime | None) -> str:
    return f"Refreshed {format_datetime(refreshed_at)}" if refreshed_at else "Not refreshed yet"


def format_datetime(value: datetime) -> str:
    """Return an instant to the minute, e.g. "24 Nov 2026, 16:26 UTC"."""
    return f"{format_date(value)}, {value:%H:%M} UTC"


def format_date(value: datetime) -> str:
    """Return the day of an instant, e.g. "24 Nov 2026"."""
    # Not strftime: its month names are those of the process's locale.
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def _to_plain_text(text: str) -> str:
    """Return `text` on one line, without what has no place on it.

    Invisible characters would turn text around or show as boxes, and marks that make no letter
    with the one before them would pile up beyond the line.
    """
    composed = unicodedata.normalize("NFC", text)
    visible = (c for c in composed if c.isspace() or unicodedata.category(c)[0] not in "CM")
    return " ".join("".join(visible).split())


@lru_cache(maxsize=16)
def _load_font(spec: FontSpec) -> ImageFont.FreeTypeFont:
    # The basic engine is the same everywhere; the other one depends on a system library.
    with as_file(files("fontpkg_inter") / "files" / "Inter[opsz,wght].ttf") as path:
        font = ImageFont.truetype(path, spec.size, layout_engine=ImageFont.Layout.BASIC)
    font.set_variation_by_axes([min(max(spec.size, 14), 32), spec.weight])
    return font


def _measure_width(text: str, font: FontSpec) -> float:
    return _load_font(font).getlength(text)


def _paint(boxes: Layout) -> Image.Image:
    """Return an image whose values are places in the palette.

    Each ink is painted as a mask and takes the next run of shades. So edges are smooth without
    looking for the best palette, which takes longer than everything else.
    """
    canvas = Image.new("L", SIZE)
    for index, color in enumerate(Color):
        mask = Image.new("L", SIZE)
        for box in boxes:
            if box.color is color:
                _paint_box(mask, box)
        shades = (round(value / 255 * _SHADES) for value in range(256))
        palette_indexes = [shade and index * _SHADES + shade for shade in shades]
        canvas = ImageChops.lighter(canvas, mask.point(palette_indexes))
    return canvas


def _paint_box(mask: Image.Image, box: Text | Bar) -> None:
    if isinstance(box, Bar):
        mask.paste(_bar_mask(box.bounds), (round(box.bounds.left), round(box.bounds.top)))
    else:
        position, font = (box.left, box.baseline), _load_font(box.font)
        ImageDraw.Draw(mask).text(position, box.text, fill=255, font=font, anchor="ls")


def _bar_mask(bounds: Bounds) -> Image.Image:
    """Draw a bar at four times its size and reduce it, since Pillow's corners are jagged."""
    width, height = round(bounds.right - bounds.left) * 4, round(bounds.bottom - bounds.top) * 4
    large = Image.new("L", (width, height))
    radius = min(_RADIUS * 4, width // 2, height // 2)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, width - 1, height - 1), radius, fill=255)
    return large.reduce(4)


@lru_cache(maxsize=1)
def _palette() -> bytes:
    palette: list[tuple[int, ...]] = [ImageColor.getrgb(_BACKGROUND)]
    for color in Color:
        for shade in range(1, _SHADES + 1):
            channel_pairs = zip(palette[0], ImageColor.getrgb(color.value), strict=True)
            palette.append(tuple(round(p + (i - p) * shade / _SHADES) for p, i in channel_pairs))
    return bytes(channel for rgb in palette for channel in rgb)
