"""The metrics of all workers in shared memory, without files, locks or messages.

Each worker writes to its own row only. A worker that replaces a dead one continues its row, so
counters never decrease.
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
_HEARTBEAT_TIMEOUT = 10.0
"""Seconds after the last heartbeat of a worker until its gauges are left out."""

MetricRow: TypeAlias = "memoryview[float]"
"""Doubles. The first one is the last heartbeat, by `time.monotonic`."""


@dataclass(frozen=True, slots=True)
class MetricSlot:
    """The position of a metric in a row."""

    start: int
    series: Sequence[tuple[str, ...]]
    values_per_series: int

    def get_offset(self, index: int) -> int:
        """Return the offset of a series."""
        return self.start + index * self.values_per_series

    def get_offsets_by_labels(self) -> dict[tuple[str, ...], int]:
        """Return the offset of each series by its label values."""
        return {labels: self.get_offset(index) for index, labels in enumerate(self.series)}


class SharedMetrics:
    """The rows of all workers. The parent process creates them, and forked workers inherit them."""

    def __init__(self, families: Sequence[MetricFamily], *, workers: int) -> None:
        """Allocate rows of zeros."""
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
        """Return the row of a worker, counted from 0, with the gauges of its predecessor unset."""
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
        """Yield label values and numbers of each series, combined over the workers.

        Counters include dead workers, gauges only live ones. Unset gauges are left out.
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
