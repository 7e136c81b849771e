"""What is counted: every metric, with the values that its labels may have.

All of them are known beforehand, so that the numbers have their places in the memory that workers
share, and no client can make more of them.
"""

import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product

from graphql_api import __version__
from graphql_api.domain.report import Trigger
from graphql_api.errors import (
    INTERNAL_ERROR_CODE,
    CountriesError,
    DatabaseUnavailable,
    RefreshInProgress,
    SourceInvalid,
    SourceUnavailable,
)
from graphql_api.sources import registry
from graphql_api.sources.fetch import FetchOutcome

OTHER = "other"
"""Stands for every value of a label that is not foreseen."""
NO_KIND = "none"
"""The kind of a request that is no GraphQL, or whose document names no operation."""
SUCCESS = "success"

_REQUEST_BUCKETS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Seconds of a request: from one that is answered as before to one that waits for a refresh."""
_DEPENDENCY_BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
"""Seconds of what waits for others."""


class MetricType(StrEnum):
    """What a metric is, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFamily:
    """A metric; each choice of values for its labels is a series."""

    name: str
    """As it is exported; that of a counter ends with `_total`."""
    type: MetricType
    documentation: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    buckets: Sequence[float] = ()
    """The upper bounds of a histogram, in rising order, without the infinite one."""
    aggregate: Callable[[Iterable[float]], float] = math.fsum
    """Makes one number of those of several workers."""

    @property
    def series(self) -> list[tuple[str, ...]]:
        """Return the values of the labels of each series."""
        return list(product(*self.labels.values()))

    @property
    def values_per_series(self) -> int:
        """Return how many numbers a series takes: a histogram has its buckets, and the sum."""
        return len(self.buckets) + 2 if self.buckets else 1

    @property
    def value_count(self) -> int:
        """Return how many numbers all series take."""
        return len(self.series) * self.values_per_series


def _counter(name: str, documentation: str, **labels: Sequence[str]) -> MetricFamily:
    return MetricFamily(
        name=name, type=MetricType.COUNTER, documentation=documentation, labels=labels
    )


def _gauge(
    name: str,
    documentation: str,
    aggregate: Callable[[Iterable[float]], float] = math.fsum,
    **labels: Sequence[str],
) -> MetricFamily:
    return MetricFamily(
        name=name,
        type=MetricType.GAUGE,
        documentation=documentation,
        labels=labels,
        aggregate=aggregate,
    )


def _histogram(
    name: str, documentation: str, buckets: Sequence[float], **labels: Sequence[str]
) -> MetricFamily:
    return MetricFamily(
        name=name,
        type=MetricType.HISTOGRAM,
        documentation=documentation,
        labels=labels,
        buckets=buckets,
    )


OPERATION_KINDS = ("query", "mutation", "subscription", NO_KIND)
STATUSES = (
    *("101", "200", "302", "304", "400", "401", "404", "405", "406", "408", "413", "415", "431"),
    *("500", "503", OTHER),
)
ERROR_CODES = (
    *sorted({error_class.code for error_class in CountriesError.__subclasses__()}),
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    INTERNAL_ERROR_CODE,
    OTHER,
)
PHASES = ("fetch_countries", "fetch_rates", "fetch", "transform", "upsert", "image", "total")
PROVIDERS = tuple(dict.fromkeys(name for kind in registry.PROVIDERS.values() for name in kind))
REFRESH_OUTCOMES = (
    SUCCESS,
    DatabaseUnavailable.code,
    RefreshInProgress.code,
    SourceInvalid.code,
    SourceUnavailable.code,
    INTERNAL_ERROR_CODE,
)
LOOKUP_RESULTS = ("hit", "not_modified", "miss")

REQUESTS = _counter(
    "graphql_api_requests_total",
    "Requests answered, by the kind of their operation and the status.",
    kind=OPERATION_KINDS,
    status=STATUSES,
)
REQUEST_DURATION = _histogram(
    "graphql_api_request_duration_seconds",
    "Time from a request's head to its answer, by the kind of its operation.",
    _REQUEST_BUCKETS,
    kind=OPERATION_KINDS,
)
ERRORS = _counter(
    "graphql_api_errors_total",
    "Errors in answers of GraphQL, by code; most of them have status 200.",
    code=ERROR_CODES,
)
CACHE_LOOKUPS = _counter(
    "graphql_api_cache_lookups_total",
    "Answers of the data: kept from before, held by the client already, or made anew.",
    result=LOOKUP_RESULTS,
)
CACHE_BYTES = _gauge("graphql_api_cache_bytes", "Memory that kept answers take.")
REFRESHES = _counter(
    "graphql_api_refreshes_total",
    "Refreshes that ended here, by what began them; success, or the code of the error.",
    trigger=tuple(Trigger),
    outcome=REFRESH_OUTCOMES,
)
REFRESH_PHASE_DURATION = _histogram(
    "graphql_api_refresh_phase_duration_seconds",
    "Time of each phase of a refresh that succeeded; image overlaps upsert.",
    _DEPENDENCY_BUCKETS,
    phase=PHASES,
)
REFRESH_CALLERS = _gauge(
    "graphql_api_refresh_waiting_callers", "Callers that wait for a refresh now."
)
PROVIDER_ANSWERS = _counter(
    "graphql_api_provider_answers_total",
    "Times that a provider was to give its data: answered, had nothing new (not_modified), was "
    "not asked since what it said still holds (kept), or failed.",
    provider=PROVIDERS,
    outcome=tuple(FetchOutcome),
)
PROVIDER_DURATION = _histogram(
    "graphql_api_provider_duration_seconds",
    "Time that a provider took that was asked, its failures included.",
    _DEPENDENCY_BUCKETS,
    provider=PROVIDERS,
)
SNAPSHOT_AGE = _gauge(
    "graphql_api_snapshot_age_seconds", "Time since the data was refreshed that is served.", max
)
SNAPSHOT_STALE = _gauge(
    "graphql_api_snapshot_stale", "1 when what is served is stale, as status.stale says.", max
)
SNAPSHOT_REVISION = _gauge(
    "graphql_api_snapshot_revision", "Revision of the data that is served.", min
)
SNAPSHOT_COUNTRIES = _gauge("graphql_api_snapshot_countries", "Countries that are served.", min)
DATABASE_REACHABLE = _gauge(
    "graphql_api_database_reachable", "1 when the database answered when last looked at.", min
)
POOL_IN_USE = _gauge(
    "graphql_api_database_pool_in_use", "Connections to the database that are lent now."
)
POOL_SIZE = _gauge(
    "graphql_api_database_pool_size", "Connections to the database that are kept at most."
)
POOL_OVERFLOW = _gauge(
    "graphql_api_database_pool_overflow", "Connections to the database open beyond those."
)
POOL_WAITS = _counter(
    "graphql_api_database_pool_waits_total",
    "Times that all connections to the database were lent and one was waited for.",
)
CONNECTIONS = _gauge(
    "graphql_api_connections", "Connections of clients that are open, but for WebSockets."
)
WEBSOCKETS = _gauge("graphql_api_websockets", "WebSockets that are open.")
SUBSCRIPTIONS = _gauge("graphql_api_subscriptions", "Subscriptions that go on.")
WORKERS = _gauge("graphql_api_workers", "Processes that serve.")
BUILD = _gauge(
    "graphql_api_build_info",
    "1; its labels are the versions of this program and of Python.",
    max,
    version=(__version__,),
    python=(platform.python_version(),),
)
CPU = _counter("process_cpu_seconds_total", "CPU time of all workers.")
MEMORY = _gauge("process_resident_memory_bytes", "Memory of all workers.")
OPEN_FILES = _gauge("process_open_fds", "Open files and sockets of all workers.")
MAX_FILES = _gauge("process_max_fds", "Files and sockets that one worker may open.", min)
START_TIME = _gauge(
    "process_start_time_seconds", "When the oldest worker started, in seconds since 1970.", min
)

FAMILIES = (
    REQUESTS,
    REQUEST_DURATION,
    ERRORS,
    CACHE_LOOKUPS,
    CACHE_BYTES,
    REFRESHES,
    REFRESH_PHASE_DURATION,
    REFRESH_CALLERS,
    PROVIDER_ANSWERS,
    PROVIDER_DURATION,
    SNAPSHOT_AGE,
    SNAPSHOT_STALE,
    SNAPSHOT_REVISION,
    SNAPSHOT_COUNTRIES,
    DATABASE_REACHABLE,
    POOL_IN_USE,
    POOL_SIZE,
    POOL_OVERFLOW,
    POOL_WAITS,
    CONNECTIONS,
    WEBSOCKETS,
    SUBSCRIPTIONS,
    WORKERS,
    BUILD,
    CPU,
    MEMORY,
    OPEN_FILES,
    MAX_FILES,
    START_TIME,
)
