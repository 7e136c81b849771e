"""Part one, a refresh: the original case's three ways beside ours, the database far and near."""

import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from sqlalchemy import create_engine, make_url

from benchmarks import charts, upserts
from benchmarks.machine import packages, program
from benchmarks.original import Base, Case, Method
from benchmarks.publishing import Missing, Outcome, Say
from benchmarks.stage import SOURCES, Cost, Stage, staged
from benchmarks.tables import table
from benchmarks.upserts import Upserts
from tests.cli.running import serving
from tests.servers.mariadb import MariaDB

FAR, NEAR = 0.5, 0.001
"""Seconds of a round trip."""
LOOP, BULK = "ORM loop, an UPDATE a row", "bulk update by key"
BATCHES = "batches of 100 in text SQL"
COLD = f"{BATCHES}, first after start"
OURS = "this project"
OURS_FIRST = f"{OURS}, first after start"

_PATIENCE = 60.0
_MUTATION = "mutation { refreshCountries { totalCountries statements } }"
_ANSWER = {"data": {"refreshCountries": {"totalCountries": 250, "statements": 1}}}

Costs = dict[str, Cost]
"""By the name of the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What part one has measured."""

    far: Costs
    near: Costs
    upserts: Sequence[Upserts]


def limit(trip: float) -> float:
    """Return the least seconds that a refresh can take: the slowest source and one round trip."""
    return SOURCES + trip


def require() -> None:
    """Make sure that there is what this part needs.

    Raises:
        Missing: there is not.
    """
    if MariaDB.find() is None:
        raise Missing("Install mariadb-server to measure (apt-get install mariadb-server).")


def versions() -> Mapping[str, str]:
    """Return the versions of what takes part."""
    named = packages("asyncmy", "SQLAlchemy", "PyMySQL", "uvicorn", "strawberry-graphql")
    return {**named, "MariaDB": program(f"{MariaDB.find()}", "--version")}


def run(say: Say) -> Outcome:
    """Measure everything, in less than four minutes."""
    with MariaDB() as server:
        say("the upsert alone")
        rows = upserts.measure(server)
        say(f"refreshes at {FAR * 1000:g} ms a trip: two minutes")
        # Nearly all of it is waiting, which they may do together.
        far = _all(server, FAR, at_once=4)
        say(f"refreshes at {NEAR * 1000:g} ms a trip")
        near = _all(server, NEAR, at_once=1)
    return outcome(Figures(far=far, near=near, upserts=rows))


def outcome(figures: Figures) -> Outcome:
    """Return what is published of the figures."""
    limits = {"far": limit(FAR), "near": limit(NEAR)}
    return Outcome(
        figures={"sources_seconds": SOURCES, "limits": limits, **asdict(figures)},
        told=f"{_table_of_refreshes(figures)}\n\n{_table_of_upserts(figures.upserts)}\n",
        chart=charts.draw(_chart(figures)),
        caption=_caption(figures),
    )


def _all(server: MariaDB, trip: float, *, at_once: int) -> Costs:
    with ExitStack() as stack:
        stages = [stack.enter_context(staged(server)) for _ in range(4)]
        pool = stack.enter_context(ThreadPoolExecutor(at_once))
        found = [
            pool.submit(_first_try, stages[0], trip, LOOP, Case.loop),
            pool.submit(_first_try, stages[1], trip, BULK, Case.bulk),
            pool.submit(_best, stages[2], trip),
            pool.submit(_ours, stages[3], trip),
        ]
        return {name: cost for each in found for name, cost in each.result().items()}


def _first_try(stage: Stage, trip: float, name: str, method: Method) -> Costs:
    """Measure one of the slow ways, once and over a connection that is open."""
    _fill(stage)
    with _case(stage) as case:
        method(case)
        stage.move_away(trip)
        return {name: stage.measure(lambda: method(case))}


def _best(stage: Stage, trip: float) -> Costs:
    """Measure the best way twice: its first refresh has to connect."""
    _fill(stage)
    stage.move_away(trip)
    with _case(stage) as case:
        return {name: stage.measure(case.batches) for name in (COLD, BATCHES)}


def _fill(stage: Stage) -> None:
    """Make the original's tables, and let them hold all countries: every way updates them."""
    with _case(stage) as case:
        Base.metadata.create_all(case.engine)
        case.batches()


@contextmanager
def _case(stage: Stage) -> Iterator[Case]:
    engine = create_engine(make_url(stage.url).set(drivername="mysql+pymysql"))
    urls = {"countries_url": stage.upstream.countries_url, "rates_url": stage.upstream.rates_url}
    try:
        yield Case(engine=engine, **urls)
    finally:
        engine.dispose()


def _ours(stage: Stage, trip: float) -> Costs:
    """Measure the server's first refreshes, started on live data: none is under way by itself."""
    with _served(stage) as refresh:
        refresh()
    stage.move_away(trip)
    with _served(stage) as refresh:
        names = (OURS_FIRST, f"{OURS}, second", f"{OURS}, third")
        return {name: stage.measure(refresh) for name in names}


@contextmanager
def _served(stage: Stage) -> Iterator[Callable[[], None]]:
    """Run the real server in a process of its own, and lend what refreshes over HTTP."""
    settings = {
        "DATABASE_URL": stage.url,
        "SNAPSHOT_POLL": "3600",  # nobody else writes, and each look would be a round trip
        **stage.upstream.environment,
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), **settings) as process,
        httpx.Client(base_url=process.url, timeout=_PATIENCE, trust_env=False) as client,
    ):
        client.get("/healthz").raise_for_status()

        def refresh() -> None:
            answer = client.post("/graphql", json={"query": _MUTATION}).json()
            if answer != _ANSWER:
                raise RuntimeError(f"the refresh was answered with {answer}")

        yield refresh
        # Killed, it would leave a lease behind.
        process.end(signal.SIGINT)


def _table_of_refreshes(figures: Figures) -> str:
    rows = []
    for name, far in figures.far.items():
        near = figures.near[name]
        rows.append(
            (
                name,
                f"{far.trips_after_sources} ({far.trips})",
                *(f"{far.seconds:.2f} s", f"{far.seconds / limit(FAR):.2f}"),
                *(f"{near.seconds:.2f} s", f"{near.seconds / limit(NEAR):.2f}"),
            )
        )
    rows.append(("the limit", "1", f"{limit(FAR):.2f} s", "1.00", f"{limit(NEAR):.2f} s", "1.00"))
    far_head, near_head = (f"{trip * 1000:g} ms a trip" for trip in (FAR, NEAR))
    head = ("250 countries, sources of 2.5 s", "round trips", far_head, "× limit")
    return table((*head, near_head, "× limit"), rows)


def _table_of_upserts(figures: Sequence[Upserts]) -> str:
    return table(
        ("upsert alone", "rows/s", "asyncmy's executemany", "ratio", "peak memory", "asyncmy's"),
        [
            (
                f"{each.rows:,} rows",
                f"{each.ours_per_second:,.0f}",
                f"{each.bare_per_second:,.0f}",
                f"{each.share:.2f}",
                f"{each.ours_peak / 1e6:.1f} MB",
                f"{each.bare_peak / 1e6:.1f} MB",
            )
            for each in figures
        ],
    )


def _chart(figures: Figures) -> charts.Chart:
    return charts.Chart(
        title="Seconds until a refresh of 250 countries answers (sources take 2.5 s)",
        groups=tuple(
            charts.Group(
                title=f"Database {trip * 1000:g} ms away",
                mark=charts.Mark(value=limit(trip), told=f"limit {limit(trip):.1f} s"),
                bars=tuple(_bar(name, cost) for name, cost in costs.items()),
            )
            for trip, costs in ((FAR, figures.far), (NEAR, figures.near))
        ),
    )


def _bar(name: str, cost: Cost) -> charts.Bar:
    return charts.Bar(
        label=name,
        value=cost.seconds,
        told=f"{cost.seconds:.2f} s",
        strong=name.startswith(OURS),
    )


def _caption(figures: Figures) -> str:
    ours, best = figures.far[OURS_FIRST], figures.far[BATCHES]
    return (
        f"A refresh over a database {FAR * 1000:g} ms away: {ours.seconds:.2f} s here, "
        f"{best.seconds:.2f} s with batches, {figures.far[LOOP].seconds:.0f} s with an ORM loop; "
        f"the limit is {limit(FAR):.1f} s"
    )
