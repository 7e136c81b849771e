"""Part "refresh": this project and the original case's three implementations, far and near."""

import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from sqlalchemy import create_engine, make_url

from benchmarks import upsert_benchmark
from benchmarks.baseline_refresh import Base, BaselineRefresh, RefreshMethod
from benchmarks.environment import package_versions, program_version
from benchmarks.markdown import format_table
from benchmarks.refresh_environment import PROVIDER_DELAY, RefreshCost, RefreshEnvironment, refresh_environment
from benchmarks.report import BenchmarkReport, MissingToolError, ProgressCallback
from benchmarks.svg import bar_chart
from benchmarks.upsert_benchmark import UpsertResult
from tests.support.db_servers.mariadb import MariaDB
from tests.support.processes import running_command

FAR_ROUND_TRIP, NEAR_ROUND_TRIP = 0.5, 0.001
"""Seconds per round trip to the database."""
LOOP, BULK = "ORM loop, an UPDATE a row", "bulk update by key"
BATCHES = "batches of 100 in text SQL"
BATCHES_FIRST = f"{BATCHES}, first after start"
OURS = "this project"
OURS_FIRST = f"{OURS}, first after start"

_TIMEOUT = 60.0
_MUTATION = "mutation { refreshCountries { totalCountries statements } }"
_RESPONSE = {"data": {"refreshCountries": {"totalCountries": 250, "statements": 1}}}

CostsByMethod = dict[str, RefreshCost]
"""By the name of the implementation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshResults:
    """Figures of this part; the names are those of its JSON."""

    far: CostsByMethod
    near: CostsByMethod
    upserts: Sequence[UpsertResult]


def lower_bound(round_trip: float) -> float:
    """Return the shortest possible refresh in seconds: the slowest source and one round trip."""
    return PROVIDER_DELAY + round_trip


def require() -> None:
    """Check that the required tools are installed.

    Raises:
        MissingToolError: MariaDB is missing.
    """
    if MariaDB.find_program() is None:
        raise MissingToolError("Install mariadb-server to measure (apt-get install mariadb-server).")


def versions() -> Mapping[str, str]:
    """Return the versions of database and libraries."""
    package_names = package_versions("asyncmy", "SQLAlchemy", "PyMySQL", "uvicorn", "strawberry-graphql")
    return {**package_names, "MariaDB": program_version(f"{MariaDB.find_program()}", "--version")}


def run(on_progress: ProgressCallback) -> BenchmarkReport:
    """Measure for less than four minutes."""
    with MariaDB() as server:
        on_progress("the upsert alone")
        upsert_results = upsert_benchmark.measure(server)
        on_progress(f"refreshes at {FAR_ROUND_TRIP * 1000:g} ms a trip: two minutes")
        # Nearly all of the time is waiting, so the four run concurrently.
        far = _measure_all(server, FAR_ROUND_TRIP, max_workers=4)
        on_progress(f"refreshes at {NEAR_ROUND_TRIP * 1000:g} ms a trip")
        near = _measure_all(server, NEAR_ROUND_TRIP, max_workers=1)
    return build_report(RefreshResults(far=far, near=near, upserts=upsert_results))


def build_report(results: RefreshResults) -> BenchmarkReport:
    """Return the published form of the figures."""
    limits = {"far": lower_bound(FAR_ROUND_TRIP), "near": lower_bound(NEAR_ROUND_TRIP)}
    return BenchmarkReport(
        results={"sources_seconds": PROVIDER_DELAY, "limits": limits, **asdict(results)},
        markdown=f"{_format_refresh_table(results)}\n\n{_format_upsert_table(results.upserts)}\n",
        chart=bar_chart.draw(_build_chart(results)),
        caption=_build_caption(results),
    )


def _measure_all(server: MariaDB, round_trip: float, *, max_workers: int) -> CostsByMethod:
    with ExitStack() as stack:
        environments = [stack.enter_context(refresh_environment(server)) for _ in range(4)]
        pool = stack.enter_context(ThreadPoolExecutor(max_workers))
        futures = [
            pool.submit(_measure_method, environments[0], round_trip, LOOP, BaselineRefresh.update_in_loop),
            pool.submit(_measure_method, environments[1], round_trip, BULK, BaselineRefresh.bulk_update),
            pool.submit(_measure_batches, environments[2], round_trip),
            pool.submit(_measure_project, environments[3], round_trip),
        ]
        return {name: cost for future in futures for name, cost in future.result().items()}


def _measure_method(
    environment: RefreshEnvironment, round_trip: float, name: str, method: RefreshMethod
) -> CostsByMethod:
    """Measure a slow implementation once, over an open connection."""
    _seed_tables(environment)
    with _baseline_refresh(environment) as baseline:
        method(baseline)
        environment.set_round_trip(round_trip)
        return {name: environment.measure(lambda: method(baseline))}


def _measure_batches(environment: RefreshEnvironment, round_trip: float) -> CostsByMethod:
    """Measure batches twice: the first refresh has to connect."""
    _seed_tables(environment)
    environment.set_round_trip(round_trip)
    with _baseline_refresh(environment) as baseline:
        return {name: environment.measure(baseline.upsert_in_batches) for name in (BATCHES_FIRST, BATCHES)}


def _seed_tables(environment: RefreshEnvironment) -> None:
    """Create the original tables with all countries, so that every implementation updates them."""
    with _baseline_refresh(environment) as baseline:
        Base.metadata.create_all(baseline.engine)
        baseline.upsert_in_batches()


@contextmanager
def _baseline_refresh(environment: RefreshEnvironment) -> Iterator[BaselineRefresh]:
    engine = create_engine(make_url(environment.url).set(drivername="mysql+pymysql"))
    urls = {"countries_url": environment.upstream.countries_url, "rates_url": environment.upstream.rates_url}
    try:
        yield BaselineRefresh(engine=engine, **urls)
    finally:
        engine.dispose()


def _measure_project(environment: RefreshEnvironment, round_trip: float) -> CostsByMethod:
    """Measure the first refreshes of a server that started with live data."""
    with _run_server(environment) as refresh:
        refresh()
    environment.set_round_trip(round_trip)
    with _run_server(environment) as refresh:
        names = (OURS_FIRST, f"{OURS}, second", f"{OURS}, third")
        return {name: environment.measure(refresh) for name in names}


@contextmanager
def _run_server(environment: RefreshEnvironment) -> Iterator[Callable[[], None]]:
    """Run the real server in its own process; yield a function that refreshes over HTTP."""
    settings = {
        "DATABASE_URL": environment.url,
        "SNAPSHOT_POLL": "3600",  # no other writer, and each poll would be a round trip
        **environment.upstream.environment,
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        running_command(Path(folder), "serve", PORT="0", **settings) as process,
        httpx.Client(base_url=process.url, timeout=_TIMEOUT, trust_env=False) as client,
    ):
        client.get("/healthz").raise_for_status()

        def refresh() -> None:
            response = client.post("/graphql", json={"query": _MUTATION}).json()
            if response != _RESPONSE:
                raise RuntimeError(f"Unexpected response to the refresh: {response}")

        yield refresh
        # A killed server would leave its lease.
        process.stop(signal.SIGINT)


def _format_refresh_table(results: RefreshResults) -> str:
    rows = []
    for name, far in results.far.items():
        near = results.near[name]
        rows.append(
            (
                name,
                f"{far.trips_after_sources} ({far.trips})",
                *(f"{far.seconds:.2f} s", f"{far.seconds / lower_bound(FAR_ROUND_TRIP):.2f}"),
                *(f"{near.seconds:.2f} s", f"{near.seconds / lower_bound(NEAR_ROUND_TRIP):.2f}"),
            )
        )
    rows.append(
        (
            "the limit",
            "1",
            f"{lower_bound(FAR_ROUND_TRIP):.2f} s",
            "1.00",
            f"{lower_bound(NEAR_ROUND_TRIP):.2f} s",
            "1.00",
        )
    )
    far_head, near_head = (f"{round_trip * 1000:g} ms a trip" for round_trip in (FAR_ROUND_TRIP, NEAR_ROUND_TRIP))
    header = ("250 countries, sources of 2.5 s", "round trips", far_head, "× limit")
    return format_table((*header, near_head, "× limit"), rows)


def _format_upsert_table(results: Sequence[UpsertResult]) -> str:
    return format_table(
        ("upsert alone", "rows/s", "asyncmy's executemany", "ratio", "peak memory", "asyncmy's"),
        [
            (
                f"{result.rows:,} rows",
                f"{result.ours_per_second:,.0f}",
                f"{result.bare_per_second:,.0f}",
                f"{result.speed_ratio:.2f}",
                f"{result.ours_peak / 1e6:.1f} MB",
                f"{result.bare_peak / 1e6:.1f} MB",
            )
            for result in results
        ],
    )


def _build_chart(results: RefreshResults) -> bar_chart.Chart:
    return bar_chart.Chart(
        title="Seconds until a refresh of 250 countries responds (sources take 2.5 s)",
        groups=tuple(
            bar_chart.Group(
                title=f"Database {round_trip * 1000:g} ms away",
                mark=bar_chart.Mark(value=lower_bound(round_trip), label=f"limit {lower_bound(round_trip):.1f} s"),
                bars=tuple(_build_bar(name, cost) for name, cost in costs.items()),
            )
            for round_trip, costs in ((FAR_ROUND_TRIP, results.far), (NEAR_ROUND_TRIP, results.near))
        ),
    )


def _build_bar(name: str, cost: RefreshCost) -> bar_chart.Bar:
    return bar_chart.Bar(
        label=name, value=cost.seconds, value_text=f"{cost.seconds:.2f} s", is_highlighted=name.startswith(OURS)
    )


def _build_caption(results: RefreshResults) -> str:
    project_cost, batches_cost = results.far[OURS_FIRST], results.far[BATCHES]
    return (
        f"A refresh over a database {FAR_ROUND_TRIP * 1000:g} ms away: "
        f"{project_cost.seconds:.2f} s here, "
        f"{batches_cost.seconds:.2f} s with batches, {results.far[LOOP].seconds:.0f} s with "
        "an ORM loop; "
        f"the limit is {lower_bound(FAR_ROUND_TRIP):.1f} s"
    )
