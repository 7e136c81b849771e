"""Part "load": latency at half of the highest possible rate, refreshes included."""

import gc
import json
import random
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import httpx

from benchmarks import refresh_benchmark
from benchmarks.markdown import format_table
from benchmarks.open_loop_load import LoadMeasurement, measure
from benchmarks.process_stats import ProcessStats
from benchmarks.report import BenchmarkReport, ProgressCallback
from benchmarks.servers import registry
from benchmarks.svg import bar_chart
from tests.support import generation_data
from tests.support.db_servers.mariadb import MariaDB
from tests.support.environments import build_environment
from tests.support.fake_providers.server import Upstream
from tests.support.processes import PROGRAM, running_process

LOAD_FRACTION = 0.5
"""Fraction of the highest possible rate. At more, the generator falls behind before the server does."""
REFRESH_INTERVAL = 10.0
"""Seconds between two refreshes."""
REFRESH_WINDOW = 1.0
"""Seconds after the start of a refresh that count as during it."""
_DURATION = 60.0
_PROBE_DURATION = 10.0
"""Seconds to measure the highest possible rate."""
_CONNECTIONS = 32
_SEED = 9
_REFRESH_TIMEOUT = 30.0
"""Seconds to wait for a refresh."""

_LIST_QUERY = (
    "{ countries { nodes { code name capital region population currencyCode exchangeRate estimatedGdp flagUrl } } }"
)
_COUNTRY_QUERY = "query ($code: String!) { country(code: $code) { name capital population } }"
_PAGE_QUERY = (
    "query ($more: Int!) { countries(filter: {population: {gt: $more}}, "
    "sort: [{field: ESTIMATED_GDP, direction: DESC}], first: 10) "
    "{ totalCount nodes { code name estimatedGdp } } }"
)
_REFRESH_REQUEST = {"query": "mutation { refreshCountries { totalCountries } }"}
_REFRESH_RESPONSE = {"data": {"refreshCountries": {"totalCountries": 250}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Percentiles of latency, in milliseconds."""

    requests: int
    p50: float
    p99: float
    p999: float
    most: float

    @classmethod
    def from_seconds(cls, seconds: Sequence[float]) -> "Latency":
        """Compute the percentiles of at least one latency in seconds."""
        ordered = sorted(seconds)

        def percentile(fraction: float) -> float:
            return round(ordered[ceil(fraction * len(ordered)) - 1] * 1000, 2)

        return cls(
            requests=len(ordered), p50=percentile(0.5), p99=percentile(0.99), p999=percentile(0.999), most=percentile(1)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResults:
    """Figures of this part; the names are those of its JSON."""

    possible: float
    """Highest possible rate, in requests a second."""
    rate: float
    seconds: float
    refreshes: int
    megabytes: float
    """Resident memory of the process afterwards."""
    errors: Mapping[str, int]
    latencies: Mapping[str, Latency]


require, versions = refresh_benchmark.require, refresh_benchmark.versions


def run(
    on_progress: ProgressCallback, *, seconds: float = _DURATION, probe_seconds: float = _PROBE_DURATION
) -> BenchmarkReport:
    """Measure for little more than a minute."""
    server_taskset, _ = registry.taskset_commands()
    with ExitStack() as stack:
        stack.enter_context(registry.leave_core_to_server(server_taskset))
        server, upstream = stack.enter_context(MariaDB()), stack.enter_context(Upstream())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        generation_data.GenerationData(upstream).activate()
        settings = {"DATABASE_URL": server.url(server.create_database()), "PORT": "0", **upstream.environment}
        command = [*server_taskset, *PROGRAM, "serve"]
        process = stack.enter_context(running_process(command, folder, build_environment(settings)))
        process.wait_for_log("Refresh .* countries from geonames")
        # Of its own: threads of this process would delay it.
        generator = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))

        def measure_beside_refreshes(seconds: float, rate: float | None) -> tuple[LoadMeasurement, Sequence[float]]:
            generator.submit(int).result()  # it has started
            with _refresh_periodically(process.url) as refresh_starts:
                return generator.submit(_measure, process.port, seconds, rate).result(), refresh_starts

        on_progress("what load is possible")
        capacity, _ = measure_beside_refreshes(probe_seconds, None)
        rate = LOAD_FRACTION * capacity.rate
        on_progress(f"{rate:.0f} requests a second for {seconds:g} s")
        result, refresh_starts = measure_beside_refreshes(seconds, rate)
        megabytes = ProcessStats.of_process(process.pid).megabytes
    return build_report(_collect_results(capacity, rate, result, refresh_starts, megabytes))


def _measure(port: int, seconds: float, rate: float | None) -> LoadMeasurement:
    gc.disable()  # it would stand still for a third of a second, to visit half a million latencies
    return measure(port, _generate_requests(), seconds=seconds, connections=_CONNECTIONS, rate=rate)


def _collect_results(
    capacity: LoadMeasurement, rate: float, result: LoadMeasurement, refresh_starts: Sequence[float], megabytes: float
) -> LoadResults:
    refresh_offsets = [start - result.started_at for start in refresh_starts]
    during_refresh: list[float] = []
    other_times: list[float] = []
    for due_at, latency in result.latencies:
        is_during_refresh = any(start <= due_at < start + REFRESH_WINDOW for start in refresh_offsets)
        (during_refresh if is_during_refresh else other_times).append(latency)
    groups = {
        "all requests": during_refresh + other_times,
        f"within {REFRESH_WINDOW:g} s of a refresh's start": during_refresh,
        "at other times": other_times,
    }
    return LoadResults(
        possible=round(capacity.rate),
        rate=round(rate),
        seconds=round(result.seconds),
        refreshes=len(refresh_offsets),
        megabytes=megabytes,
        errors=dict(capacity.errors + result.errors),
        latencies={name: Latency.from_seconds(seconds) for name, seconds in groups.items() if seconds},
    )


def build_report(results: LoadResults) -> BenchmarkReport:
    """Return the published form of the figures."""
    errors = ", ".join(f"{count} × {error}" for error, count in results.errors.items()) or "none"
    rows = [
        (name, f"{latency.requests:,}", *(f"{ms:.2f} ms" for ms in _percentiles(latency).values()))
        for name, latency in results.latencies.items()
    ]
    overall = next(iter(results.latencies.values()))
    header = (
        f"{results.rate:,.0f} requests/s, {results.refreshes} refreshes in {results.seconds:g} s",
        "requests",
        *_percentiles(overall),
    )
    return BenchmarkReport(
        results=asdict(results),
        markdown=(
            f"{format_table(header, rows)}\n\nOne process can serve {results.possible:,.0f} "
            f"requests/s; the rate was {LOAD_FRACTION:.0%} of that. Errors: {errors}. Afterwards the process has "
            f"{results.megabytes:.0f} MB of memory.\n"
        ),
        chart=bar_chart.draw(_build_chart(results)),
        caption=(
            f"At {results.rate:,.0f} requests a second, with a refresh every "
            f"{REFRESH_INTERVAL:g} s, half of "
            f"the responses take {overall.p50:.2f} ms at most, and 99.9 % {overall.p999:.1f} ms"
        ),
    )


def _percentiles(latency: Latency) -> Mapping[str, float]:
    return {"p50": latency.p50, "p99": latency.p99, "p99.9": latency.p999, "slowest": latency.most}


def _build_chart(results: LoadResults) -> bar_chart.Chart:
    return bar_chart.Chart(
        title=f"Milliseconds until the response, at {results.rate:,.0f} requests/s ({LOAD_FRACTION:.0%})",
        groups=tuple(
            bar_chart.Group(
                title=name,
                bars=tuple(
                    bar_chart.Bar(label=label, value=ms, value_text=f"{ms:.2f} ms", is_highlighted=True)
                    for label, ms in _percentiles(latency).items()
                ),
            )
            for name, latency in results.latencies.items()
        ),
    )


def _generate_requests() -> Iterator[bytes]:
    """Yield, without end and reproducibly, a repeated, a sometimes repeated and a new request."""
    rng = random.Random(_SEED)  # noqa: S311 - no secret
    list_request = _build_request(_LIST_QUERY)
    country_requests = [_build_request(_COUNTRY_QUERY, code=code) for code in generation_data.CODES]
    while True:
        yield list_request
        yield rng.choice(country_requests)
        yield _build_request(_PAGE_QUERY, more=rng.randrange(1_000_000))


def _build_request(query: str, **variables: object) -> bytes:
    body = json.dumps({"query": query, "variables": variables}).encode()
    head = (
        "POST /graphql HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*head, "", "")).encode() + body


@contextmanager
def _refresh_periodically(url: str) -> Iterator[list[float]]:
    """Refresh periodically in the background; yield the start times."""
    refresh_starts: list[float] = []
    stopped = threading.Event()

    def refresh() -> None:
        with httpx.Client(base_url=url, timeout=_REFRESH_TIMEOUT, trust_env=False) as client:
            pause = REFRESH_INTERVAL / 10
            while not stopped.wait(pause):
                pause = REFRESH_INTERVAL
                refresh_starts.append(perf_counter())
                response = client.post("/graphql", json=_REFRESH_REQUEST).json()
                if response != _REFRESH_RESPONSE:
                    raise RuntimeError(f"Unexpected response to the refresh: {response}")

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(refresh)
        try:
            yield refresh_starts
        finally:
            stopped.set()
        future.result()
