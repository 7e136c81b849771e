"""The drawing of the summary image: a pure function from a summary to PNG bytes."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from importlib.resources import as_file, files
from io import BytesIO
from threading import Lock
from typing import NamedTuple

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFont

from graphql_api.domain.summary import Summary, TopCountry
from graphql_api.images import SUMMARY_IMAGE_SIZE, SUMMARY_IMAGE_WIDTH, summary_text
from graphql_api.utils.formatting import format_usd, to_plain_line

_LEFT, _RIGHT = 72, SUMMARY_IMAGE_WIDTH - 72
_GUTTER = 28

_COUNT_BASELINE, _HEADING_BASELINE = 154, 226
_FIRST_ROW, _ROW_PITCH, _BAR_HEIGHT, _RADIUS = 270, 47, 22, 6
_BASELINE_OFFSET = 8  # from the middle of a row
_RULE, _FOOTER_BASELINE, _FOOTER_PITCH = 500, 541, 29

_MAX_COUNT_WIDTH, _MAX_NAME_WIDTH = 760, 440
_MIN_BAR_WIDTH = 6
_MAX_TEXT_LENGTH = 256  # more characters fit on no line, and measuring them takes time


class Color(Enum):
    """Colours in painting order: later ones cover earlier ones."""

    TRACK = "#EAE7DF"
    MUTED = "#5A6470"
    STRONG = "#16202C"
    ACCENT = "#0F6B66"


_BACKGROUND = "#FAF9F6"
_SHADES = 24  # from background to colour: enough for smooth edges, few enough for a small file


@dataclass(frozen=True, slots=True)
class FontSpec:
    """A size in pixels and a weight of the typeface, Inter."""

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
    """Covered pixels. `right` and `bottom` are exclusive."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A line of text, positioned by the left end of its baseline."""

    text: str
    left: float = _LEFT
    baseline: int
    font: FontSpec
    color: Color = Color.STRONG

    @property
    def bounds(self) -> Bounds:
        """Measured pixels of the glyphs."""
        left, top, right, bottom = _load_font(self.font).getbbox(self.text, anchor="ls")
        return Bounds(
            self.left + left, self.baseline + top, self.left + right, self.baseline + bottom
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle with rounded corners."""

    bounds: Bounds
    color: Color


Layout = tuple[Text | Bar, ...]

# Threads share the fonts, and FreeType fonts are not thread-safe.
_font_lock = Lock()


def draw(summary: Summary) -> bytes:
    """Return the image as PNG. Equal summaries give equal bytes."""
    with _font_lock:
        canvas = _paint(build_layout(summary))
    canvas.putpalette(_palette())
    png = BytesIO()
    canvas.save(png, "PNG")
    return png.getvalue()


def build_layout(summary: Summary) -> Layout:
    """Return the texts and bars of the image, positioned."""
    return (
        *_layout_headline(summary),
        *(_layout_ranking(summary.top) if summary.top else _layout_empty_ranking()),
        *_layout_footer(summary),
    )


def truncate_to_width(text: str, *, font: FontSpec, width: float) -> str:
    """Return `text` as one plain line, with an ellipsis if it is wider than `width` pixels."""
    line = to_plain_line(text[:_MAX_TEXT_LENGTH])
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
    # Removes the bearing left of large digits, which would break the alignment with the text below.
    left = _LEFT - _load_font(_COUNT_FONT).getbbox(count, anchor="ls")[0]
    noun_left = left + _measure_width(count, _COUNT_FONT) + _GUTTER // 2
    yield Text(text=count, left=left, baseline=_COUNT_BASELINE, font=_COUNT_FONT)
    yield Text(
        text=summary_text.country_noun(summary),
        left=noun_left,
        baseline=_COUNT_BASELINE,
        font=_NOUN_FONT,
        color=Color.MUTED,
    )


def _layout_ranking(top: tuple[TopCountry, ...]) -> Iterator[Text | Bar]:
    yield Text(text=summary_text.TITLE, baseline=_HEADING_BASELINE, font=_HEADING_FONT)
    yield _align_right(
        Text(
            text=summary_text.DISCLAIMER,
            baseline=_HEADING_BASELINE,
            font=_SMALL_FONT,
            color=Color.MUTED,
        )
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
    yield Text(text=summary_text.EMPTY_TITLE, baseline=_FIRST_ROW + 56, font=_MESSAGE_FONT)
    yield Text(
        text=summary_text.EMPTY_HINT, baseline=_FIRST_ROW + 94, font=_NAME_FONT, color=Color.MUTED
    )


def _layout_footer(summary: Summary) -> Iterator[Text | Bar]:
    yield Bar(bounds=Bounds(_LEFT, _RULE, _RIGHT, _RULE + 2), color=Color.TRACK)
    refreshed_text = summary_text.format_refreshed_at(summary.refreshed_at)
    refreshed_line = _align_right(
        Text(text=refreshed_text, baseline=_FOOTER_BASELINE, font=_SMALL_FONT, color=Color.MUTED)
    )
    yield refreshed_line
    width = refreshed_line.left - _GUTTER - _LEFT
    for index, (attribution, as_of) in enumerate(summary_text.format_attributions(summary)):
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


@lru_cache(maxsize=16)
def _load_font(spec: FontSpec) -> ImageFont.FreeTypeFont:
    # Raqm, the other engine, depends on a system library, so that replicas could differ.
    with as_file(files("fontpkg_inter") / "files" / "Inter[opsz,wght].ttf") as path:
        font = ImageFont.truetype(path, spec.size, layout_engine=ImageFont.Layout.BASIC)
    font.set_variation_by_axes([min(max(spec.size, 14), 32), spec.weight])
    return font


def _measure_width(text: str, font: FontSpec) -> float:
    return _load_font(font).getlength(text)


def _paint(boxes: Layout) -> Image.Image:
    """Return an image whose pixels are indexes into `_palette`.

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
        position, font = (box.left, box.baseline), _load_font(box.font)
        ImageDraw.Draw(mask).text(position, box.text, fill=255, font=font, anchor="ls")


def _bar_mask(bounds: Bounds) -> Image.Image:
    """Draw a bar at four times its size and reduce it: Pillow's rounded corners are jagged."""
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
