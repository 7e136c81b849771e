"""The numbers of all workers, in memory that they share: no file, no lock, no message.

Each worker has a row of its own, to which nobody else writes. One that takes the place of a worker
that died goes on with its row, so that counters never fall.
"""

import math
import mmap
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from graphql_api.metrics.families import Family, Type

_NUMBER = 8
"""Bytes."""
_LIVES = 10.0
"""Seconds since it was last heard of, after which the gauges of a worker are left out."""

Row: TypeAlias = "memoryview[float]"
"""Of doubles; the first is when its worker was last heard of, by `time.monotonic`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the numbers of a family are in a row."""

    start: int
    series: Sequence[tuple[str, ...]]
    width: int

    def of(self, index: int) -> int:
        """Return where those of a series begin."""
        return self.start + index * self.width

    def by_labels(self) -> dict[tuple[str, ...], int]:
        """Return where the numbers of each series begin, by the values of its labels."""
        return {labels: self.of(index) for index, labels in enumerate(self.series)}


class Board:
    """Made by the process that starts the workers; they inherit it when they are forked."""

    def __init__(self, families: Sequence[Family], *, workers: int) -> None:
        """Begin with zeros."""
        self.families = families
        starts = accumulate((family.size for family in families), initial=1)
        self.places = {
            family.name: Place(start, family.series, family.width)
            for family, start in zip(families, starts, strict=False)
        }
        self._length = 1 + sum(family.size for family in families)
        memory = memoryview(mmap.mmap(-1, workers * self._length * _NUMBER)).cast("d")
        self._rows = [
            memory[number * self._length : (number + 1) * self._length] for number in range(workers)
        ]

    def take(self, worker: int) -> Row:
        """Return the row of a worker, counted from 0; what its predecessor gauged is forgotten."""
        row = self._rows[worker]
        for family in self.families:
            if family.type is Type.GAUGE:
                place = self.places[family.name]
                unset = memoryview(array("d", [math.nan] * family.size))
                row[place.start : place.start + family.size] = unset
        return row

    def read(self, family: Family, now: float) -> Iterator[tuple[tuple[str, ...], list[float]]]:
        """Yield the numbers of each series, those of all workers made one; no gauge that is unset.

        Counters are of all workers that ever were, gauges of those that live.
        """
        place = self.places[family.name]
        rows = self._living(now) if family.type is Type.GAUGE else self._rows
        for index, labels in enumerate(place.series):
            start = place.of(index)
            columns = zip(*(row[start : start + place.width].tolist() for row in rows), strict=True)
            given = ([one for one in column if not math.isnan(one)] for column in columns)
            numbers = [family.merge(column) for column in given if column]
            if len(numbers) == place.width:
                yield labels, numbers

    def _living(self, now: float) -> list[Row]:
        return [row for row in self._rows if row[0] and now - row[0] < _LIVES]
