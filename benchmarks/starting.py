"""Part "start": from the command to the first answer, and what is imported meanwhile."""

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

from benchmarks import charts
from benchmarks.machine import packages
from benchmarks.publishing import Outcome, Say
from benchmarks.tables import table
from tests.cli.running import BUNDLED, environment, running, serving

FIRST, AGAIN, TWO = "the first, which fills SQLite", "with data", "with data, WORKERS=2"
_ROUNDS = 9
_IMPORT = re.compile(r"^import time: +(\d+) \|[^|]+\| +(\S+)$", re.MULTILINE)
_SHOWN = 6
"""Packages whose imports are told, those that take longest."""
_QUERY = json.dumps({"query": "{ countries { totalCount } }"})
_ANSWER = b'{"data":{"countries":{"totalCount":250}}}'
_SETTINGS = {**BUNDLED, "STALE_AFTER": "1000000000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured."""

    starts: Mapping[str, Sequence[float]]
    """Seconds from the command to the first answer, of each kind of start."""
    imports: Mapping[str, float]
    """Milliseconds that the packages took until then, the longest first."""


def require() -> None:
    """Do nothing: SQLite is always there."""


def versions() -> Mapping[str, str]:
    """Return the versions of what is imported."""
    return packages("SQLAlchemy", "strawberry-graphql", "fastapi", "pydantic", "uvicorn")


def run(say: Say, *, rounds: int = _ROUNDS) -> Outcome:
    """Measure, in about a minute."""
    starts: dict[str, list[float]] = {FIRST: [], AGAIN: [], TWO: []}
    for number in range(rounds):
        say(f"starts, round {number + 1}")
        with tempfile.TemporaryDirectory() as folder:
            starts[FIRST].append(_start(Path(folder)))
            starts[AGAIN].append(_start(Path(folder)))
            starts[TWO].append(_start(Path(folder), WORKERS="2"))
    say("imports")
    return outcome(Figures(starts=starts, imports=_imports()))


def _start(folder: Path, **variables: str) -> float:
    begun = perf_counter()
    with serving(folder, **_SETTINGS, **variables) as process:
        _ask(process.url)
        took = perf_counter() - begun
        process.end(signal.SIGTERM)
    return round(took, 3)


def _ask(url: str) -> None:
    connection = HTTPConnection(url.removeprefix("http://"))
    connection.request("POST", "/graphql", _QUERY, {"Content-Type": "application/json"})
    if (answer := connection.getresponse().read()) != _ANSWER:
        raise RuntimeError(f"The server answered {answer.decode()}.")
    connection.close()


def _imports() -> Mapping[str, float]:
    command = (sys.executable, "-X", "importtime", "-m", "graphql_api", "serve")
    variables = environment({**_SETTINGS, "PORT": "0"})
    with tempfile.TemporaryDirectory() as folder:
        _start(Path(folder))
        with running(command, Path(folder), variables) as process:
            _ask(process.url)
            said = process.said
            process.end(signal.SIGTERM)
    return longest(said.partition("(Ctrl-C stops)")[0])


def longest(said: str) -> Mapping[str, float]:
    """Return for how many milliseconds Python says that it imported modules, by package."""
    packages: Counter[str] = Counter()
    for microseconds, module in _IMPORT.findall(said):
        packages[module.partition(".")[0]] += int(microseconds)
    return {name: round(taken / 1000, 1) for name, taken in packages.most_common(_SHOWN)}


def outcome(figures: Figures) -> Outcome:
    """Return what is published of the figures."""
    starts = [
        (kind, *(f"{figure:.2f} s" for figure in (median(taken), min(taken), max(taken))))
        for kind, taken in figures.starts.items()
    ]
    imports = [(name, f"{taken:.0f} ms") for name, taken in figures.imports.items()]
    rounds = len(figures.starts[AGAIN])
    return Outcome(
        figures=asdict(figures),
        told=(
            f"{table(('start to first answer', 'median', 'fastest', 'slowest'), starts)}\n\n"
            f"{rounds} of each, in turns. What is imported until then, as `-X importtime` has it:\n"
            f"\n{table(('package', 'import'), imports)}\n"
        ),
        chart=charts.draw(_chart(figures)),
        caption=(
            f"From the command to the first answer it takes {median(figures.starts[AGAIN]):.2f} s "
            f"with data, and {median(figures.starts[FIRST]):.2f} s the first time"
        ),
    )


def _chart(figures: Figures) -> charts.Chart:
    return charts.Chart(
        title="Seconds from the command to the first answer",
        groups=(charts.Group(title="median", bars=tuple(_bars(figures))),),
        even=True,
    )


def _bars(figures: Figures) -> Iterator[charts.Bar]:
    for kind, taken in figures.starts.items():
        middle = median(taken)
        yield charts.Bar(label=kind, value=middle, told=f"{middle:.2f} s", strong=kind == AGAIN)
