"""The maps of the pages: the world, coloured by a measure, and a country with its surroundings."""

from collections.abc import Iterator, Mapping
from threading import Lock
from urllib.parse import urlencode

from markupsafe import Markup

from graphql_api.domain.snapshot import Snapshot
from graphql_api.http.site.map_measures import MEASURES, REGION_CLASSES, Measure, classify, parse_measure
from graphql_api.http.site.static_files import Asset
from graphql_api.http.site.templates import render_template
from graphql_api.sources.maps import COUNTRY_MAP_SIZE, load_country_map, load_world_map
from graphql_api.utils.lru import LRUCache

__all__ = ("ASSETS", "parse_measure", "render_small_map", "render_world_map")

ASSETS = tuple(map(Asset.from_package, ("world_map.css", "world_map.js")))

_HIGHEST = 3
"""Countries that the caption names."""


# Pages are rendered in threads, and the caches of a snapshot are the event loop's.
_figures: LRUCache[tuple[str, str], Markup] = LRUCache(len(MEASURES))
"""The map of each measure, by digest of the data."""
_figures_lock = Lock()


def render_world_map(snapshot: Snapshot, measure: Measure, params: Mapping[str, str]) -> Markup:
    """Return the section of a page that shows the world by a measure.

    Its links choose another measure and keep the other query parameters of the page.
    """
    key = snapshot.digest, measure.field
    with _figures_lock:
        figure = _figures.get(key)
        if figure is None:
            figure = _render_figure(snapshot, measure)
            _figures.put(key, figure)
    links = [
        (f"?{urlencode({**params, 'map': name})}#map", other.label, other is measure)
        for name, other in MEASURES.items()
    ]
    return Markup(render_template("world_map.html", links=links, figure=figure))  # noqa: S704 - a template escaped it


def render_small_map(code: str, name: str) -> Markup:
    """Return an image of a country of the reference, with its surroundings."""
    country_map = load_country_map(code)
    return Markup(  # noqa: S704 - a template escaped it
        render_template("small_map.html", size=COUNTRY_MAP_SIZE, country_name=name, map=country_map)
    )


def _render_figure(snapshot: Snapshot, measure: Measure) -> Markup:
    classes = classify(snapshot.rows, measure)
    ranked = [row for group in reversed(classes) for row in reversed(group.rows)]
    if not measure.is_amount:
        ranked = [row for group in classes for row in group.rows]
    served = {row.code for row in snapshot.rows}
    with_data = {row.code for row in ranked}
    without_data = [row for row in snapshot.rows if row.code not in with_data]
    colors = {row.code: _name_color(measure, index) for index, group in enumerate(classes) for row in group.rows}
    legend = [(_name_color(measure, index), group.label, len(group.rows)) for index, group in enumerate(classes)]
    if without_data:
        legend.append(("none", "No data", len(without_data)))
    html = render_template(
        "world_map_figure.html",
        world=load_world_map(),
        measure=measure,
        shapes=list(_list_shapes(snapshot, measure, colors)),
        other_land="".join(outline for code, outline in load_world_map().outlines.items() if code not in served),
        legend=legend,
        highest=ranked[:_HIGHEST] if measure.is_amount else [],
        has_data=bool(ranked),
        ranked=[*ranked, *without_data],
    )
    return Markup(html)  # noqa: S704 - a template escaped it


def _name_color(measure: Measure, index: int) -> str:
    """Return the class of a colour in world_map.css."""
    return f"a{index}" if measure.is_amount else f"r{index % REGION_CLASSES}"


def _list_shapes(snapshot: Snapshot, measure: Measure, colors: Mapping[str, str]) -> Iterator[dict[str, object]]:
    """Yield what draws each country: outlines first, so that dots lie on top."""
    world = load_world_map()
    for shapes in (world.outlines, world.dots):
        for row in snapshot.rows:
            if row.code in shapes:
                yield {
                    "code": row.code,
                    "color": colors.get(row.code, "none"),
                    "title": f"{row.name}: {measure.describe(row)}",
                    "outline": world.outlines.get(row.code),
                    "dot": world.dots.get(row.code),
                }
