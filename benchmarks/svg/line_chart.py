"""Line charts as SVG: panels over the same seconds, in the style of the bar charts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.svg.bar_chart import STYLE, SVG_START_TAG, WIDTH, text_element

_LEFT_MARGIN, _RIGHT_MARGIN = 90, 24
_TOP_MARGIN, _PANEL_HEIGHT, _PANEL_GAP, _BOTTOM_MARGIN = 56, 90, 44, 44

_CURVE_STYLE = """\
    .curve { fill: none; stroke: #0969da; stroke-width: 1.5 }
    @media (prefers-color-scheme: dark) { .curve { stroke: #4493f8 } }"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One value over time."""

    title: str
    points: Sequence[tuple[float, float]]
    """Seconds and values; at least one point."""


def draw(title: str, panels: Sequence[Panel]) -> str:
    """Return the panels as an SVG document."""
    bottom = _TOP_MARGIN + len(panels) * (_PANEL_HEIGHT + _PANEL_GAP) - _PANEL_GAP
    duration = max(second for panel in panels for second, _ in panel.points) or 1
    height = bottom + _BOTTOM_MARGIN
    elements = [
        SVG_START_TAG.format(width=WIDTH, height=height),
        f"  <title>{escape(title)}</title>",
        f"  <style>\n{STYLE}\n{_CURVE_STYLE}\n  </style>",
        f'  <rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
        text_element(20, 32, title, "title ink"),
        *(
            element
            for index, panel in enumerate(panels)
            for element in _draw_panel(panel, _TOP_MARGIN + index * (_PANEL_HEIGHT + _PANEL_GAP), duration)
        ),
        *_draw_time_axis(duration, bottom),
        "</svg>\n",
    ]
    return "\n".join(elements)


def _draw_panel(panel: Panel, top: float, duration: float) -> Iterator[str]:
    max_value = max(value for _, value in panel.points) or 1
    baseline = top + _PANEL_HEIGHT

    def y_position(value: float) -> float:
        return baseline - value / max_value * (_PANEL_HEIGHT - 20)

    yield text_element(_LEFT_MARGIN, top + 10, panel.title, "group ink")
    for value in (0, max_value):
        y_attributes = f'y1="{y_position(value):.1f}" y2="{y_position(value):.1f}"'
        right = WIDTH - _RIGHT_MARGIN
        yield f'  <line class="grid" x1="{_LEFT_MARGIN}" x2="{right}" {y_attributes}/>'
        yield text_element(_LEFT_MARGIN - 10, y_position(value) + 4, f"{value:,.4g}", "dim", anchor="end")
    points = " ".join(f"{_x_position(second, duration):.1f},{y_position(value):.1f}" for second, value in panel.points)
    yield f'  <polyline class="curve" points="{points}"/>'


def _draw_time_axis(duration: float, bottom: float) -> Iterator[str]:
    for tick in range(6):
        second = duration * tick / 5
        yield text_element(_x_position(second, duration), bottom + 26, f"{second:.0f} s", "dim", anchor="middle")


def _x_position(second: float, duration: float) -> float:
    return _LEFT_MARGIN + second / duration * (WIDTH - _LEFT_MARGIN - _RIGHT_MARGIN)
