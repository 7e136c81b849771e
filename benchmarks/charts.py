"""Charts as SVG: bars over one scale, in the colours of a light page or a dark one."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 860
_LEFT = 310
"""Where the bars begin; their labels end before."""
_RIGHT = 110
"""What is kept free behind the longest bar, for its figure."""
_TOP = 64
_ROW, _BAR = 26, 16
_BETWEEN = 50
"""From the last bar of a group to the first of the next: the room of its title."""
_BELOW = 44

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
    'width="{width}" height="{height}" role="img">'
)
STYLE = """\
    text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif }
    .page { fill: #ffffff } .ink { fill: #1f2328 } .dim { fill: #59636e }
    .grid { stroke: #d1d9e0 } .mark { stroke: #cf222e; stroke-dasharray: 4 3 }
    .told-mark { fill: #cf222e } .bar { fill: #8c959f } .strong { fill: #0969da }
    .title { font-weight: 600; font-size: 15px } .group { font-weight: 600 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } .ink { fill: #f0f6fc } .dim { fill: #9198a1 }
      .grid { stroke: #3d444d } .mark { stroke: #ff7b72 }
      .told-mark { fill: #ff7b72 } .bar { fill: #6e7681 } .strong { fill: #4493f8 }
    }"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One figure."""

    label: str
    value: float
    told: str
    """The figure as people read it."""
    strong: bool
    """Whether it is of this project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A line across the bars of a group."""

    value: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Bars of one kind, below a title of their own."""

    title: str
    bars: Sequence[Bar]
    mark: Mark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Groups over one scale."""

    title: str
    groups: Sequence[Group]
    even: bool = False
    """Whether the scale is even, from 0; else it is logarithmic, from a power of ten."""


def draw(chart: Chart) -> str:
    """Return the chart as an SVG document."""
    values = [bar.value for group in chart.groups for bar in group.bars]
    low = 0 if chart.even else 10.0 ** math.floor(math.log10(min(values)))
    scale = _Scale(low, max(values))
    bottom = _TOP + sum(_height(group) for group in chart.groups) - _ROW
    height = bottom + _BELOW
    parts = [
        SVG.format(width=WIDTH, height=height),
        f"  <title>{escape(chart.title)}</title>",
        f"  <style>\n{STYLE}\n  </style>",
        f'  <rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
        text(20, 32, chart.title, "title ink"),
        *_grid(scale, bottom),
        *_groups(chart.groups, scale),
        "</svg>\n",
    ]
    return "\n".join(parts)


def steps(low: float, high: float) -> list[float]:
    """Return the round values (1, 2, 5, 10, 20 …) from `low`, a power of ten, up to `high`."""
    powers = range(math.ceil(math.log10(high / low)) + 1)
    values = (factor * low * 10**power for power in powers for factor in (1, 2, 5))
    return [value for value in values if value <= high]


def even_steps(high: float) -> list[float]:
    """Return the multiples, from 0 to `high`, of half the power of ten below it."""
    step = 10.0 ** math.floor(math.log10(high)) / 2
    return [number * step for number in range(math.floor(high / step) + 1)]


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    """0: it is even."""
    high: float

    def steps(self) -> list[float]:
        """Return the values that are marked."""
        return steps(self.low, self.high) if self.low else even_steps(self.high)

    def at(self, value: float) -> float:
        """Return where a value is, in pixels from the left."""
        if self.low:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = value / self.high
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _grid(scale: _Scale, bottom: int) -> Iterator[str]:
    for step in scale.steps():
        x = scale.at(step)
        yield _line(x, _TOP - 8, bottom + 8, "grid")
        yield text(x, bottom + 26, f"{step:,g}", "dim", anchor="middle")


def _height(group: Group) -> int:
    """Return the pixels from a group's title to the title of the next."""
    return _BETWEEN + (len(group.bars) - 1) * _ROW + _BAR


def _groups(groups: Sequence[Group], scale: _Scale) -> Iterator[str]:
    top = _TOP
    for group in groups:
        first = top + _BETWEEN - _ROW
        yield text(20, top + 10, group.title, "group ink")
        for number, bar in enumerate(group.bars):
            yield from _bar(bar, first + number * _ROW, scale)
        below = top + _height(group)
        if group.mark:
            x = scale.at(group.mark.value)
            yield _line(x, first - 5, below - _ROW + 5, "mark")
            yield text(x, first - 10, group.mark.told, "told-mark", anchor="middle")
        top = below


def _bar(bar: Bar, top: float, scale: _Scale) -> Iterator[str]:
    kind, end = "strong" if bar.strong else "bar", scale.at(bar.value)
    base = top + _BAR - 4
    yield text(_LEFT - 12, base, bar.label, "ink", anchor="end")
    yield (
        f'  <rect class="{kind}" x="{_LEFT}" y="{top}" width="{end - _LEFT:.1f}" '
        f'height="{_BAR}" rx="2"/>'
    )
    yield text(end + 8, base, bar.told, "ink")


def text(x: float, y: float, words: str, kind: str, *, anchor: str = "start") -> str:
    """Return words at a place; `kind` is a class of the style."""
    return (
        f'  <text class="{kind}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
    )


def _line(x: float, top: float, bottom: float, kind: str) -> str:
    return f'  <line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
