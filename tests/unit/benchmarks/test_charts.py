"""Charts: one document of well-formed SVG, whose bars are as long as their scale has it."""

from xml.etree import ElementTree as ET

import pytest

from benchmarks.svg.bar_chart import Bar, Chart, Group, Mark, draw, linear_ticks, log_ticks

SVG_NAMESPACE = "{http://www.w3.org/2000/svg}"


def make_bar(value: float, **changes: object) -> Bar:
    """Return a bar of that value."""
    return Bar(
        label=f"way {value:g}", value=value, value_text=f"{value:g} s", is_highlighted=bool(changes)
    )


def draw_groups(*groups: Group, is_linear: bool = False) -> ET.Element:
    """Return what is drawn of these groups."""
    chart = Chart(title="Seconds <&>", groups=groups, is_linear=is_linear)
    return ET.fromstring(draw(chart))  # noqa: S314 - our own


def read_bars(document: ET.Element) -> list[tuple[str | None, float]]:
    """Return the class and the width of each bar."""
    rects = document.iter(f"{SVG_NAMESPACE}rect")
    classes_and_widths = [(rect.get("class"), float(rect.get("width", 0))) for rect in rects]
    return [(css_class, width) for css_class, width in classes_and_widths if css_class != "page"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1, 1, [1]),
        (1, 6, [1, 2, 5]),
        (10, 100, [10, 20, 50, 100]),
        (0.1, 3, [0.1, 0.2, 0.5, 1, 2]),
    ],
)
def test_steps(low: float, high: float, expected: list[float]) -> None:
    """The lines of the scale are at 1, 2 and 5 of each power of ten."""
    assert log_ticks(low, high) == pytest.approx(expected)


def test_bars_are_logarithmic() -> None:
    """A figure a hundred times the scale's beginning is twice as long as one ten times it."""
    document = draw_groups(
        Group(title="far", bars=[make_bar(10.5), make_bar(100), make_bar(1000, ours=True)])
    )
    (_, _), (normal_class, middle), (highlighted_class, longest) = read_bars(document)
    assert (normal_class, highlighted_class) == ("bar", "strong")
    assert longest == pytest.approx(2 * middle, abs=0.1)


@pytest.mark.parametrize(
    ("high", "expected"),
    [(1.69, [0, 0.5, 1, 1.5]), (20, [0, 5, 10, 15, 20]), (0.12, [0, 0.05, 0.1])],
)
def test_even_steps(high: float, expected: list[float]) -> None:
    """The lines of an even scale are at halves of a power of ten."""
    assert linear_ticks(high) == pytest.approx(expected)


def test_bars_are_even() -> None:
    """On an even scale a figure that is twice another is twice as long."""
    document = draw_groups(Group(title="near", bars=[make_bar(0.8), make_bar(1.6)]), is_linear=True)
    (_, half), (_, whole) = read_bars(document)
    assert whole == pytest.approx(2 * half, abs=0.1)


def test_everything_is_within_the_page() -> None:
    """Every text and line of several groups lies within the page, and every word is there."""
    mark = Mark(value=20, label="limit 20 s")
    document = draw_groups(
        Group(title="far", bars=[make_bar(30), make_bar(40)], mark=mark),
        Group(title="near", bars=[make_bar(50)]),
    )
    width, height = (float(document.get(name, 0)) for name in ("width", "height"))
    texts = list(document.iter(f"{SVG_NAMESPACE}text"))
    assert all(0 < float(text.get("x", 0)) < width for text in texts)
    assert all(0 < float(text.get("y", 0)) < height for text in texts)
    assert all(float(line.get("y2", 0)) < height for line in document.iter(f"{SVG_NAMESPACE}line"))
    words = [text.text for text in texts]
    assert words == [
        "Seconds <&>",
        *("10", "20", "50"),
        *("far", "way 30", "30 s", "way 40", "40 s", "limit 20 s"),
        *("near", "way 50", "50 s"),
    ]
