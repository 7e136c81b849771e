"""Curves as SVG: panels one above the other over the same seconds, in the colours of charts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.charts import STYLE, SVG, WIDTH, text

_LEFT, _RIGHT = 90, 24
_TOP, _PANEL, _BETWEEN, _BELOW = 56, 90, 44, 44

_CURVE = """\
    .curve { fill: none; stroke: #0969da; stroke-width: 1.5 }
    @media (prefers-color-scheme: dark) { .curve { stroke: #4493f8 } }"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One value over time."""

    title: str
    points: Sequence[tuple[float, float]]
    """Seconds and values; one at least."""


def draw(title: str, panels: Sequence[Panel]) -> str:
    """Return the panels as an SVG document."""
    bottom = _TOP + len(panels) * (_PANEL + _BETWEEN) - _BETWEEN
    longest = max(second for panel in panels for second, _ in panel.points) or 1
    height = bottom + _BELOW
    parts = [
        SVG.format(width=WIDTH, height=height),
        f"  <title>{escape(title)}</title>",
        f"  <style>\n{STYLE}\n{_CURVE}\n  </style>",
        f'  <rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
        text(20, 32, title, "title ink"),
        *(
            part
            for number, panel in enumerate(panels)
            for part in _panel(panel, _TOP + number * (_PANEL + _BETWEEN), longest)
        ),
        *_seconds(longest, bottom),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _panel(panel: Panel, top: float, longest: float) -> Iterator[str]:
    most = max(value for _, value in panel.points) or 1
    base = top + _PANEL

    def y(value: float) -> float:
        return base - value / most * (_PANEL - 20)

    yield text(_LEFT, top + 10, panel.title, "group ink")
    for value in (0, most):
        at = f'y1="{y(value):.1f}" y2="{y(value):.1f}"'
        yield f'  <line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" {at}/>'
        yield text(_LEFT - 10, y(value) + 4, f"{value:,.4g}", "dim", anchor="end")
    points = " ".join(f"{_x(second, longest):.1f},{y(value):.1f}" for second, value in panel.points)
    yield f'  <polyline class="curve" points="{points}"/>'


def _seconds(longest: float, bottom: float) -> Iterator[str]:
    for number in range(6):
        second = longest * number / 5
        yield text(_x(second, longest), bottom + 26, f"{second:.0f} s", "dim", anchor="middle")


def _x(second: float, longest: float) -> float:
    return _LEFT + second / longest * (WIDTH - _LEFT - _RIGHT)
