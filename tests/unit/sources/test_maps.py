"""The bundled maps: every country is on the map of the world, and has a map of its own, inside the picture."""

import pytest

from graphql_api.sources.maps import COUNTRY_MAP_HEIGHT, COUNTRY_MAP_WIDTH, load_country_map, load_world_map, parse_path
from graphql_api.sources.reference import load_reference

WORLD = load_world_map()
CODES = sorted(load_reference())
MARGIN = 10


def measure_area(path: str) -> float:
    return sum(
        abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring[-1:] + ring, ring, strict=False)) / 2)
        for ring in parse_path(path)
    )


def test_world_has_every_country_once() -> None:
    """Each of the 250 countries has an outline or a dot; those that 1:110 million leaves out have dots."""
    assert sorted([*WORLD.outlines, *WORLD.dots]) == CODES
    assert len(WORLD.dots) == 73
    assert {"XK", "TW", "EH", "GF", "SJ"} <= set(WORLD.outlines)
    assert {"SG", "VA", "MT", "AX", "HM", "BV"} <= set(WORLD.dots)


def test_world_is_inside_its_picture() -> None:
    """No outline and no dot lies outside of the picture, and some reach from edge to edge."""
    points = [point for path in WORLD.outlines.values() for ring in parse_path(path) for point in ring]
    xs, ys = zip(*points, *WORLD.dots.values(), strict=True)
    assert 0 <= min(xs) < 230
    assert 1700 < max(xs) <= WORLD.width == 2000
    assert (min(ys), max(ys)) == (4, WORLD.height)


@pytest.mark.parametrize(("larger", "smaller", "ratio"), [("CD", "GL", 1.08), ("BR", "AU", 1.11), ("DZ", "GL", 1.1)])
def test_world_keeps_areas(larger: str, smaller: str, ratio: float) -> None:
    """Areas are in proportion, also near the poles: the Congo is a little larger than Greenland."""
    areas = [measure_area(WORLD.outlines[code]) for code in (larger, smaller)]
    assert areas[0] / areas[1] == pytest.approx(ratio, rel=0.08)


def test_territories_that_natural_earth_draws_apart() -> None:
    """Northern Cyprus and Somaliland are part of Cyprus and Somalia, without a border between them."""
    assert [len(parse_path(WORLD.outlines[code])) for code in ("CY", "SO")] == [1, 1]
    assert measure_area(WORLD.outlines["SO"]) / measure_area(WORLD.outlines["ET"]) == pytest.approx(0.56, rel=0.1)


def test_maps_of_countries() -> None:
    """Every country has a map that shows it, or a dot, in its picture, and the land around it."""
    hidden, outside, alone = [], [], []
    for code in CODES:
        country_map = load_country_map(code)
        rings = parse_path(country_map.own)
        points = [point for ring in rings for point in ring] or [country_map.dot or (-1, -1)]
        x = sum(min(max(x, 0), COUNTRY_MAP_WIDTH) == x for x, _ in points)
        y = sum(min(max(y, 0), COUNTRY_MAP_HEIGHT) == y for _, y in points)
        if not rings and country_map.dot is None:
            hidden.append(code)
        if min(x, y) < len(points) / 2:
            outside.append(code)
        if not country_map.others:
            alone.append(code)
    assert (hidden, outside, alone) == ([], [], [])


def test_small_countries_are_marked() -> None:
    """Countries that are too small to be seen have a dot, others have none."""
    assert load_country_map("VA").dot == (402, 300)
    assert load_country_map("FR").dot is None
    assert load_country_map("GI").own == ""
