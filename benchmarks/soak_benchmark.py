"""`make soak`: runs a server among random faults for minutes.

Clients query and refresh while network, database and sources fail. The server's resources must not
grow, every response must be right, and its log must have no unexpected line.
"""

import json
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import faults
from benchmarks.process_stats import ProcessStats, Sample, sleep_until_second, slope_per_minute
from benchmarks.soak_clients import SoakClients
from benchmarks.svg import line_chart
from tests.support.db_servers.mariadb import MariaDB
from tests.support.fake_providers.server import Upstream
from tests.support.generation_data import GenerationData
from tests.support.processes import Process, running_command
from tests.support.tcp_proxy import TCPProxy

ROOT = Path(__file__).parent.parent
SEED = 64
MAX_MEGABYTES_PER_MINUTE = 1.0
"""Allowed growth of memory after the warm-up."""
MAX_FILES_PER_MINUTE = 1.0
_WARM_UP_FRACTION = 0.3
"""Fraction of the time after which resources must not grow."""
_MIN_GROWTH_SECONDS = 60.0
"""Seconds after the warm-up that are needed to tell growth from noise."""
_SETTLE_SECONDS = 8.0
"""Seconds at the end for the server to release resources."""
_POOL_SIZE = 4
"""Database connections in the pool: one more than the server uses without faults."""
_MAX_CONNECTIONS = 2 * _POOL_SIZE
"""Database connections: those of the pool, and those that the database has not closed yet."""

_EXPECTED_LOG_LINE = re.compile(
    r"\S+ (INFO|WARNING|ERROR) +(?:"
    r"Migrated the database at |graphql-api \S+ serves |Stopping|Refresh \w+: \d+ countries |"
    r"Refresh \w+ failed: (?:DATABASE|SOURCE)_UNAVAILABLE: |"
    r"Refresh \w+ failed: REFRESH_IN_PROGRESS: |"
    r"Request \w+(?: from \S+)?: |Request \w+ from \S+ requests a refresh\.|"
    r"\w+ has the right values, so these corrections were dropped: |"
    r"The database at \S+ .*Serving the data loaded before\.|The database responds again\.|"
    r"The refresh \w+ may be missing from the history: |The lease was not released )"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakResults:
    """Figures of the soak; the names are those of its JSON."""

    seconds: float
    seed: int
    database: str
    answers: int
    events: int
    """Progress events received by subscribers."""
    refreshes: dict[str, int]
    faults: dict[str, int]
    megabytes_a_minute: float
    files_a_minute: float
    connections_left: int
    """Database connections after clients and faults ended."""
    wrong: Sequence[str]
    """Failures; the soak passes without any."""
    samples: Sequence[Sample]


@dataclass(slots=True)
class SoakEnvironment:
    """The server, its database and its sources."""

    process: Process
    sources: GenerationData
    proxy: TCPProxy | None
    server: MariaDB | None

    def count_connections(self) -> int:
        """Return the number of connections that the database counts."""
        if self.server is None:
            return 0
        sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'tester'"
        return int(self.server.execute(sql))


@contextmanager
def soak_environment() -> Iterator[SoakEnvironment]:
    """Run the server on MariaDB behind a proxy, or on SQLite if MariaDB is not installed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(Upstream())
        sources = GenerationData(upstream)
        sources.activate()
        settings = {
            **upstream.environment,
            "API_TIMEOUT": "2",
            "DATABASE_TIMEOUT": "2",
            # A larger pool would fill up slowly during faults and look like a leak.
            "DATABASE_POOL_SIZE": f"{_POOL_SIZE}",
            "DATABASE_MAX_OVERFLOW": f"{_POOL_SIZE}",
        }
        proxy, server = None, None
        if MariaDB.find_program() is not None:
            server = stack.enter_context(MariaDB())
            proxy = stack.enter_context(TCPProxy(server.port))
            settings["DATABASE_URL"] = server.url(server.create_database(), port=proxy.port)
        server_settings = {"PYTHONWARNINGS": "default", "SNAPSHOT_POLL": "1", "REFRESH_TIMEOUT": "5"}
        process = stack.enter_context(running_command(folder, "serve", PORT="0", **settings, **server_settings))
        process.wait_for_log("Refresh .* countries from geonames")
        yield SoakEnvironment(process, sources, proxy, server)
        process.stop(signal.SIGINT)


def run(seconds: float, *, seed: int = SEED) -> SoakResults:
    """Run a server among random faults for some seconds; `seed` makes them reproducible."""
    injected_faults: list[str] = []
    with soak_environment() as environment:
        clients = SoakClients(environment.process.url)
        with clients.running():
            samples = _inject_faults_and_sample(environment, clients, injected_faults, seconds=seconds, seed=seed)
        time.sleep(_SETTLE_SECONDS)
        connections_left = environment.count_connections()
        log = environment.process.stderr
    failures = [*clients.failures, *find_unexpected_lines(log)]
    warm_samples = [sample for sample in samples if sample.second >= _WARM_UP_FRACTION * seconds]
    memory_growth = slope_per_minute(warm_samples, lambda sample: sample.megabytes)
    file_growth = slope_per_minute(warm_samples, lambda sample: float(sample.files))
    if (1 - _WARM_UP_FRACTION) * seconds >= _MIN_GROWTH_SECONDS:
        failures += describe_growth(memory_growth, file_growth)
    if connections_left > _MAX_CONNECTIONS:
        failures.append(f"{connections_left} database connections are left")
    return SoakResults(
        seconds=seconds,
        seed=seed,
        database="MariaDB" if environment.server else "SQLite",
        answers=clients.response_count,
        events=clients.event_count,
        refreshes=dict(clients.refresh_outcomes),
        faults=dict(Counter(injected_faults)),
        megabytes_a_minute=round(memory_growth, 2),
        files_a_minute=round(file_growth, 2),
        connections_left=connections_left,
        wrong=failures,
        samples=samples,
    )


def _inject_faults_and_sample(
    environment: SoakEnvironment, clients: SoakClients, injected_faults: list[str], *, seconds: float, seed: int
) -> list[Sample]:
    """Inject faults for `seconds`, and take a sample each second."""
    stopped = threading.Event()
    fault_thread = threading.Thread(
        target=faults.inject_faults,
        args=(environment.sources, environment.proxy),
        kwargs={"seed": seed, "stopped": stopped, "on_fault": injected_faults.append},
    )
    fault_thread.start()
    started_at, samples = time.monotonic(), []
    try:
        for second in range(1, int(seconds) + 1):
            sleep_until_second(started_at, second)
            stats = ProcessStats.of_process(environment.process.pid)
            samples.append(
                Sample(
                    second=round(time.monotonic() - started_at, 2),
                    connections=environment.count_connections(),
                    answers=clients.response_count,
                    **asdict(stats),
                )
            )
    finally:
        stopped.set()
        fault_thread.join()
    return samples


def find_unexpected_lines(log: str) -> list[str]:
    """Return the log lines that no fault explains."""
    return [f"logged: {line}" for line in log.splitlines() if not _EXPECTED_LOG_LINE.match(line)]


def describe_growth(memory_growth: float, file_growth: float) -> list[str]:
    """Return a message for each resource that grows beyond its limit per minute."""
    messages = []
    if memory_growth > MAX_MEGABYTES_PER_MINUTE:
        messages.append(f"memory grows by {memory_growth:.2f} MB a minute")
    if file_growth > MAX_FILES_PER_MINUTE:
        messages.append(f"open files grow by {file_growth:.2f} a minute")
    return messages


def format_report(results: SoakResults) -> str:
    """Return the figures as text."""
    last_sample = results.samples[-1]
    traffic = f"{results.answers:,} responses, {results.events:,} events to subscribers"
    summary = f"{traffic}, refreshes {_format_counts(results.refreshes)}"
    memory_growth = f"{results.megabytes_a_minute:+.2f} MB a minute (limit {MAX_MEGABYTES_PER_MINUTE:g})"
    file_growth = f"{results.files_a_minute:+.2f} a minute (limit {MAX_FILES_PER_MINUTE:g})"
    lines = [
        f"{results.seconds:g} s on {results.database}, seed {results.seed}: {summary}",
        f"faults: {_format_counts(results.faults)}",
        f"memory {last_sample.megabytes:.1f} MB at the end; once warm {memory_growth}",
        (f"open files {last_sample.files} at the end; once warm {file_growth}; threads {last_sample.threads}"),
        f"database connections left: {results.connections_left}",
        *(f"WRONG: {failure}" for failure in results.wrong),
        "FAILED" if results.wrong else "passed: every response was right, and nothing grew",
    ]
    return "\n".join(lines)


def _format_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in sorted(counts.items())) or "none"


def draw_chart(results: SoakResults) -> str:
    """Return the resources over time as an SVG document."""
    samples = results.samples
    panels = {
        "Memory in use, MB": [(sample.second, sample.megabytes) for sample in samples],
        "Open files": [(sample.second, float(sample.files)) for sample in samples],
        "Connections to the database": [(sample.second, float(sample.connections)) for sample in samples],
        "Threads": [(sample.second, float(sample.threads)) for sample in samples],
        "Responses so far": [(sample.second, float(sample.answers)) for sample in samples],
    }
    return line_chart.draw(
        f"A server among faults for {results.seconds:g} s",
        [line_chart.Panel(title=title, points=points) for title, points in panels.items()],
    )


def main(arguments: Sequence[str]) -> None:
    """Run the soak, write chart and figures, and exit with 1 on any failure."""
    seconds = float(arguments[0]) if arguments else 300.0
    print(f"Soaking for {seconds:g} s …", file=sys.stderr)
    results = run(seconds)
    text = json.dumps(asdict(results), ensure_ascii=False)
    (ROOT / "benchmarks" / "results" / "soak.json").write_text(f"{text}\n", "utf-8")
    (ROOT / "docs" / "soak.svg").write_text(draw_chart(results), "utf-8")
    print(format_report(results))
    sys.exit(1 if results.wrong else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
