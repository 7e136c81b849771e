"""Every metric, with the possible values of its labels.

All series are known in advance, so each number has a fixed slot in the memory that workers share,
and no client can add series.
"""

import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from graphql_api import __version__, errors
from graphql_api.domain.report import Trigger
from graphql_api.sources import registry
from graphql_api.sources.fetch import FetchOutcome

OTHER = "other"
"""Label for every unexpected value."""
NO_KIND = "none"
"""Kind of a request that is not GraphQL, or whose document has no such operation."""
SUCCESS = "success"

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REQUEST_BUCKETS = (0.0001, 0.00025, 0.0005, *_BUCKETS)
"""Seconds, from a cached response to a mutation that waits for a refresh."""
_DEPENDENCY_BUCKETS = (*_BUCKETS, 30.0)
"""Seconds of requests to providers and of refresh phases."""


class MetricType(StrEnum):
    """The metric types of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class MetricFamily:
    """A metric. Each combination of label values is a series."""

    type: MetricType
    name: str
    """The exported name. Names of counters end with `_total`."""
    documentation: str
    aggregate: Callable[[Iterable[float]], float] = math.fsum
    """Combines the numbers of several workers."""
    initial: float = math.nan
    """Value of a gauge until it is set. NaN leaves the gauge out."""
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    buckets: Sequence[float] = ()
    """Upper bounds of a histogram, ascending, without infinity."""

    @property
    def values_per_series(self) -> int:
        """Return the count of numbers in a series: for a histogram its buckets and the sum."""
        return len(self.buckets) + 2 if self.buckets else 1


_counter = partial(MetricFamily, MetricType.COUNTER)
_gauge = partial(MetricFamily, MetricType.GAUGE)
_histogram = partial(MetricFamily, MetricType.HISTOGRAM)

OPERATION_KINDS = ("query", "mutation", "subscription", NO_KIND)
STATUSES = (
    *("101", "200", "302", "304", "400", "401", "404", "405", "406", "408", "413", "415", "429", "431"),
    *("500", "503", OTHER),
)
ERROR_CODES = (
    *sorted({error_class.code for error_class in errors.CountriesError.__subclasses__()}),
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    errors.INTERNAL_ERROR_CODE,
    OTHER,
)
PHASES = ("fetch_countries", "fetch_rates", "fetch_statistics", "fetch", "transform", "upsert", "image", "total")
PROVIDERS = tuple(dict.fromkeys(name for kind in registry.PROVIDERS.values() for name in kind))
REFRESH_OUTCOMES = (
    SUCCESS,
    errors.DatabaseUnavailable.code,
    errors.RefreshInProgress.code,
    errors.SourceInvalid.code,
    errors.SourceUnavailable.code,
    errors.INTERNAL_ERROR_CODE,
)
LOOKUP_RESULTS = ("hit", "not_modified", "miss")

REQUESTS = _counter(
    "graphql_api_requests_total",
    "Responses sent, by kind of operation and status.",
    labels={"kind": OPERATION_KINDS, "status": STATUSES},
)
REQUEST_DURATION = _histogram(
    "graphql_api_request_duration_seconds",
    "Time from a request's head to its response, by kind of operation.",
    buckets=_REQUEST_BUCKETS,
    labels={"kind": OPERATION_KINDS},
)
ERRORS = _counter(
    "graphql_api_errors_total",
    "Errors in GraphQL responses, by code. Most responses have status 200.",
    labels={"code": ERROR_CODES},
)
CACHE_LOOKUPS = _counter(
    "graphql_api_cache_lookups_total",
    "Cacheable responses: from the cache (hit), held by the client already (not_modified), or executed (miss).",
    labels={"result": LOOKUP_RESULTS},
)
CACHE_BYTES = _gauge("graphql_api_cache_bytes", "Memory of the response cache.", initial=0)
REFRESHES = _counter(
    "graphql_api_refreshes_total",
    "Refreshes that ended here, by trigger and outcome: success or the code of the error.",
    labels={"trigger": tuple(Trigger), "outcome": REFRESH_OUTCOMES},
)
REFRESH_PHASE_DURATION = _histogram(
    "graphql_api_refresh_phase_duration_seconds",
    "Time of each phase of successful refreshes. image overlaps upsert.",
    buckets=_DEPENDENCY_BUCKETS,
    labels={"phase": PHASES},
)
REFRESH_CALLERS = _gauge("graphql_api_refresh_waiting_callers", "Callers that wait for a refresh.")
PROVIDER_ANSWERS = _counter(
    "graphql_api_provider_answers_total",
    "Uses of a provider: it sent data (answered), had nothing new (not_modified), was skipped "
    "because its cached data is current (kept), or failed.",
    labels={"provider": PROVIDERS, "outcome": tuple(FetchOutcome)},
)
PROVIDER_DURATION = _histogram(
    "graphql_api_provider_duration_seconds",
    "Time of requests to a provider, failures included.",
    buckets=_DEPENDENCY_BUCKETS,
    labels={"provider": PROVIDERS},
)
SNAPSHOT_AGE = _gauge("graphql_api_snapshot_age_seconds", "Time since the last refresh of the served data.", max)
SNAPSHOT_STALE = _gauge("graphql_api_snapshot_stale", "1 if the served data is stale, as in status.stale.", max)
SNAPSHOT_REVISION = _gauge("graphql_api_snapshot_revision", "Revision of the served data.", min)
SNAPSHOT_COUNTRIES = _gauge("graphql_api_snapshot_countries", "Countries in the served data.", min)
DATABASE_REACHABLE = _gauge("graphql_api_database_reachable", "1 if the last use of the database succeeded.", min)
POOL_IN_USE = _gauge("graphql_api_database_pool_in_use", "Database connections in use.")
POOL_SIZE = _gauge("graphql_api_database_pool_size", "Database connections that stay open when idle, at most.")
POOL_OVERFLOW = _gauge("graphql_api_database_pool_overflow", "Database connections open beyond that number.")
POOL_WAITS = _counter(
    "graphql_api_database_pool_waits_total", "Times that a caller waited because all database connections were in use."
)
CONNECTIONS = _gauge("graphql_api_connections", "Open client connections, without WebSockets.", initial=0)
WEBSOCKETS = _gauge("graphql_api_websockets", "Open WebSockets.", initial=0)
SUBSCRIPTIONS = _gauge("graphql_api_subscriptions", "Active subscriptions.", initial=0)
WORKERS = _gauge("graphql_api_workers", "Running workers.", initial=1)
BUILD = _gauge(
    "graphql_api_build_info",
    "Always 1. The labels are the versions of this program and of Python.",
    max,
    initial=1,
    labels={"version": (__version__,), "python": (platform.python_version(),)},
)
CPU = _counter("process_cpu_seconds_total", "CPU time of all workers.")
MEMORY = _gauge("process_resident_memory_bytes", "Resident memory of all workers.")
OPEN_FILES = _gauge("process_open_fds", "Open files and sockets of all workers.")
MAX_FILES = _gauge("process_max_fds", "Maximum of open files and sockets of one worker.", min)
START_TIME = _gauge("process_start_time_seconds", "Start of the oldest worker, in seconds since 1970.", min)

FAMILIES = tuple(value for value in vars().values() if isinstance(value, MetricFamily))
"""Every metric above, in their order."""
