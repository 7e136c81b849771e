"""The world map of the landing page, and the small maps: their shapes, legend, table and colours."""

import re
from dataclasses import replace
from itertools import combinations, pairwise
from unittest.mock import Mock

import brotli
import pytest

from graphql_api.domain.country import Country
from graphql_api.http.site import world_map
from graphql_api.http.site.map_measures import AMOUNT_CLASSES, MEASURES, REGION_CLASSES
from graphql_api.http.site.world_map import ASSETS, render_small_map, render_world_map
from graphql_api.sources.reference import load_reference
from graphql_api.utils.lru import LRUCache
from tests.support.factories import make_country, make_snapshot
from tests.support.html import HTMLPage

REFERENCE = load_reference()
RGB = tuple[float, float, float]
VISIONS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
"""How linear RGB is seen: https://doi.org/10.1109/TVCG.2009.113, severity 1."""


@pytest.fixture(scope="module")
def rows() -> list[Country]:
    """Return every country, with amounts that grow along the alphabet; the last ten have no GDP."""
    return [
        make_country(
            code,
            name=identity.name,
            region=identity.region,
            population=1000 * index,
            gdp=None if index > 240 else 1e9 * index,
        )
        for index, (code, identity) in enumerate(sorted(REFERENCE.items()), start=1)
    ]


def render(rows: list[Country], measure: str, **params: str) -> HTMLPage:
    return HTMLPage(str(render_world_map(make_snapshot(rows, REFERENCE), MEASURES[measure], params)))


@pytest.mark.parametrize("measure", MEASURES)
def test_shapes(rows: list[Country], measure: str) -> None:
    """Each country is a link with a title and one coloured shape, which is no stop of the tab key."""
    page = render(rows, measure)
    links = [link for link in page.find_all("a") if "tabindex" in link]
    assert sorted(str(link["href"]) for link in links) == [f"countries/{code}" for code in sorted(REFERENCE)]
    assert {link["tabindex"] for link in links} == {"-1"}
    assert len(page.find_all("title")) == 250
    shapes = [tag for name, tag in page.tags if name in {"path", "circle"} and tag.get("class") != "marker"]
    assert len(shapes) == 250
    assert len({shape["class"] for shape in shapes}) == len(page.find_all("li")) - len(MEASURES)


def test_titles_and_legend(rows: list[Country]) -> None:
    """Titles have the value; the legend has five even classes, and the countries without data."""
    page = render(rows, "gdp")
    text = " ".join(page.text.split())
    assert "Andorra: $1.0B (2023)" in text
    assert "Zimbabwe: no data" in text
    for label in ("$1.0B – $48.0B 48", "$49.0B – $96.0B 48", "$193B – $240B 48", "No data 10"):
        assert f"{label} countries" in text
    assert text.count(" 48 countries") == AMOUNT_CLASSES


def test_table(rows: list[Country]) -> None:
    """The table has every country, the highest first, and those without data at the end."""
    cells = [str(link["href"]) for link in render(rows, "gdp").find_all("a") if "tabindex" not in link][len(MEASURES) :]
    codes = sorted(REFERENCE)
    assert cells[:240] == [f"countries/{code}" for code in reversed(codes[:240])]
    assert sorted(cells[240:]) == [f"countries/{code}" for code in codes[240:]]


def test_no_data_at_all(rows: list[Country]) -> None:
    """A measure of which no country has data says so, and its legend has that alone."""
    page = render([replace(row, gdp=None) for row in rows[:9]], "gdp")
    text = " ".join(page.text.split())
    assert "GDP in current US dollars. No country has data yet: the sources of the last refresh had none." in text
    assert "No data 9 countries" in text
    assert "Highest" not in text


def test_links_keep_the_query(rows: list[Country]) -> None:
    """The links choose a measure, mark the current one, and keep the other parameters, encoded."""
    page = render(rows, "region", sort="name", q='a&b"<', map="gdp")
    links = [link for link in page.find_all("a") if str(link["href"]).startswith("?")]
    assert [str(link["href"]) for link in links] == [
        f"?sort=name&q=a%26b%22%3C&map={measure}#map" for measure in MEASURES
    ]
    assert [link["href"] for link in links if "aria-current" in link] == ["?sort=name&q=a%26b%22%3C&map=region#map"]


def test_hostile_names() -> None:
    """A name with HTML in it is text."""
    name = "\"'><script>alert(1)</script>{{ 1 }}"
    html = render_world_map(make_snapshot([make_country("FR", name=name)]), MEASURES["population"], {})
    assert "<script" not in html
    assert f"{name}: " in HTMLPage(str(html)).text
    assert "<script" not in render_small_map("FR", name)


def test_few_countries(rows: list[Country]) -> None:
    """Countries that are not served are land without a link, so that the map stays whole."""
    page = render(rows[:2], "population")
    assert len([link for link in page.find_all("a") if "tabindex" in link]) == 2
    assert [tag["class"] for name, tag in page.tags if name == "path"].count("ground") == 1


def test_weight(rows: list[Country]) -> None:
    """Each map with its legend, table, style and script is below 60 kB compressed."""
    files = b"".join(asset.path.read_bytes() for asset in ASSETS)
    for name, measure in MEASURES.items():
        html = render_world_map(make_snapshot(rows, REFERENCE), measure, {"map": name})
        assert len(brotli.compress(html.encode() + files, quality=4)) < 40_000


def test_rendered_once(rows: list[Country], monkeypatch: pytest.MonkeyPatch) -> None:
    """The map of equal data and measure is rendered once; other data have another one."""
    snapshots = [make_snapshot(rows, REFERENCE), make_snapshot(rows, REFERENCE)]
    render_figure = Mock(wraps=world_map._render_figure)
    monkeypatch.setattr(world_map, "_figures", LRUCache(len(MEASURES)))
    monkeypatch.setattr(world_map, "_render_figure", render_figure)
    maps = [render_world_map(snapshot, MEASURES["gdp"], {}) for snapshot in snapshots for _ in range(2)]
    assert render_figure.call_count == len(set(maps)) == 1
    changed = make_snapshot([replace(rows[0], name="Elsewhere"), *rows[1:]], REFERENCE)
    assert "Elsewhere" in render_world_map(changed, MEASURES["gdp"], {})


def test_small_maps() -> None:
    """A small map is an image with a name; a country too small to be seen is marked."""
    for code, identity in REFERENCE.items():
        page = HTMLPage(str(render_small_map(code, identity.name)))
        [image] = page.find_all("svg")
        assert (image["role"], image["aria-label"]) == ("img", f"{identity.name} on a map of its surroundings")
    assert [len(HTMLPage(str(render_small_map(code, ""))).find_all("circle")) for code in ("FR", "VA")] == [0, 1]


def read_colors(prefix: str, count: int) -> dict[str, list[RGB]]:
    """Return the colours of both themes in world_map.css. The dark one replaces some."""
    [stylesheet] = [asset.path.read_text("utf-8") for asset in ASSETS if asset.name.endswith(".css")]
    light, dark = (dict(re.findall(r"--map-(\w+): (#\w{6});", block)) for block in stylesheet.split("@media", 2)[:2])
    themes = {"light": light, "dark": light | dark}
    return {
        theme: [to_linear(colors[name]) for name in (f"{prefix}{index}" for index in range(count))]
        for theme, colors in themes.items()
    }


def to_linear(color: str) -> RGB:
    red, green, blue = (int(color[index : index + 2], 16) / 255 for index in (1, 3, 5))
    return (expand(red), expand(green), expand(blue))


def expand(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def see(color: RGB, vision: str) -> RGB:
    """Return CIELAB of a linear RGB colour as one with a colour vision sees it."""
    r, g, b = (min(max(sum(a * c for a, c in zip(row, color, strict=True)), 0), 1) for row in VISIONS[vision])
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return (116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz))


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(("prefix", "count"), [("a", AMOUNT_CLASSES), ("r", REGION_CLASSES)])
def test_colors_differ_to_every_eye(prefix: str, count: int, vision: str) -> None:
    """Any two colours of a map differ clearly in CIELAB, in both themes, whatever the colour vision."""
    for theme, colors in read_colors(prefix, count).items():
        seen = [see(color, vision) for color in colors]
        distances = [sum((a - b) ** 2 for a, b in zip(*pair, strict=True)) ** 0.5 for pair in combinations(seen, 2)]
        assert min(distances) > 15, (theme, sorted(map(round, distances)))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_amounts_are_in_order_of_lightness(theme: str) -> None:
    """Higher amounts are darker, and brighter in the dark, by equal steps to any eye."""
    lightness = [see(color, "normal")[0] for color in read_colors("a", AMOUNT_CLASSES)[theme]]
    steps = [b - a for a, b in pairwise(lightness)]
    assert all(step < -10 for step in steps) if theme == "light" else all(step > 10 for step in steps), lightness
