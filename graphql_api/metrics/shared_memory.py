"""The metrics of all workers in shared memory, without files, locks or messages.

Each worker writes to its own row only. A worker that replaces a dead one continues its row, so counters never decrease.
"""

import math
import mmap
from collections.abc import Iterator
from itertools import product
from typing import TypeAlias

from graphql_api.metrics.definitions import FAMILIES, MetricFamily, MetricType

_DOUBLE_BYTES = 8
_HEARTBEAT_TIMEOUT = 10.0
"""Seconds after the last heartbeat of a worker until its gauges are left out."""

MetricRow: TypeAlias = "memoryview[float]"
"""Doubles. The first one is the last heartbeat, by `time.monotonic`."""


class SharedMetrics:
    """The rows of all workers. The parent process creates them, and forked workers inherit them."""

    def __init__(self, *, workers: int) -> None:
        self.offsets: dict[MetricFamily, dict[tuple[str, ...], int]] = {}
        """Position in a row of each series, by family and label values."""
        length = 1
        for family in FAMILIES:
            self.offsets[family] = {}
            for labels in product(*family.labels.values()):
                self.offsets[family][labels] = length
                length += family.values_per_series
        memory = memoryview(mmap.mmap(-1, workers * length * _DOUBLE_BYTES)).cast("d")
        self._rows = [memory[worker * length :][:length] for worker in range(workers)]

    def row_for(self, worker: int) -> MetricRow:
        """Return the row of a worker, counted from 0, with the gauges of its predecessor reset."""
        row = self._rows[worker]
        for family, offsets in self.offsets.items():
            if family.type is MetricType.GAUGE:
                for offset in offsets.values():
                    row[offset] = family.initial
        return row

    def last_heartbeat(self, worker: int) -> float:
        """Return the monotonic time of the last heartbeat of a worker or its predecessor; 0 without any."""
        return self._rows[worker][0]

    def collect(self, family: MetricFamily, now: float) -> Iterator[tuple[tuple[str, ...], list[float]]]:
        """Yield label values and numbers of each series, combined over the workers.

        Counters include dead workers, gauges only live ones. Unset gauges are left out.
        """
        rows = self._rows
        if family.type is MetricType.GAUGE:
            rows = [row for row in rows if row[0] and now - row[0] < _HEARTBEAT_TIMEOUT]
        for labels, start in self.offsets[family].items():
            numbers = [row[start:][: family.values_per_series].tolist() for row in rows]
            columns = zip(*(row for row in numbers if not math.isnan(row[0])), strict=True)
            if values := [family.aggregate(column) for column in columns]:
                yield labels, values
