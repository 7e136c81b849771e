"""Painting of images: texts, bars, outlines and dots in a few colours, and the fonts of the texts."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from importlib.resources import as_file, files
from math import floor
from typing import NamedTuple, Protocol, TypeAlias

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFont

from graphql_api.images import SUMMARY_IMAGE_SIZE, SUMMARY_IMAGE_WIDTH, Theme
from graphql_api.images.png import encode_png
from graphql_api.utils.formatting import to_plain_line
from graphql_api.utils.slices import end_slice

LEFT, RIGHT = 72, SUMMARY_IMAGE_WIDTH - 72
"""The margins."""
GUTTER = 28
"""Pixels between columns."""

_RADIUS = 6
_BAR_SCALE, _OUTLINE_SCALE = 4, 2
"""Pillow's shapes are jagged, so they are drawn at a multiple of their size and reduced."""
_TEXT_MARGIN = 8
"""Pixels by which glyphs may begin before, and end behind, where they advance from and to."""
_MAX_TEXT_LENGTH = 256  # more characters fit on no line, and measuring them takes time

Ring: TypeAlias = Sequence[tuple[float, float]]


class Color(Enum):
    """Colours in painting order: later ones cover earlier ones."""

    SEA = auto()
    LAND = auto()
    TRACK = auto()
    MUTED = auto()
    STRONG = auto()
    ACCENT = auto()


PALETTES = {
    Theme.LIGHT: ("#FAF9F6", "#E4EDEF", "#CFCBC0", "#EAE7DF", "#5A6470", "#16202C", "#0F6B66"),
    Theme.DARK: ("#14181D", "#1A232A", "#3D4852", "#2B323A", "#A3ADB8", "#F2F4F6", "#4FC1B4"),
}
"""The background, then each colour in the order of `Color`."""
_SHADES = 24  # from background to colour: enough for smooth edges, few enough for a small file


class TextStyle(NamedTuple):
    """A size in pixels and a weight of the typeface, Inter, and a colour."""

    size: int
    weight: int
    color: Color = Color.STRONG


class Bounds(NamedTuple):
    """Covered pixels. `right` and `bottom` are exclusive."""

    left: float
    top: float
    right: float
    bottom: float


class Mask(NamedTuple):
    """How far each pixel of a rectangle is covered, from 0 to 255."""

    image: Image.Image
    left: int
    top: int


class Box(Protocol):
    """A part of an image."""

    @property
    def color(self) -> Color:
        """Return the colour of what is covered."""

    @property
    def bounds(self) -> Bounds:
        """Return the pixels that may be covered."""

    def draw(self) -> Mask:
        """Return the pixels that are covered."""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text, positioned by the left end of its baseline."""

    text: str
    style: TextStyle
    baseline: int
    left: float = LEFT

    @property
    def color(self) -> Color:
        """Return the colour of the style."""
        return self.style.color

    @property
    def bounds(self) -> Bounds:
        """Measured pixels of the glyphs."""
        left, top, right, bottom = load_font(self.style).getbbox(self.text, anchor="ls")
        x, y = self.left, self.baseline
        return Bounds(x + left, y + top, x + right, y + bottom)

    def draw(self) -> Mask:
        """Return the glyphs."""
        return _draw_text(self)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle with rounded corners."""

    bounds: Bounds
    color: Color

    def draw(self) -> Mask:
        """Return the rectangle. Only its ends are drawn at a multiple of their size."""
        left, top, right, bottom = map(round, self.bounds)
        width, height = right - left, bottom - top
        end = min(width, 2 * _RADIUS)
        ends = _reduce((end, height), _BAR_SCALE, _draw_rounded_rectangle)
        image = Image.new("L", (width, height), 255)
        image.paste(ends.crop((0, 0, end // 2, height)), (0, 0))
        image.paste(ends.crop((end // 2, 0, end, height)), (width - end + end // 2, 0))
        return Mask(image, left, top)


@dataclass(frozen=True, slots=True)
class Outlines:
    """Areas in a rectangle, with thin gaps between those that touch."""

    bounds: Bounds
    color: Color
    rings: Sequence[Ring]
    """From the top left of the rectangle. Rings that run clockwise are areas, the others holes in them."""
    scale: float
    """Pixels in a unit of the rings."""

    def draw(self) -> Mask:
        """Return the areas."""
        left, top, right, bottom = map(round, self.bounds)
        return Mask(_reduce((right - left, bottom - top), _OUTLINE_SCALE, self._draw_rings), left, top)

    def _draw_rings(self, image: Image.Image) -> None:
        canvas, scale = ImageDraw.Draw(image), self.scale * _OUTLINE_SCALE
        for ring in self.rings:
            end_slice()
            points = [(x * scale, y * scale) for x, y in ring]
            canvas.polygon(points, fill=255 if _is_clockwise(ring) else 0, outline=0)


@dataclass(frozen=True, slots=True)
class Dot:
    """A circle."""

    bounds: Bounds
    color: Color

    def draw(self) -> Mask:
        """Return the circle."""
        left, top, right, bottom = map(round, self.bounds)
        return Mask(_reduce((right - left, bottom - top), _BAR_SCALE, _draw_ellipse), left, top)


def encode(boxes: Iterable[Box], theme: Theme) -> bytes:
    """Return an image as PNG.

    Draw in one thread: images share the fonts, and FreeType fonts are not thread-safe.
    """
    return encode_png(paint(boxes), _build_palette(theme))


def paint(boxes: Iterable[Box]) -> Image.Image:
    """Return an image whose pixels are indexes into the palette of a theme.

    Each box is painted as a mask and mapped to the range of shades of its colour. This gives smooth edges
    without quantizing, which takes longer than everything else.
    """
    canvas = Image.new("L", SUMMARY_IMAGE_SIZE)
    for box in boxes:
        end_slice()
        mask = box.draw()
        area = (mask.left, mask.top, mask.left + mask.image.width, mask.top + mask.image.height)
        indexes = mask.image.point(_list_palette_indexes(box.color))
        canvas.paste(ImageChops.lighter(canvas.crop(area), indexes), area)
    return canvas


def truncate_to_width(text: str, style: TextStyle, width: float) -> str:
    """Return `text` as one plain line, with an ellipsis if it is wider than `width` pixels."""
    line = to_plain_line(text[:_MAX_TEXT_LENGTH])
    if measure_width(line, style) <= width:
        return line

    def truncated(length: int) -> str:
        return line[:length].rstrip() + "…"

    lengths = range(len(line))
    fitting = bisect_right(lengths, width, key=lambda n: measure_width(truncated(n), style))
    return truncated(fitting - 1)


def align_right(text: str, style: TextStyle, baseline: int) -> Text:
    """Return a text that ends at the right margin."""
    return Text(text, style, baseline, left=RIGHT - measure_width(text, style))


@lru_cache(maxsize=256)
def measure_width(text: str, style: TextStyle) -> float:
    """Return the pixels that a text advances."""
    end_slice()
    return load_font(style).getlength(text)


def load_font(style: TextStyle) -> ImageFont.FreeTypeFont:
    """Return the font of a style."""
    return _open_font(style.size, style.weight)


@lru_cache(maxsize=24)
def _open_font(size: int, weight: int) -> ImageFont.FreeTypeFont:
    # Raqm, the other engine, depends on a system library, so that replicas could differ.
    with as_file(files("fontpkg_inter") / "files" / "Inter[opsz,wght].ttf") as path:
        font = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    font.set_variation_by_axes([min(max(size, 14), 32), weight])
    return font


@lru_cache(maxsize=32)
def _draw_text(text: Text) -> Mask:
    """Return the glyphs, which take more time than all else. Themes share them.

    They are drawn to a larger image and cut out of it: to measure them takes half as long as to draw them.
    """
    font = load_font(text.style)
    ascent, descent = font.getmetrics()
    left, top = floor(text.left) - _TEXT_MARGIN, text.baseline - ascent
    width = min(len(text.text) * text.style.size * 2, SUMMARY_IMAGE_WIDTH - left) + _TEXT_MARGIN
    image = Image.new("L", (width, ascent + descent))
    ImageDraw.Draw(image).text((text.left - left, ascent), text.text, fill=255, font=font, anchor="ls")
    box = image.getbbox() or (0, 0, 1, 1)  # no text may have glyphs
    return Mask(image.crop(box), left + box[0], top + box[1])


def _is_clockwise(ring: Ring) -> bool:
    """Return whether a ring is an area; holes run the other way round."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)) > 0


def _reduce(size: tuple[int, int], scale: int, draw: Callable[[Image.Image], None]) -> Image.Image:
    """Return what is drawn on an image of a multiple of a size, reduced to the size."""
    large = Image.new("L", (size[0] * scale, size[1] * scale))
    draw(large)
    return large.reduce(scale)


def _draw_rounded_rectangle(image: Image.Image) -> None:
    radius = min(_RADIUS * _BAR_SCALE, image.width // 2, image.height // 2)
    ImageDraw.Draw(image).rounded_rectangle((0, 0, image.width - 1, image.height - 1), radius, fill=255)


def _draw_ellipse(image: Image.Image) -> None:
    ImageDraw.Draw(image).ellipse((0, 0, image.width - 1, image.height - 1), fill=255)


@lru_cache(maxsize=len(Color))
def _list_palette_indexes(color: Color) -> list[int]:
    """Return the index into a palette for each value of a mask."""
    shades = (round(value / 255 * _SHADES) for value in range(256))
    first = (color.value - 1) * _SHADES
    return [shade and first + shade for shade in shades]


@lru_cache(maxsize=len(Theme))
def _build_palette(theme: Theme) -> bytes:
    background, *colors = map(ImageColor.getrgb, PALETTES[theme])
    palette: list[tuple[int, ...]] = [background]
    for color in colors:
        for shade in range(1, _SHADES + 1):
            channel_pairs = zip(background, color, strict=True)
            palette.append(tuple(round(p + (i - p) * shade / _SHADES) for p, i in channel_pairs))
    return bytes(channel for rgb in palette for channel in rgb)
