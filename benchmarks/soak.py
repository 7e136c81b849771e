"""`python -m benchmarks.soak [SECONDS]`, or `make soak`: a server among faults, for minutes.

Clients query and refresh while the network, the database and the sources fail by chance. What the
server takes must not grow, every answer must be right, and its log must hold nothing unforeseen.
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

from benchmarks import curves, faults
from benchmarks.clients import Clients
from benchmarks.sampling import Sample, Taken, slope, wait_for_next
from tests.cli.running import Process, serving
from tests.generations import Generations
from tests.servers.mariadb import MariaDB
from tests.servers.relay import Relay
from tests.upstream.server import Upstream

ROOT = Path(__file__).parent.parent
SEED = 64
MEGABYTES_A_MINUTE = 1.0
"""By which memory may grow, once warm."""
FILES_A_MINUTE = 1.0
_WARM = 0.3
"""The share of the time after which what the server takes should not grow any more."""
_TELLS = 60.0
"""Seconds, those of warming up aside, that growth can be told from chance in."""
_SETTLING = 8.0
"""Seconds that the server has at the end to let go of what it does not need."""
_POOL = 4
"""Connections to the database that the server keeps: one more than it uses when all is well."""
_MOST_CONNECTIONS = 2 * _POOL
"""To the database: those of the pool, and those that it has not yet heard the end of."""

_FORESEEN = re.compile(
    r"\S+ (INFO|WARNING|ERROR) +(?:"
    r"Migrated the database at |The playground is at |Refresh \w+: \d+ countries |"
    r"Refresh \w+ failed: (?:DATABASE|SOURCE)_UNAVAILABLE: |"
    r"Refresh \w+ failed: REFRESH_IN_PROGRESS: |"
    r"Request \w+(?: from \S+)?: |The database does not answer; |The database answers again\.|"
    r"The refresh \w+ may be missing from the history: |The lease runs out in at most )"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the soak has found."""

    seconds: float
    seed: int
    database: str
    answers: int
    events: int
    """Of refreshes, told to subscribers who come and go."""
    refreshes: dict[str, int]
    faults: dict[str, int]
    megabytes_a_minute: float
    files_a_minute: float
    connections_left: int
    """To the database, after the clients and the faults had ended."""
    wrong: Sequence[str]
    """Everything that must not be; a soak without any has passed."""
    samples: Sequence[Sample]


@dataclass(slots=True)
class Stage:
    """The server, its database and its sources."""

    process: Process
    sources: Generations
    relay: Relay | None
    server: MariaDB | None

    def connections(self) -> int:
        """Return how many there are to the database, by its own count."""
        if self.server is None:
            return 0
        sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'tester'"
        return int(self.server.execute(sql))


@contextmanager
def staged() -> Iterator[Stage]:
    """Run the server on a MariaDB behind a relay; on SQLite where MariaDB is not installed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(Upstream())
        sources = Generations(upstream)
        sources.play()
        settings = {
            **upstream.environment,
            "API_TIMEOUT": "2",
            "DATABASE_TIMEOUT": "2",
            # A pool that fills up, slowly, as faults keep others busy, would look like a leak.
            "DATABASE_POOL_SIZE": f"{_POOL}",
            "DATABASE_MAX_OVERFLOW": f"{_POOL}",
        }
        relay, server = None, None
        if MariaDB.find() is not None:
            server = stack.enter_context(MariaDB())
            relay = stack.enter_context(Relay(server.port))
            settings["DATABASE_URL"] = server.url(server.create_database(), port=relay.port)
        warned = {"PYTHONWARNINGS": "default", "SNAPSHOT_POLL": "1", "REFRESH_TIMEOUT": "5"}
        process = stack.enter_context(serving(folder, **settings, **warned))
        process.wait_until_said("Refresh .* countries from geonames")
        yield Stage(process, sources, relay, server)
        process.end(signal.SIGINT)


def run(seconds: float, *, seed: int = SEED) -> Figures:
    """Let the server run for so long among faults that the seed decides."""
    played: list[str] = []
    with staged() as stage:
        clients = Clients(stage.process.url)
        with clients.asking():
            samples = _watch(stage, clients, played, seconds=seconds, seed=seed)
        time.sleep(_SETTLING)
        left = stage.connections()
        said = stage.process.said
    wrong = [*clients.wrong, *unforeseen(said)]
    warm = [sample for sample in samples if sample.second >= _WARM * seconds]
    megabytes = slope(warm, lambda sample: sample.megabytes)
    files = slope(warm, lambda sample: float(sample.files))
    if (1 - _WARM) * seconds >= _TELLS:
        wrong += growth(megabytes, files)
    if left > _MOST_CONNECTIONS:
        wrong.append(f"{left} connections to the database are left")
    return Figures(
        seconds=seconds,
        seed=seed,
        database="MariaDB" if stage.server else "SQLite",
        answers=clients.answers,
        events=clients.events,
        refreshes=dict(clients.refreshes),
        faults=dict(Counter(played)),
        megabytes_a_minute=round(megabytes, 2),
        files_a_minute=round(files, 2),
        connections_left=left,
        wrong=wrong,
        samples=samples,
    )


def _watch(
    stage: Stage, clients: Clients, played: list[str], *, seconds: float, seed: int
) -> list[Sample]:
    """Play faults for so long, and take a sample each second."""
    stopped = threading.Event()
    playing = threading.Thread(
        target=faults.play,
        args=(stage.sources, stage.relay),
        kwargs={"seed": seed, "stopped": stopped, "tell": played.append},
    )
    playing.start()
    begun, samples = time.monotonic(), []
    try:
        for number in range(1, int(seconds) + 1):
            wait_for_next(begun, number)
            taken = Taken.by(stage.process.pid)
            samples.append(
                Sample(
                    second=round(time.monotonic() - begun, 2),
                    connections=stage.connections(),
                    answers=clients.answers,
                    **asdict(taken),
                )
            )
    finally:
        stopped.set()
        playing.join()
    return samples


def unforeseen(said: str) -> list[str]:
    """Return the lines of a log that no fault explains."""
    return [f"logged: {line}" for line in said.splitlines() if not _FORESEEN.match(line)]


def growth(megabytes: float, files: float) -> list[str]:
    """Return what grows by more than its bound, in a minute."""
    grown = []
    if megabytes > MEGABYTES_A_MINUTE:
        grown.append(f"memory grows by {megabytes:.2f} MB a minute")
    if files > FILES_A_MINUTE:
        grown.append(f"open files grow by {files:.2f} a minute")
    return grown


def told(figures: Figures) -> str:
    """Return the figures in words."""
    last = figures.samples[-1]
    told = f"{figures.answers:,} answers, {figures.events:,} events to subscribers"
    asked = f"{told}, refreshes {_in_words(figures.refreshes)}"
    memory = f"{figures.megabytes_a_minute:+.2f} MB a minute (bound {MEGABYTES_A_MINUTE:g})"
    files = f"{figures.files_a_minute:+.2f} a minute (bound {FILES_A_MINUTE:g})"
    lines = [
        f"{figures.seconds:g} s on {figures.database}, seed {figures.seed}: {asked}",
        f"faults: {_in_words(figures.faults)}",
        f"memory {last.megabytes:.1f} MB at the end; once warm {memory}",
        f"open files {last.files} at the end; once warm {files}; threads {last.threads}",
        f"connections to the database left after it: {figures.connections_left}",
        *(f"WRONG: {wrong}" for wrong in figures.wrong),
        "FAILED" if figures.wrong else "passed: every answer was right, and nothing has grown",
    ]
    return "\n".join(lines)


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in sorted(counts.items())) or "none"


def curve(figures: Figures) -> str:
    """Return what the server took over time as an SVG document."""
    samples = figures.samples
    panels = {
        "Memory in use, MB": [(one.second, one.megabytes) for one in samples],
        "Open files": [(one.second, float(one.files)) for one in samples],
        "Connections to the database": [(one.second, float(one.connections)) for one in samples],
        "Threads": [(one.second, float(one.threads)) for one in samples],
        "Answers so far": [(one.second, float(one.answers)) for one in samples],
    }
    return curves.draw(
        f"A server among faults for {figures.seconds:g} s",
        [curves.Panel(title=title, points=points) for title, points in panels.items()],
    )


def main(arguments: Sequence[str]) -> None:
    """Soak, write the curve and the figures, and end with 1 if anything was wrong."""
    seconds = float(arguments[0]) if arguments else 300.0
    print(f"Soaking for {seconds:g} s …", file=sys.stderr)
    figures = run(seconds)
    text = json.dumps(asdict(figures), ensure_ascii=False)
    (ROOT / "benchmarks" / "results" / "soak.json").write_text(f"{text}\n", "utf-8")
    (ROOT / "docs" / "soak.svg").write_text(curve(figures), "utf-8")
    print(told(figures))
    sys.exit(1 if figures.wrong else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
