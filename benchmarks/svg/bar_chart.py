"""Bar charts as SVG, for light and dark pages."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 860
_LEFT_MARGIN = 310
"""Left end of the bars, in pixels; labels are to the left of it."""
_RIGHT_MARGIN = 110
"""Pixels right of the longest bar, for its figure."""
_TOP_MARGIN = 64
_ROW_HEIGHT, _BAR_HEIGHT = 26, 16
_GROUP_GAP = 50
"""Pixels between the bars of two groups, for a title."""
_BOTTOM_MARGIN = 44

SVG_START_TAG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
    'width="{width}" height="{height}" role="img">'
)
STYLE = """\
    text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif }
    .page { fill: #ffffff } .ink { fill: #1f2328 } .dim { fill: #59636e }
    .grid { stroke: #d1d9e0 } .mark { stroke: #cf222e; stroke-dasharray: 4 3 }
    .mark-label { fill: #cf222e } .bar { fill: #8c959f } .strong { fill: #0969da }
    .title { font-weight: 600; font-size: 15px } .group { font-weight: 600 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } .ink { fill: #f0f6fc } .dim { fill: #9198a1 }
      .grid { stroke: #3d444d } .mark { stroke: #ff7b72 }
      .mark-label { fill: #ff7b72 } .bar { fill: #6e7681 } .strong { fill: #4493f8 }
    }"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar."""

    label: str
    value: float
    value_text: str
    """Text of the figure."""
    is_highlighted: bool
    """True for a bar of this project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A vertical line across the bars of a group."""

    value: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Bars below a title."""

    title: str
    bars: Sequence[Bar]
    mark: Mark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Groups of bars over one scale."""

    title: str
    groups: Sequence[Group]
    is_linear: bool = False
    """True for a scale that is linear from 0, else it is logarithmic from a power of ten."""


def draw(chart: Chart) -> str:
    """Return the chart as an SVG document."""
    values = [bar.value for group in chart.groups for bar in group.bars]
    low = 0 if chart.is_linear else 10.0 ** math.floor(math.log10(min(values)))
    scale = _Scale(low, max(values))
    bottom = _TOP_MARGIN + sum(_group_height(group) for group in chart.groups) - _ROW_HEIGHT
    height = bottom + _BOTTOM_MARGIN
    elements = [
        SVG_START_TAG.format(width=WIDTH, height=height),
        f"  <title>{escape(chart.title)}</title>",
        f"  <style>\n{STYLE}\n  </style>",
        f'  <rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
        text_element(20, 32, chart.title, "title ink"),
        *_draw_grid(scale, bottom),
        *_draw_groups(chart.groups, scale),
        "</svg>\n",
    ]
    return "\n".join(elements)


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times each power of ten from `low`, itself one, up to `high`."""
    powers = range(math.ceil(math.log10(high / low)) + 1)
    values = (multiple * low * 10**power for power in powers for multiple in (1, 2, 5))
    return [value for value in values if value <= high]


def linear_ticks(high: float) -> list[float]:
    """Return the multiples of half the power of ten below `high`, from 0 to `high`."""
    step = 10.0 ** math.floor(math.log10(high)) / 2
    return [multiple * step for multiple in range(math.floor(high / step) + 1)]


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    """0: the scale is linear."""
    high: float

    def ticks(self) -> list[float]:
        """Return the labelled values."""
        return log_ticks(self.low, self.high) if self.low else linear_ticks(self.high)

    def x_position(self, value: float) -> float:
        """Return the position of a value, in pixels from the left."""
        is_logarithmic = bool(self.low)
        ratio, span = (value / self.low, self.high / self.low) if is_logarithmic else (value, self.high)
        fraction = math.log(ratio) / math.log(span) if is_logarithmic else ratio / span
        return _LEFT_MARGIN + fraction * (WIDTH - _LEFT_MARGIN - _RIGHT_MARGIN)


def _draw_grid(scale: _Scale, bottom: int) -> Iterator[str]:
    for tick in scale.ticks():
        x = scale.x_position(tick)
        yield _line_element(x, _TOP_MARGIN - 8, bottom + 8, "grid")
        yield text_element(x, bottom + 26, f"{tick:,g}", "dim", anchor="middle")
    if scale.low:
        yield text_element(20, bottom + 26, "Logarithmic scale", "dim")


def _group_height(group: Group) -> int:
    """Return the pixels from a group's title to the next group's."""
    return _GROUP_GAP + (len(group.bars) - 1) * _ROW_HEIGHT + _BAR_HEIGHT


def _draw_groups(groups: Sequence[Group], scale: _Scale) -> Iterator[str]:
    top = _TOP_MARGIN
    for group in groups:
        first_bar_top = top + _GROUP_GAP - _ROW_HEIGHT
        yield text_element(20, top + 10, group.title, "group ink")
        for index, bar in enumerate(group.bars):
            yield from _draw_bar(bar, first_bar_top + index * _ROW_HEIGHT, scale)
        next_top = top + _group_height(group)
        if group.mark:
            x = scale.x_position(group.mark.value)
            yield _line_element(x, first_bar_top - 5, next_top - _ROW_HEIGHT + 5, "mark")
            yield text_element(x, first_bar_top - 10, group.mark.label, "mark-label", anchor="middle")
        top = next_top


def _draw_bar(bar: Bar, top: float, scale: _Scale) -> Iterator[str]:
    css_class, bar_end = "strong" if bar.is_highlighted else "bar", scale.x_position(bar.value)
    baseline = top + _BAR_HEIGHT - 4
    yield text_element(_LEFT_MARGIN - 12, baseline, bar.label, "ink", anchor="end")
    yield (
        f'  <rect class="{css_class}" x="{_LEFT_MARGIN}" y="{top}" '
        f'width="{bar_end - _LEFT_MARGIN:.1f}" '
        f'height="{_BAR_HEIGHT}" rx="2"/>'
    )
    yield text_element(bar_end + 8, baseline, bar.value_text, "ink")


def text_element(x: float, y: float, content: str, css_class: str, *, anchor: str = "start") -> str:
    """Return a text element; `css_class` is a class of `STYLE`."""
    position = f'x="{x:.1f}" y="{y}" text-anchor="{anchor}"'
    return f'  <text class="{css_class}" {position}>{escape(content)}</text>'


def _line_element(x: float, top: float, bottom: float, css_class: str) -> str:
    return f'  <line class="{css_class}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
