"""The board as Prometheus reads it."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from graphql_api.metrics.board import Board
from graphql_api.metrics.families import Family, Type


def expose(board: Board, *, accept: str, now: float) -> tuple[bytes, str]:
    """Return what a board holds, and its media type: one that is accepted.

    `now` is by `time.monotonic`.
    """
    encode, media_type = choose_encoder(accept)
    return encode(_Collected(board, now)), media_type


class _Collected(Collector):
    def __init__(self, board: Board, now: float) -> None:
        self._board = board
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        for family in self._board.families:
            yield self._metric(family)

    def _metric(self, family: Family) -> Metric:
        labels = list(family.labels)
        series = self._board.read(family, self._now)
        if family.type is Type.HISTOGRAM:
            histogram = HistogramMetricFamily(family.name, family.text, labels=labels)
            bounds = [*(str(bound) for bound in family.buckets), "+Inf"]
            for values, (*counts, total) in series:
                buckets = list(zip(bounds, accumulate(counts), strict=True))
                histogram.add_metric(values, buckets, sum_value=total)
            return histogram
        kind = CounterMetricFamily if family.type is Type.COUNTER else GaugeMetricFamily
        metric = kind(family.name, family.text, labels=labels)
        for values, (number,) in series:
            metric.add_metric(values, number)
        return metric
