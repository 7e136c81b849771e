"""The text formats of Prometheus."""

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

from graphql_api.metrics.definitions import MetricFamily, MetricType
from graphql_api.metrics.shared_memory import SharedMetrics


def expose(shared_metrics: SharedMetrics, *, accept: str, now: float) -> tuple[bytes, str]:
    """Return all metrics in the format that `accept` prefers, and its media type.

    `now` is from `time.monotonic`.
    """
    encode, media_type = choose_encoder(accept)
    return encode(_SharedMetricsCollector(shared_metrics, now)), media_type


class _SharedMetricsCollector(Collector):
    def __init__(self, shared_metrics: SharedMetrics, now: float) -> None:
        self._shared_metrics = shared_metrics
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        for family in self._shared_metrics.families:
            yield self._build_metric(family)

    def _build_metric(self, family: MetricFamily) -> Metric:
        labels = list(family.labels)
        series = self._shared_metrics.collect(family, self._now)
        if family.type is MetricType.HISTOGRAM:
            histogram = HistogramMetricFamily(family.name, family.documentation, labels=labels)
            bounds = [*(str(bound) for bound in family.buckets), "+Inf"]
            for label_values, (*counts, total) in series:
                buckets = list(zip(bounds, accumulate(counts), strict=True))
                histogram.add_metric(label_values, buckets, sum_value=total)
            return histogram
        metric_class = (
            CounterMetricFamily if family.type is MetricType.COUNTER else GaugeMetricFamily
        )
        metric = metric_class(family.name, family.documentation, labels=labels)
        for label_values, (value,) in series:
            metric.add_metric(label_values, value)
        return metric
