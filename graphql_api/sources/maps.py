"""Outlines of the world and of each country, from the bundled archive. Each of its files is read on first use."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from itertools import accumulate
from typing import Any
from zipfile import ZipFile

import orjson

COUNTRY_MAP_SIZE = COUNTRY_MAP_WIDTH, COUNTRY_MAP_HEIGHT = 800, 600
"""Units of the map of a country."""


@dataclass(frozen=True, slots=True)
class WorldMap:
    """The world in an equal-area projection. Each country has an outline or a dot."""

    width: int
    height: int
    outlines: Mapping[str, str]
    """Paths of SVG, by code."""
    dots: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class CountryMap:
    """A country and its surroundings, as paths of SVG in units of `COUNTRY_MAP_SIZE`."""

    own: str
    """Empty if the source has no outline of the country."""
    others: str
    """The other land."""
    dot: tuple[int, int] | None
    """Marks a country that is too small to be seen."""


@cache
def load_world_map() -> WorldMap:
    """Read the map of the world: 60 kB in memory."""
    content = _read("world")
    width, height = content["size"]
    return WorldMap(width, height, content["outlines"], {code: (x, y) for code, (x, y) in content["dots"].items()})


@lru_cache(maxsize=32)
def load_country_map(code: str) -> CountryMap:
    """Read the map of a country of the reference."""
    content = _read(code)
    return CountryMap(content["own"], content["others"], content["dot"] and tuple(content["dot"]))


def parse_path(path: str) -> list[list[tuple[int, int]]]:
    """Return the rings of a path of the archive: each is `M`, a point, `l`, the steps from there, and `z`."""
    rings = []
    for ring in path.split("z")[:-1]:
        numbers = list(map(int, ring[1:].replace("l", " ").replace("-", " -").split()))
        rings.append(list(zip(accumulate(numbers[::2]), accumulate(numbers[1::2]), strict=True)))
    return rings


def _read(name: str) -> Any:  # noqa: ANN401 - any JSON
    with (
        resources.files("graphql_api.sources.bundled").joinpath("maps.zip").open("rb") as file,
        ZipFile(file) as archive,
    ):
        return orjson.loads(archive.read(f"{name}.json"))
