"""The text formats of Prometheus."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import core
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from graphql_api.metrics.definitions import MetricFamily, MetricType
from graphql_api.metrics.shared_memory import SharedMetrics


def expose(shared_metrics: SharedMetrics, *, accept: str, now: float) -> tuple[bytes, str]:
    """Return all metrics in the format that `accept` prefers, and its media type.

    `now` is from `time.monotonic`.
    """
    encode, media_type = choose_encoder(accept)
    return encode(_SharedMetricsCollector(shared_metrics, now)), media_type


@dataclass(frozen=True, slots=True)
class _SharedMetricsCollector(Collector):
    shared_metrics: SharedMetrics
    now: float

    def collect(self) -> Iterator[core.Metric]:
        return map(self._build_metric, self.shared_metrics.offsets)

    def _build_metric(self, family: MetricFamily) -> core.Metric:
        description, labels = (family.name, family.documentation), list(family.labels)
        series = self.shared_metrics.collect(family, self.now)
        if family.type is MetricType.HISTOGRAM:
            histogram = core.HistogramMetricFamily(*description, labels=labels)
            bounds = [*map(str, family.buckets), "+Inf"]
            for label_values, (*counts, total) in series:
                buckets = list(zip(bounds, accumulate(counts), strict=True))
                histogram.add_metric(label_values, buckets, sum_value=total)
            return histogram
        is_counter = family.type is MetricType.COUNTER
        metric_class = core.CounterMetricFamily if is_counter else core.GaugeMetricFamily
        metric = metric_class(*description, labels=labels)
        for label_values, (value,) in series:
            metric.add_metric(label_values, value)
        return metric
