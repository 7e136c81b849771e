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

from graphql_api.metrics.definitions import MetricFamily, MetricType

_DOUBLE_BYTES = 8
"""Bytes."""
_HEARTBEAT_TIMEOUT = 10.0
"""Seconds since it was last heard of, after which the gauges of a worker are left out."""

MetricRow: TypeAlias = "memoryview[float]"
"""Of doubles; the first is when its worker was last heard of, by `time.monotonic`."""


@dataclass(frozen=True, slots=True)
class MetricSlot:
    """Where the numbers of a family are in a row."""

    start: int
    series: Sequence[tuple[str, ...]]
    values_per_series: int

    def get_offset(self, index: int) -> int:
        """Return where those of a series begin."""
        return self.start + index * self.values_per_series

    def get_offsets_by_labels(self) -> dict[tuple[str, ...], int]:
        """Return where the numbers of each series begin, by the values of its labels."""
        return {labels: self.get_offset(index) for index, labels in enumerate(self.series)}


class SharedMetrics:
    """Made by the process that starts the workers; they inherit it when they are forked."""

    def __init__(self, families: Sequence[MetricFamily], *, workers: int) -> None:
        """Begin with zeros."""
        self.families = families
        starts = accumulate((family.value_count for family in families), initial=1)
        self.slots = {
            family.name: MetricSlot(start, family.series, family.values_per_series)
            for family, start in zip(families, starts, strict=False)
        }
        self._row_length = 1 + sum(family.value_count for family in families)
        memory = memoryview(mmap.mmap(-1, workers * self._row_length * _DOUBLE_BYTES)).cast("d")
        self._rows = [
            memory[index * self._row_length : (index + 1) * self._row_length]
            for index in range(workers)
        ]

    def row_for(self, worker: int) -> MetricRow:
        """Return the row of a worker, counted from 0; what its predecessor gauged is forgotten."""
        row = self._rows[worker]
        for family in self.families:
            if family.type is MetricType.GAUGE:
                slot = self.slots[family.name]
                unset = memoryview(array("d", [math.nan] * family.value_count))
                row[slot.start : slot.start + family.value_count] = unset
        return row

    def collect(
        self, family: MetricFamily, now: float
    ) -> Iterator[tuple[tuple[str, ...], list[float]]]:
        """Yield the numbers of each series, those of all workers made one; no gauge that is unset.

        Counters are of all workers that ever were, gauges of those that live.
        """
        slot = self.slots[family.name]
        rows = self._get_live_rows(now) if family.type is MetricType.GAUGE else self._rows
        for index, labels in enumerate(slot.series):
            start = slot.get_offset(index)
            columns = zip(
                *(row[start : start + slot.values_per_series].tolist() for row in rows), strict=True
            )
            set_columns = (
                [value for value in column if not math.isnan(value)] for column in columns
            )
            values = [family.aggregate(column) for column in set_columns if column]
            if len(values) == slot.values_per_series:
                yield labels, values

    def _get_live_rows(self, now: float) -> list[MetricRow]:
        return [row for row in self._rows if row[0] and now - row[0] < _HEARTBEAT_TIMEOUT]
