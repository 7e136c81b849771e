"""The drawing of the summary image: a pure function from a summary to PNG bytes."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from importlib.resources import as_file, files
from threading import Lock
from typing import NamedTuple

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFont

from graphql_api.domain.snapshot import Summary
from graphql_api.images import SUMMARY_IMAGE_SIZE, SUMMARY_IMAGE_WIDTH, Theme, summary_text
from graphql_api.images.png import encode_png
from graphql_api.utils.formatting import to_plain_line

_LEFT, _RIGHT = 72, SUMMARY_IMAGE_WIDTH - 72
_GUTTER = 28

_COUNT_BASELINE, _HEADING_BASELINE = 154, 226
_FIRST_ROW, _ROW_PITCH, _BAR_HEIGHT, _RADIUS = 270, 47, 22, 6
_BASELINE_OFFSET = 8  # from the middle of a row
_RULE, _FOOTER_BASELINE, _FOOTER_PITCH = 490, 523, 26

_MAX_COUNT_WIDTH, _MAX_NAME_WIDTH = 760, 440
_MIN_BAR_WIDTH = 6
_MAX_TEXT_LENGTH = 256  # more characters fit on no line, and measuring them takes time


class Color(Enum):
    """Colours in painting order: later ones cover earlier ones."""

    TRACK = auto()
    MUTED = auto()
    STRONG = auto()
    ACCENT = auto()


_PALETTES = {
    Theme.LIGHT: ("#FAF9F6", "#EAE7DF", "#5A6470", "#16202C", "#0F6B66"),
    Theme.DARK: ("#14181D", "#2B323A", "#A3ADB8", "#F2F4F6", "#4FC1B4"),
}
"""The background, then each colour in the order of `Color`."""
_SHADES = 24  # from background to colour: enough for smooth edges, few enough for a small file


class TextStyle(NamedTuple):
    """A size in pixels and a weight of the typeface, Inter, and a colour."""

    size: int
    weight: int
    color: Color = Color.STRONG


_COUNT = TextStyle(118, 700)
_NOUN = TextStyle(46, 500, Color.MUTED)
_MESSAGE = TextStyle(34, 600)
_HEADING = TextStyle(22, 600)
_NAME = TextStyle(23, 500)
_HINT = TextStyle(23, 500, Color.MUTED)
_AMOUNT = TextStyle(23, 600)
_SMALL = TextStyle(18, 400, Color.MUTED)


class Bounds(NamedTuple):
    """Covered pixels. `right` and `bottom` are exclusive."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text, positioned by the left end of its baseline."""

    text: str
    style: TextStyle
    baseline: int
    left: float = _LEFT

    @property
    def color(self) -> Color:
        """Return the colour of the style."""
        return self.style.color

    @property
    def bounds(self) -> Bounds:
        """Measured pixels of the glyphs."""
        left, top, right, bottom = _load_font(self.style).getbbox(self.text, anchor="ls")
        x, y = self.left, self.baseline
        return Bounds(x + left, y + top, x + right, y + bottom)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle with rounded corners."""

    bounds: Bounds
    color: Color


# Threads share the fonts, and FreeType fonts are not thread-safe.
_font_lock = Lock()


def draw(summary: Summary, theme: Theme = Theme.LIGHT) -> bytes:
    """Return the image as PNG. Equal summaries and themes give equal bytes."""
    with _font_lock:
        canvas = _paint(build_layout(summary))
    return encode_png(canvas, _build_palette(theme))


def build_layout(summary: Summary) -> tuple[Text | Bar, ...]:
    """Return the texts and bars of the image, positioned."""
    return (*_layout_headline(summary), *_layout_ranking(summary), *_layout_footer(summary))


def truncate_to_width(text: str, style: TextStyle, width: float) -> str:
    """Return `text` as one plain line, with an ellipsis if it is wider than `width` pixels."""
    line = to_plain_line(text[:_MAX_TEXT_LENGTH])
    if _measure_width(line, style) <= width:
        return line

    def truncated(length: int) -> str:
        return line[:length].rstrip() + "…"

    lengths = range(len(line))
    fitting = bisect_right(lengths, width, key=lambda n: _measure_width(truncated(n), style))
    return truncated(fitting - 1)


def _layout_headline(summary: Summary) -> Iterator[Text]:
    count = truncate_to_width(f"{summary.total_countries:,}", _COUNT, _MAX_COUNT_WIDTH)
    # Removes the bearing left of large digits, which would break the alignment with the text below.
    left = _LEFT - _load_font(_COUNT).getbbox(count, anchor="ls")[0]
    yield Text(count, _COUNT, _COUNT_BASELINE, left)
    noun_left = left + _measure_width(count, _COUNT) + _GUTTER // 2
    yield Text(summary_text.country_noun(summary), _NOUN, _COUNT_BASELINE, noun_left)


def _layout_ranking(summary: Summary) -> Iterator[Text | Bar]:
    top = summary.top
    if not top:
        yield Text(summary_text.EMPTY_TITLE, _MESSAGE, _FIRST_ROW + 56)
        yield Text(summary_text.EMPTY_HINT, _HINT, _FIRST_ROW + 94)
        return
    yield Text(summary_text.TITLES[summary.ranking], _HEADING, _HEADING_BASELINE)
    yield _align_right(summary_text.DISCLAIMERS[summary.ranking], _SMALL, _HEADING_BASELINE)
    names = [truncate_to_width(country.name, _NAME, _MAX_NAME_WIDTH) for country in top]
    amounts = [summary_text.format_amount(country) for country in top]
    left = _LEFT + max(_measure_width(name, _NAME) for name in names) + _GUTTER
    right = _RIGHT - max(_measure_width(amount, _AMOUNT) for amount in amounts) - _GUTTER
    max_amount = max(country.amount for country in top) or 1
    for index, country in enumerate(top):
        middle = _FIRST_ROW + index * _ROW_PITCH
        bar_top, bar_bottom = middle - _BAR_HEIGHT // 2, middle + _BAR_HEIGHT // 2
        length = max(round((right - left) * (country.amount / max_amount)), _MIN_BAR_WIDTH)
        yield Text(names[index], _NAME, middle + _BASELINE_OFFSET)
        yield Bar(Bounds(left, bar_top, right, bar_bottom), Color.TRACK)
        yield Bar(Bounds(left, bar_top, left + length, bar_bottom), Color.ACCENT)
        yield _align_right(amounts[index], _AMOUNT, middle + _BASELINE_OFFSET)


def _layout_footer(summary: Summary) -> Iterator[Text | Bar]:
    yield Bar(Bounds(_LEFT, _RULE, _RIGHT, _RULE + 2), Color.TRACK)
    refreshed_at = summary_text.format_refreshed_at(summary.refreshed_at)
    refreshed_line = _align_right(refreshed_at, _SMALL, _FOOTER_BASELINE)
    yield refreshed_line
    width = refreshed_line.left - _GUTTER - _LEFT
    for index, (attribution, as_of) in enumerate(summary_text.format_attributions(summary)):
        line = truncate_to_width(attribution, _SMALL, width - _measure_width(as_of, _SMALL)) + as_of
        yield Text(line, _SMALL, _FOOTER_BASELINE + index * _FOOTER_PITCH)


def _align_right(text: str, style: TextStyle, baseline: int) -> Text:
    return Text(text, style, baseline, left=_RIGHT - _measure_width(text, style))


@lru_cache(maxsize=16)
def _load_font(style: TextStyle) -> ImageFont.FreeTypeFont:
    # Raqm, the other engine, depends on a system library, so that replicas could differ.
    with as_file(files("fontpkg_inter") / "files" / "Inter[opsz,wght].ttf") as path:
        font = ImageFont.truetype(path, style.size, layout_engine=ImageFont.Layout.BASIC)
    font.set_variation_by_axes([min(max(style.size, 14), 32), style.weight])
    return font


def _measure_width(text: str, style: TextStyle) -> float:
    return _load_font(style).getlength(text)


def _paint(boxes: tuple[Text | Bar, ...]) -> Image.Image:
    """Return an image whose pixels are indexes into the palette of a theme.

    Each colour is painted as a mask and mapped to its own range of shades. This gives smooth edges
    without quantizing, which takes longer than everything else.
    """
    canvas = Image.new("L", SUMMARY_IMAGE_SIZE)
    for index, color in enumerate(Color):
        mask = Image.new("L", SUMMARY_IMAGE_SIZE)
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
        position, font = (box.left, box.baseline), _load_font(box.style)
        ImageDraw.Draw(mask).text(position, box.text, fill=255, font=font, anchor="ls")


def _bar_mask(bounds: Bounds) -> Image.Image:
    """Draw a bar at four times its size and reduce it: Pillow's rounded corners are jagged."""
    width, height = round(bounds.right - bounds.left) * 4, round(bounds.bottom - bounds.top) * 4
    large = Image.new("L", (width, height))
    radius = min(_RADIUS * 4, width // 2, height // 2)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, width - 1, height - 1), radius, fill=255)
    return large.reduce(4)


@lru_cache(maxsize=len(Theme))
def _build_palette(theme: Theme) -> bytes:
    background, *colors = map(ImageColor.getrgb, _PALETTES[theme])
    palette: list[tuple[int, ...]] = [background]
    for color in colors:
        for shade in range(1, _SHADES + 1):
            channel_pairs = zip(background, color, strict=True)
            palette.append(tuple(round(p + (i - p) * shade / _SHADES) for p, i in channel_pairs))
    return bytes(channel for rgb in palette for channel in rgb)
