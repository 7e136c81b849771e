"""Part "start": seconds from the command to the first response, and imports until then."""

import json
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.environment import package_versions
from benchmarks.markdown import format_table
from benchmarks.report import BenchmarkReport, ProgressCallback
from benchmarks.svg import bar_chart
from tests.support.environments import build_environment
from tests.support.processes import BUNDLED_SOURCES, running_command, running_process

FIRST_START, WITH_DATA, TWO_WORKERS = ("first start, which fills SQLite", "with data", "with data, WORKERS=2")
_START_HEADER = ("start to first response", "median", "fastest", "slowest")
_ROUNDS = 9
_IMPORT_LINE = re.compile(r"^import time: +(\d+) \|[^|]+\| +(\S+)$", re.MULTILINE)
_MAX_PACKAGES = 6
"""Number of reported packages, slowest first."""
_QUERY = json.dumps({"query": "{ countries { totalCount } }"})
_RESPONSE = b'{"data":{"countries":{"totalCount":250}}}'
_SETTINGS = {**BUNDLED_SOURCES, "STALE_AFTER": "1000000000", "LOG_LEVEL": "debug"}
_READY = r"Ready to serve, listening at (http://\S+)\."


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupResults:
    """Figures of this part; the names are those of its JSON."""

    starts: Mapping[str, Sequence[float]]
    """Seconds from the command to the first response, by kind of start."""
    imports: Mapping[str, float]
    """Import time of packages in milliseconds, slowest first."""


def require() -> None:
    """Do nothing: this part needs no tools."""


def versions() -> Mapping[str, str]:
    """Return the versions of the imported packages."""
    return package_versions("SQLAlchemy", "strawberry-graphql", "fastapi", "pydantic", "uvicorn")


def run(on_progress: ProgressCallback, *, rounds: int = _ROUNDS) -> BenchmarkReport:
    """Measure for about a minute."""
    starts: dict[str, list[float]] = {FIRST_START: [], WITH_DATA: [], TWO_WORKERS: []}
    for round_number in range(rounds):
        on_progress(f"starts, round {round_number + 1}")
        with tempfile.TemporaryDirectory() as folder:
            starts[FIRST_START].append(_measure_start(Path(folder)))
            starts[WITH_DATA].append(_measure_start(Path(folder)))
            starts[TWO_WORKERS].append(_measure_start(Path(folder), WORKERS="2"))
    on_progress("imports")
    return build_report(StartupResults(starts=starts, imports=_measure_imports()))


def _measure_start(folder: Path, **variables: str) -> float:
    started_at = perf_counter()
    with running_command(folder, "serve", PORT="0", **_SETTINGS, **variables) as process:
        _send_query(process.wait_for_log(_READY)[1])
        duration = perf_counter() - started_at
        process.stop(signal.SIGTERM)
    return round(duration, 3)


def _send_query(url: str) -> None:
    connection = HTTPConnection(url.removeprefix("http://"))
    connection.request("POST", "/graphql", _QUERY, {"Content-Type": "application/json"})
    if (response := connection.getresponse().read()) != _RESPONSE:
        raise RuntimeError(f"Unexpected response: {response.decode()}")
    connection.close()


def _measure_imports() -> Mapping[str, float]:
    command = (sys.executable, "-X", "importtime", "-m", "graphql_api", "serve")
    variables = build_environment({**_SETTINGS, "PORT": "0"})
    with tempfile.TemporaryDirectory() as folder:
        _measure_start(Path(folder))
        with running_process(command, Path(folder), variables) as process:
            _send_query(process.wait_for_log(_READY)[1])
            log = process.stderr
            process.stop(signal.SIGTERM)
    return sum_import_times(log.partition("Ready to serve")[0])


def sum_import_times(log: str) -> Mapping[str, float]:
    """Sum up a log of `-X importtime`: milliseconds by package."""
    package_times: Counter[str] = Counter()
    for microseconds, module in _IMPORT_LINE.findall(log):
        package_times[module.partition(".")[0]] += int(microseconds)
    return {name: round(total / 1000, 1) for name, total in package_times.most_common(_MAX_PACKAGES)}


def build_report(results: StartupResults) -> BenchmarkReport:
    """Return the published form of the figures."""
    start_rows = [
        (kind, *(f"{value:.2f} s" for value in (median(seconds), min(seconds), max(seconds))))
        for kind, seconds in results.starts.items()
    ]
    import_rows = [(name, f"{milliseconds:.0f} ms") for name, milliseconds in results.imports.items()]
    rounds = len(results.starts[WITH_DATA])
    return BenchmarkReport(
        results=asdict(results),
        markdown=(
            f"{format_table(_START_HEADER, start_rows)}\n\n"
            f"{rounds} of each, in turns. Imports until the first response, by `-X importtime`:\n"
            f"\n{format_table(('package', 'import'), import_rows)}\n"
        ),
        chart=bar_chart.draw(_build_chart(results)),
        caption=(
            "From the command to the first response it takes "
            f"{median(results.starts[WITH_DATA]):.2f} s "
            f"with data, and {median(results.starts[FIRST_START]):.2f} s the first time"
        ),
    )


def _build_chart(results: StartupResults) -> bar_chart.Chart:
    return bar_chart.Chart(
        title="Seconds from the command to the first response",
        groups=(bar_chart.Group(title="median", bars=tuple(_build_bars(results))),),
        is_linear=True,
    )


def _build_bars(results: StartupResults) -> Iterator[bar_chart.Bar]:
    for kind, seconds in results.starts.items():
        median_seconds = median(seconds)
        yield bar_chart.Bar(
            label=kind, value=median_seconds, value_text=f"{median_seconds:.2f} s", is_highlighted=kind == WITH_DATA
        )
