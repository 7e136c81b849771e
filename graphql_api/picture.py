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

from graphql_api.domain.summary import SourceLine, Summary, TopCountry

SIZE = WIDTH, HEIGHT = 1200, 630
_LEFT, _RIGHT = 72, WIDTH - 72
_GUTTER = 28

_COUNT_BASELINE, _HEADING_BASELINE = 154, 226
_FIRST_ROW, _ROW_PITCH, _BAR_HEIGHT, _RADIUS = 270, 47, 22, 6
_NAME_DROP = 8  # from a row's middle to its baseline
_RULE, _FOOTER_BASELINE, _FOOTER_PITCH = 500, 541, 29

_WIDEST_COUNT, _WIDEST_NAME = 760, 440
_NARROWEST_BAR = 6
_LONGEST = 256  # no line holds more letters than this, and measuring more of them takes time

_UNITS = ("", "K", "M", "B", "T", "Q")
_UNIT = 1000
_NO_DECIMALS = 100  # from here on whole numbers say enough
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_TITLE = "Highest estimated GDP"
_CAVEAT = "Rough estimates from population and exchange rate, in US dollars"
_NOTHING = "No estimates yet"
_REMEDY = "An estimate needs a population and an exchange rate"
_CREDITS = {
    ("Countries", "geonames"): "GeoNames (CC BY 4.0)",
    ("Countries", "restcountries"): "REST Countries",
    ("Countries", "restcountries-v3"): "REST Countries",
    ("Countries", "bundled"): "GeoNames (CC BY 4.0), bundled with the server",
    ("Rates", "er-api"): "Exchange Rate API",
    ("Rates", "frankfurter"): "Frankfurter",
    ("Rates", "fawazahmed0"): "fawazahmed0 currency-api (CC0)",
    ("Rates", "bundled"): "fawazahmed0 currency-api (CC0), bundled with the server",
}


class Ink(Enum):
    """A colour on the paper; where two meet, the later one covers the earlier one."""

    TRACK = "#EAE7DF"
    MUTED = "#5A6470"
    STRONG = "#16202C"
    ACCENT = "#0F6B66"


_PAPER = "#FAF9F6"
_SHADES = 24  # steps from paper to ink: enough for smooth edges, few enough for a small file


@dataclass(frozen=True, slots=True)
class Face:
    """The one typeface in a size (pixels) and a weight."""

    size: int
    weight: int


_COUNT = Face(118, 700)
_NOUN = Face(46, 500)
_MESSAGE = Face(34, 600)
_HEADING = Face(22, 600)
_NAME = Face(23, 500)
_AMOUNT = Face(23, 600)
_SMALL = Face(18, 400)


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
    face: Face
    ink: Ink = Ink.STRONG

    @property
    def bounds(self) -> Bounds:
        """Where its letters are, as measured."""
        left, top, right, bottom = _font(self.face).getbbox(self.text, anchor="ls")
        return Bounds(
            self.left + left, self.baseline + top, self.left + right, self.baseline + bottom
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle with round corners."""

    bounds: Bounds
    ink: Ink


Layout = tuple[Text | Bar, ...]

# The fonts are shared by all threads, and FreeType lets only one at a time use a font.
_lock = Lock()


def draw(summary: Summary) -> bytes:
    """Return the picture of `summary` as a PNG; equal summaries give equal bytes."""
    with _lock:
        canvas = _paint(layout(summary))
    canvas.putpalette(_palette())
    png = BytesIO()
    canvas.save(png, "PNG")
    return png.getvalue()


def describe(summary: Summary) -> str:
    """Return what the picture of `summary` says, in words."""
    ranking = ", ".join(f"{_plain(c.name)} {abbreviate(c.estimated_gdp)}" for c in summary.top)
    sentences = (
        f"{summary.total_countries:,} {_noun(summary)}",
        f"{_TITLE}: {ranking}" if summary.top else _NOTHING,
        _CAVEAT if summary.top else _REMEDY,
        *(who + when for who, when in _credits(summary)),
        _refreshed(summary.refreshed_at),
    )
    return ". ".join(sentences) + "."


def abbreviate(amount: float) -> str:
    """Return an amount of US dollars in as few letters as an estimate deserves, e.g. "$3.1T"."""
    scaled = amount
    for unit in _UNITS:
        decimals = 1 if unit and round(scaled, 1) < _NO_DECIMALS else 0
        if round(scaled, decimals) < _UNIT:
            return f"${scaled:.{decimals}f}{unit}"
        scaled /= _UNIT
    return f"${amount:.1e}".replace("e+", "e")


def layout(summary: Summary) -> Layout:
    """Return everything the picture of `summary` shows, each in its place."""
    return (
        *_headline(summary),
        *(_ranking(summary.top) if summary.top else _no_ranking()),
        *_footer(summary),
    )


def fit(text: str, *, face: Face, width: float) -> str:
    """Return `text` on one line, shortened with an ellipsis where it is wider than `width`."""
    line = _plain(text[:_LONGEST])
    if _width(line, face) <= width:
        return line

    def shortened(length: int) -> str:
        return line[:length].rstrip() + "…"

    fitting = bisect_right(range(len(line)), width, key=lambda n: _width(shortened(n), face))
    return shortened(fitting - 1)


def _headline(summary: Summary) -> Iterator[Text]:
    count = fit(f"{summary.total_countries:,}", face=_COUNT, width=_WIDEST_COUNT)
    # Large figures have air on their left; without it they line up with the small text below.
    left = _LEFT - _font(_COUNT).getbbox(count, anchor="ls")[0]
    noun = left + _width(count, _COUNT) + _GUTTER // 2
    yield Text(text=count, left=left, baseline=_COUNT_BASELINE, face=_COUNT)
    yield Text(text=_noun(summary), left=noun, baseline=_COUNT_BASELINE, face=_NOUN, ink=Ink.MUTED)


def _ranking(top: tuple[TopCountry, ...]) -> Iterator[Text | Bar]:
    yield Text(text=_TITLE, baseline=_HEADING_BASELINE, face=_HEADING)
    yield _flush_right(Text(text=_CAVEAT, baseline=_HEADING_BASELINE, face=_SMALL, ink=Ink.MUTED))
    names = [fit(country.name, face=_NAME, width=_WIDEST_NAME) for country in top]
    amounts = [abbreviate(country.estimated_gdp) for country in top]
    left = _LEFT + max(_width(name, _NAME) for name in names) + _GUTTER
    right = _RIGHT - max(_width(amount, _AMOUNT) for amount in amounts) - _GUTTER
    highest = max(country.estimated_gdp for country in top) or 1
    for row, country in enumerate(top):
        middle = _FIRST_ROW + row * _ROW_PITCH
        length = round((right - left) * (country.estimated_gdp / highest))
        baseline = middle + _NAME_DROP
        yield Text(text=names[row], baseline=baseline, face=_NAME)
        yield _bar(left, right, middle=middle, ink=Ink.TRACK)
        yield _bar(left, left + max(length, _NARROWEST_BAR), middle=middle, ink=Ink.ACCENT)
        yield _flush_right(Text(text=amounts[row], baseline=baseline, face=_AMOUNT))


def _no_ranking() -> Iterator[Text]:
    yield Text(text=_NOTHING, baseline=_FIRST_ROW + 56, face=_MESSAGE)
    yield Text(text=_REMEDY, baseline=_FIRST_ROW + 94, face=_NAME, ink=Ink.MUTED)


def _footer(summary: Summary) -> Iterator[Text | Bar]:
    yield Bar(bounds=Bounds(_LEFT, _RULE, _RIGHT, _RULE + 2), ink=Ink.TRACK)
    moment = _refreshed(summary.refreshed_at)
    refreshed = _flush_right(
        Text(text=moment, baseline=_FOOTER_BASELINE, face=_SMALL, ink=Ink.MUTED)
    )
    yield refreshed
    width = refreshed.left - _GUTTER - _LEFT
    for row, (who, when) in enumerate(_credits(summary)):
        line = fit(who, face=_SMALL, width=width - _width(when, _SMALL)) + when
        baseline = _FOOTER_BASELINE + row * _FOOTER_PITCH
        yield Text(text=line, baseline=baseline, face=_SMALL, ink=Ink.MUTED)


def _flush_right(text: Text) -> Text:
    return replace(text, left=_RIGHT - _width(text.text, text.face))


def _bar(left: float, right: float, *, middle: int, ink: Ink) -> Bar:
    half = _BAR_HEIGHT // 2
    return Bar(bounds=Bounds(left, middle - half, right, middle + half), ink=ink)


def _noun(summary: Summary) -> str:
    return "country" if summary.total_countries == 1 else "countries"


def _credits(summary: Summary) -> Iterator[tuple[str, str]]:
    """Yield who each kind of data is from, and as of when."""
    sources = {"Countries": summary.countries_source, "Rates": summary.rates_source}
    for kind, source in sources.items():
        if source is not None:
            yield _credit(kind, source)


def _credit(kind: str, source: SourceLine) -> tuple[str, str]:
    name = _CREDITS.get((kind, source.provider)) or _plain(source.provider)
    when = f", {tell_date(source.as_of)}" if source.as_of else ""
    return f"{kind} by {name}", when


def _refreshed(moment: datetime | None) -> str:
    return f"Refreshed {tell_moment(moment)}" if moment else "Not refreshed yet"


def tell_moment(moment: datetime) -> str:
    """Return an instant to the minute, e.g. "24 Nov 2026, 16:26 UTC"."""
    return f"{tell_date(moment)}, {moment:%H:%M} UTC"


def tell_date(moment: datetime) -> str:
    """Return the day of an instant, e.g. "24 Nov 2026"."""
    # Not strftime: its month names are those of the process's locale.
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def _plain(text: str) -> str:
    """Return `text` on one line, without what has no place on it.

    Invisible characters would turn text around or show as boxes, and marks that make no letter
    with the one before them would pile up beyond the line.
    """
    composed = unicodedata.normalize("NFC", text)
    shown = (c for c in composed if c.isspace() or unicodedata.category(c)[0] not in "CM")
    return " ".join("".join(shown).split())


@lru_cache(maxsize=16)
def _font(face: Face) -> ImageFont.FreeTypeFont:
    # The basic engine is the same everywhere; the other one depends on a system library.
    with as_file(files("fontpkg_inter") / "files" / "Inter[opsz,wght].ttf") as path:
        font = ImageFont.truetype(path, face.size, layout_engine=ImageFont.Layout.BASIC)
    font.set_variation_by_axes([min(max(face.size, 14), 32), face.weight])
    return font


def _width(text: str, face: Face) -> float:
    return _font(face).getlength(text)


def _paint(boxes: Layout) -> Image.Image:
    """Return an image whose values are places in the palette.

    Each ink is painted as a mask and takes the next run of shades. So edges are smooth without
    looking for the best palette, which takes longer than everything else.
    """
    canvas = Image.new("L", SIZE)
    for run, ink in enumerate(Ink):
        mask = Image.new("L", SIZE)
        for box in boxes:
            if box.ink is ink:
                _paint_box(mask, box)
        shades = (round(value / 255 * _SHADES) for value in range(256))
        places = [shade and run * _SHADES + shade for shade in shades]
        canvas = ImageChops.lighter(canvas, mask.point(places))
    return canvas


def _paint_box(mask: Image.Image, box: Text | Bar) -> None:
    if isinstance(box, Bar):
        mask.paste(_bar_mask(box.bounds), (round(box.bounds.left), round(box.bounds.top)))
    else:
        at, font = (box.left, box.baseline), _font(box.face)
        ImageDraw.Draw(mask).text(at, box.text, fill=255, font=font, anchor="ls")


def _bar_mask(bounds: Bounds) -> Image.Image:
    """Draw a bar at four times its size and reduce it, since Pillow's corners are jagged."""
    width, height = round(bounds.right - bounds.left) * 4, round(bounds.bottom - bounds.top) * 4
    large = Image.new("L", (width, height))
    radius = min(_RADIUS * 4, width // 2, height // 2)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, width - 1, height - 1), radius, fill=255)
    return large.reduce(4)


@lru_cache(maxsize=1)
def _palette() -> bytes:
    colours: list[tuple[int, ...]] = [ImageColor.getrgb(_PAPER)]
    for ink in Ink:
        for shade in range(1, _SHADES + 1):
            mixed = zip(colours[0], ImageColor.getrgb(ink.value), strict=True)
            colours.append(tuple(round(p + (i - p) * shade / _SHADES) for p, i in mixed))
    return bytes(channel for colour in colours for channel in colour)
