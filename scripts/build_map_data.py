"""Rebuilds the outlines of the maps from pinned releases on npm and PyPI.

    python -m scripts.build_map_data

writes `maps.zip`: `world.json`, the world in the Equal Earth projection, and `FR.json` and so on, each country with
its surroundings in Lambert's azimuthal equal-area projection. Both keep areas in proportion. Coordinates are whole
units of a picture, so that pages need no geometry. The same releases give the same bytes. It needs the
installed package, pip and npm, and `reference.json`. After raising a version, look at the maps and update it in
`LICENSES.md`.
"""

# ruff: noqa: INP001, T201 - a script, not a package; it reports to standard output

import json
import math
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from scripts.build_bundled_data import BUNDLED_DIR, Package, download, read_json
from scripts.build_graph_data import TZDATA, dump_compact, write_zip

ATLAS = Package("npm", "world-atlas", "2.0.2")

CENTRAL_MERIDIAN = 11
"""Degrees east. The opposite meridian, at which the world is cut, passes through the Bering Strait."""
WORLD_WIDTH = 2000
"""Units of the world's picture."""
MAX_STEP = 4
"""Degrees of latitude in a line along the cut, which is curved on the picture."""

VIEW_WIDTH, VIEW_HEIGHT = 800, 600
"""Units of the picture of a country."""
MARGIN = 10
"""Units outside of a picture to which outlines extend, so that the edge shows no line."""
BOX = (-MARGIN, -MARGIN, VIEW_WIDTH + MARGIN, VIEW_HEIGHT + MARGIN)
TOLERANCE = 1.8
"""Units by which a simplified outline may differ."""
MIN_AREA = 10
"""Square units below which other land is left out."""
POLE = -89.9
"""Degrees."""
SURROUNDINGS = 1.7
"""Size of a picture, relative to the country."""
MIN_HEIGHT = 600 / 6371
"""Height of a picture in radians: 600 km."""
MAX_HEIGHT = 1.6
MAIN_PART = 0.1
"""Size of a part of a country that its picture must show, relative to the largest part."""
MIN_LAND = 0.004
"""Share of other land up to which a picture is widened."""
MIN_EXTENT = 24
"""Units below which a country is also marked by a dot."""

# Natural Earth has parts that ISO 3166-1 counts as another territory's: west, south, east, north of each, in degrees.
TERRITORIES: Mapping[str, Sequence[tuple[str, float, float, float, float]]] = {
    "FR": (
        ("GF", -55, 2, -51, 6),
        ("GP", -62, 15.7, -60.9, 16.6),
        ("MQ", -61.4, 14.3, -60.7, 15),
        ("RE", 55, -21.6, 56, -20.7),
        ("YT", 44.9, -13.2, 45.4, -12.5),
    ),
    "NO": (("SJ", 10, 74, 35, 81), ("SJ", -9.5, 70.7, -7.7, 71.3), ("BV", 3, -55, 4, -54)),
    "NL": (("BQ", -68.6, 11.9, -68, 12.5), ("BQ", -63.4, 17.4, -62.8, 17.8)),
    "AU": (("CX", 105, -11, 106, -10), ("CC", 96, -13, 97, -11)),
    "NZ": (("TK", -173, -10, -171, -8),),
}
# Natural Earth shows these apart. ISO 3166-1 does not, and the figures include them.
CODES_BY_NAME = {"Kosovo": "XK", "N. Cyprus": "CY", "Somaliland": "SO"}
# tzdata has no place for these, which have no people.
OTHER_PLACES = {"BV": (3.36, -54.42), "HM": (73.5, -53.1), "XK": (21.17, 42.67)}

Json: TypeAlias = Any  # parsed JSON
Arcs: TypeAlias = tuple[int, ...]
"""Indexes of the lines that form a ring; `~index` for one backwards."""
Ring: TypeAlias = list["Point"]


class Point(NamedTuple):
    """Degrees of longitude and latitude, or units of a picture."""

    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Atlas:
    """Outlines of all territories at one level of detail."""

    lines: Sequence[Ring]
    """Lines that territories share."""
    territories: Mapping[str, Sequence[Sequence[Arcs]]]
    """Polygons by code: each an outer ring and the holes in it. "" has the land without a code."""

    @cache  # noqa: B019 - an atlas lives as long as the script
    def trace(self, arcs: Arcs) -> Ring:
        """Return the points of a ring, without repeating the first one."""
        return trace(arcs, self.lines)

    @cache  # noqa: B019 - an atlas lives as long as the script
    def measure_cap(self, arcs: Arcs) -> tuple[Point, float]:
        """Return the middle of a ring, and the angle from there to its farthest point."""
        ring = self.trace(arcs)
        center = find_center(ring)
        return center, max(measure_angle(center, point) for point in ring)


# Read


def read_atlas(archive: Path, detail: str, codes: Mapping[str, str]) -> Atlas:
    """Read one file of the package, https://github.com/topojson/topojson-specification."""
    topology = read_json(archive, f"countries-{detail}.json")
    scale, translate = topology["transform"]["scale"], topology["transform"]["translate"]
    lines = [list(decode_line(line, scale, translate)) for line in topology["arcs"]]
    territories: dict[str, list[Sequence[Arcs]]] = {code: [] for code in ("", *codes.values(), "XK")}
    for shape in topology["objects"]["countries"]["geometries"]:
        code = codes.get(shape.get("id"), CODES_BY_NAME.get(shape["properties"]["name"], ""))
        for polygon in [shape["arcs"]] if shape["type"] == "Polygon" else shape["arcs"]:
            rings = [tuple(ring) for ring in polygon if not is_pole(trace(ring, lines))]
            territories[find_part(code, trace(rings[0], lines))].append(rings)
    merged = {code: dissolve(territories[code], lines) for code in CODES_BY_NAME.values()}
    return Atlas(lines, territories | merged)


def decode_line(line: Json, scale: Sequence[float], translate: Sequence[float]) -> Iterator[Point]:
    """Yield the points of a line, which has differences of whole numbers."""
    x = y = 0
    for step_x, step_y in line:
        x, y = x + step_x, y + step_y
        yield Point(x * scale[0] + translate[0], y * scale[1] + translate[1])


def is_pole(ring: Ring) -> bool:
    """Return whether a ring is the south pole, around which 1:50 million has Antarctica as a hole."""
    return all(point.y < POLE for point in ring)


def find_part(code: str, ring: Ring) -> str:
    """Return the code of the territory that ISO 3166-1 has for a part of a country."""
    for part, west, south, east, north in TERRITORIES.get(code, ()):
        if all(west <= x <= east and south <= y <= north for x, y in ring):
            return part
    return code


def dissolve(polygons: Sequence[Sequence[Arcs]], lines: Sequence[Ring]) -> list[Sequence[Arcs]]:
    """Return the polygons without the borders between them. They have no holes."""
    used = {arc for polygon in polygons for ring in polygon for arc in ring}
    by_start = {trace_line(arc, lines)[0]: arc for arc in sorted(used) if ~arc not in used}
    rings: list[Sequence[Arcs]] = []
    while by_start:
        _, arc = by_start.popitem()
        ring = [arc]
        while (following := by_start.pop(trace_line(ring[-1], lines)[-1], None)) is not None:
            ring.append(following)
        rings.append([tuple(ring)])
    return rings


def trace(arcs: Sequence[int], lines: Sequence[Ring]) -> Ring:
    """Return the points of a ring, without repeating the first one."""
    return [point for arc in arcs for point in trace_line(arc, lines)[:-1]]


def trace_line(arc: int, lines: Sequence[Ring]) -> Ring:
    """Return the points of a line in its direction."""
    return lines[arc] if arc >= 0 else lines[~arc][::-1]


def read_places(archive: Path) -> dict[str, Point]:
    """Return a place in each territory: the first, and so the most populous, of its time zones."""
    with zipfile.ZipFile(archive) as wheel:
        lines = wheel.read("tzdata/zoneinfo/zone.tab").decode().splitlines()
    places: dict[str, Point] = {code: Point(*place) for code, place in OTHER_PLACES.items()}
    for line in lines:
        if not line.startswith("#"):
            code, position, *_ = line.split("\t")
            latitude, longitude = re.findall(r"[+-]\d+", position)
            places.setdefault(code, Point(parse_degrees(longitude, 4), parse_degrees(latitude, 3)))
    return places


def parse_degrees(text: str, width: int) -> float:
    """Return degrees of ISO 6709: `width` characters of sign and degrees, then minutes and perhaps seconds."""
    minutes, seconds = int(text[width : width + 2]), int(text[width + 2 :] or 0)
    return math.copysign(abs(int(text[:width])) + minutes / 60 + seconds / 3600, -1 if text.startswith("-") else 1)


# Geometry


def clip(ring: Ring, left: float, top: float, right: float, bottom: float) -> Ring:
    """Return the part of a ring in a rectangle, by Sutherland and Hodgman's algorithm."""
    for axis, limit, sign in ((0, left, 1), (0, right, -1), (1, top, 1), (1, bottom, -1)):
        clipped: Ring = []
        for start, end in pairwise([*ring[-1:], *ring]):
            is_inside = [(point[axis] - limit) * sign >= 0 for point in (start, end)]
            if is_inside[0] != is_inside[1]:
                share = (limit - start[axis]) / (end[axis] - start[axis])
                clipped.append(Point(start.x + share * (end.x - start.x), start.y + share * (end.y - start.y)))
            if is_inside[1]:
                clipped.append(end)
        ring = clipped
    return ring


def simplify(line: Ring) -> Ring:
    """Return a line with the points that matter, by Douglas and Peucker's algorithm."""
    kept, spans = {0, len(line) - 1}, [(0, len(line) - 1)]
    while spans:
        start, end = spans.pop()
        if end - start > 1:
            index = max(range(start + 1, end), key=lambda i: measure_distance(line[i], line[start], line[end]))
            if measure_distance(line[index], line[start], line[end]) > TOLERANCE:
                kept.add(index)
                spans += [(start, index), (index, end)]
    return [line[index] for index in sorted(kept)]


def measure_distance(point: Point, start: Point, end: Point) -> float:
    """Return the distance of a point from a line between two others."""
    across, down = end.x - start.x, end.y - start.y
    length = across * across + down * down
    share = ((point.x - start.x) * across + (point.y - start.y) * down) / length if length else 0
    share = min(max(share, 0), 1)
    return math.hypot(point.x - start.x - share * across, point.y - start.y - share * down)


def measure_area(ring: Ring) -> float:
    """Return the area of a ring, negative if it runs the other way round."""
    return sum(a.x * b.y - b.x * a.y for a, b in pairwise([*ring[-1:], *ring])) / 2


def write_path(rings: Iterable[Ring]) -> str:
    """Return rings as the path of an SVG, in whole units. One without an area is left out."""
    path = []
    for ring in rings:
        points = [(round(x), round(y)) for x, y in ring]
        points = [point for before, point in pairwise([*points[-1:], *points]) if point != before]
        if len(points) > 2 and measure_area([Point(*point) for point in points]):  # noqa: PLR2004 - a triangle
            steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points)]
            path.append(f"M{write_pair(points[0])}l{' '.join(map(write_pair, steps))}z")
    return "".join(path)


def write_pair(pair: tuple[int, int]) -> str:
    """Return two numbers. A minus sign separates, too."""
    return f"{pair[0]}{'' if pair[1] < 0 else ' '}{pair[1]}"


# The world


def project_world(point: Point) -> Point:
    """Return x and y of a place in the Equal Earth projection, https://doi.org/10.1080/13658816.2018.1504949.

    Longitudes are relative to the central meridian; y grows downwards.
    """
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    root = math.sqrt(3) / 2
    theta = math.asin(root * math.sin(math.radians(point.y)))
    square, sixth = theta**2, theta**6
    scale = root * (a1 + 3 * a2 * square + sixth * (7 * a3 + 9 * a4 * square))
    return Point(
        math.radians(point.x) * math.cos(theta) / scale, -theta * (a1 + a2 * square + sixth * (a3 + a4 * square))
    )


def unroll(ring: Ring) -> Ring:
    """Return a ring with longitudes that do not jump. One around the south pole is closed along it."""
    unrolled = [Point((ring[0].x - CENTRAL_MERIDIAN + 540) % 360 - 180, ring[0].y)]
    for before, point in pairwise([*ring, ring[0]]):
        unrolled.append(Point(unrolled[-1].x + (point.x - before.x + 540) % 360 - 180, point.y))
    if abs(unrolled[-1].x - unrolled[0].x) < 1:
        return unrolled[:-1]
    return [*unrolled, Point(unrolled[-1].x, -90), Point(unrolled[0].x, -90)]


def cut_world(ring: Ring) -> Iterator[Ring]:
    """Yield the parts of a ring, projected, on each side of the meridian at which the world is cut."""
    for turn in (-360, 0, 360):
        part = clip([Point(x + turn, y) for x, y in unroll(ring)], -180, -90, 180, 90)
        yield [project_world(point) for a, b in pairwise([*part[-1:], *part]) for point in divide(a, b)]


def divide(start: Point, end: Point) -> Iterator[Point]:
    """Yield the points that follow `start` on the line to `end`."""
    count = math.ceil(abs(end.y - start.y) / MAX_STEP) or 1
    for index in range(1, count + 1):
        share = index / count
        yield Point(start.x + share * (end.x - start.x), start.y + share * (end.y - start.y))


def build_world(atlas: Atlas, places: Mapping[str, Point]) -> Json:
    """Return the outlines of countries, and the dots of those that have none."""
    right, bottom = project_world(Point(180, 0)).x, project_world(Point(0, -90)).y
    scale = WORLD_WIDTH / 2 / right

    def place(point: Point) -> Point:
        return Point((point.x + right) * scale, (point.y + bottom) * scale)

    outlines = {
        code: write_path(
            [place(point) for point in part]
            for polygon in polygons
            for ring in polygon
            for part in cut_world(atlas.trace(ring))
        )
        for code, polygons in sorted(atlas.territories.items())
        if code
    }
    dots = {code: place(project_world(unroll([places[code]])[0])) for code, path in outlines.items() if not path}
    return {
        "size": [WORLD_WIDTH, round(2 * bottom * scale)],
        "outlines": {code: path for code, path in outlines.items() if path},
        "dots": {code: [round(dot.x), round(dot.y)] for code, dot in dots.items()},
    }


# Countries


def center_projection(center: Point) -> Callable[[Point], Point]:
    """Return Lambert's azimuthal equal-area projection around a place. y grows downwards."""
    sine, cosine = math.sin(math.radians(center.y)), math.cos(math.radians(center.y))

    def project(point: Point) -> Point:
        turn, latitude = math.radians(point.x - center.x), math.radians(point.y)
        up, across, along = math.sin(latitude), math.cos(latitude) * math.sin(turn), math.cos(latitude) * math.cos(turn)
        factor = math.sqrt(2 / max(1 + sine * up + cosine * along, 1e-9))
        return Point(factor * across, factor * (sine * along - cosine * up))

    return project


def find_center(points: Iterable[Point]) -> Point:
    """Return the middle of places: the direction of their mean from the centre of the Earth."""
    x = y = z = 0.0
    for longitude, latitude in ((math.radians(point.x), math.radians(point.y)) for point in points):
        x += math.cos(latitude) * math.cos(longitude)
        y += math.cos(latitude) * math.sin(longitude)
        z += math.sin(latitude)
    return Point(math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y))))


def measure_angle(start: Point, end: Point) -> float:
    """Return the angle between two places, seen from the centre of the Earth."""
    south, north, turn = math.radians(start.y), math.radians(end.y), math.radians(end.x - start.x)
    cosine = math.sin(south) * math.sin(north) + math.cos(south) * math.cos(north) * math.cos(turn)
    return math.acos(min(max(cosine, -1), 1))


@dataclass(frozen=True)
class View:
    """The part of the Earth that the picture of a country shows."""

    center: Point
    """Place that `project` projects to zero."""
    project: Callable[[Point], Point]
    middle: Point
    """Projected place in the middle of the picture."""
    height: float
    """Radians."""

    def place(self, point: Point) -> Point:
        """Return the units of a place on the picture."""
        scale = VIEW_HEIGHT / self.height
        x, y = self.project(point)
        return Point((x - self.middle.x) * scale + VIEW_WIDTH / 2, (y - self.middle.y) * scale + VIEW_HEIGHT / 2)


def choose_view(parts: Sequence[Ring], place: Point) -> View:
    """Return a view that has the main parts of a country in its middle."""
    if not parts:
        return View(place, center_projection(place), Point(0, 0), MIN_HEIGHT)
    _, longest = max((len(part), part) for part in parts)
    rough = center_projection(find_center(longest))
    areas = [abs(measure_area([rough(point) for point in part])) for part in parts]
    main = [point for part, area in zip(parts, areas, strict=True) if area >= MAIN_PART * max(areas) for point in part]
    center = find_center(main)
    project = center_projection(center)
    points = [project(point) for point in main]
    left, right = min(point.x for point in points), max(point.x for point in points)
    top, bottom = min(point.y for point in points), max(point.y for point in points)
    height = max(bottom - top, (right - left) * VIEW_HEIGHT / VIEW_WIDTH) * SURROUNDINGS
    return View(center, project, Point((left + right) / 2, (top + bottom) / 2), max(height, MIN_HEIGHT))


def draw(arcs: Arcs, atlas: Atlas, view: View) -> Ring:
    """Return the part of a ring in a view, simplified; empty if it is outside."""
    center, radius = atlas.measure_cap(arcs)
    if measure_angle(center, view.center) > radius + 1.5 * view.height:
        return []
    if not clip([view.place(point) for point in atlas.trace(arcs)], *BOX):
        return []
    lines = {arc: simplify([view.place(point) for point in trace_line(arc, atlas.lines)]) for arc in arcs}
    return clip([point for arc in arcs for point in lines[arc][:-1]], *BOX)


def build_country(code: str, atlas: Atlas, place: Point) -> Json:
    """Return the outlines of a country and of the land around it, and a dot if the country is small."""
    polygons = atlas.territories[code]
    view = choose_view([atlas.trace(polygon[0]) for polygon in polygons], place)
    while True:
        others = [
            draw(polygon[0], atlas, view)
            for other, parts in sorted(atlas.territories.items())
            if other != code
            for polygon in parts
        ]
        others = [ring for ring in others if abs(measure_area(ring)) >= MIN_AREA]
        land = sum(abs(measure_area(ring)) for ring in others) / VIEW_WIDTH / VIEW_HEIGHT
        if land >= MIN_LAND or view.height >= MAX_HEIGHT:
            break
        view = replace(view, height=view.height * 1.3)
    own = write_path(draw(ring, atlas, view) for polygon in polygons for ring in polygon)
    is_small = measure_extent(polygons, atlas, view) < MIN_EXTENT
    return {"own": own, "others": write_path(others), "dot": [*map(round, view.place(place))] if is_small else None}


def measure_extent(polygons: Sequence[Sequence[Arcs]], atlas: Atlas, view: View) -> float:
    """Return the width or height, whichever is larger, of the largest part of a country in units of its picture."""
    extents = [0.0]
    for polygon in polygons:
        xs, ys = zip(*map(view.place, atlas.trace(polygon[0])), strict=True)
        extents += [max(xs) - min(xs), max(ys) - min(ys)]
    return max(extents)


def build(archive: Path, tzdata: Path) -> dict[str, str]:
    """Return the content of every file, by file name."""
    reference = json.loads((BUNDLED_DIR / "reference.json").read_bytes())
    codes = {row["numeric_code"]: row["code"] for row in reference if row["numeric_code"]}
    places = read_places(tzdata)
    world = build_world(read_atlas(archive, "110m", codes), places)
    atlas = read_atlas(archive, "50m", codes)
    files = {f"{row['code']}.json": build_country(row["code"], atlas, places[row["code"]]) for row in reference}
    return {"world.json": dump_compact(world)} | {name: dump_compact(content) for name, content in files.items()}


def main() -> None:
    """Download the packages and rebuild the file in place."""
    with tempfile.TemporaryDirectory() as folder:
        files = build(*(download(package, Path(folder)) for package in (ATLAS, TZDATA)))
    path = BUNDLED_DIR / "maps.zip"
    write_zip(path, files)
    print(f"maps.zip: {len(files)} maps, {path.stat().st_size} bytes; {len(files['world.json'])} bytes of the world")


if __name__ == "__main__":
    main()
