"""Part "load": what clients wait for when four fifths of what is possible is asked for."""

import json
import random
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from time import perf_counter

import httpx

from benchmarks import charts, refreshing
from benchmarks.generator import Measured, measure
from benchmarks.publishing import Outcome, Say
from benchmarks.tables import table
from tests import generations
from tests.cli.running import serving
from tests.servers.mariadb import MariaDB
from tests.upstream.server import Upstream

SHARE = 0.8
"""Of what is possible."""
EVERY = 10.0
"""Seconds between two refreshes."""
AROUND = 1.0
"""Seconds from the begin of a refresh that its influence is looked for in."""
_SECONDS = 60.0
_PROBE = 10.0
"""Seconds in which it is found out what is possible."""
_CONNECTIONS = 32
_SEED = 9
_PATIENCE = 30.0
"""Seconds that a refresh is waited for."""

_FULL = (
    "{ countries { nodes { code name capital region population currencyCode exchangeRate "
    "estimatedGdp flagUrl } } }"
)
_ONE = "query ($code: String!) { country(code: $code) { name capital population } }"
_PAGE = (
    "query ($more: Int!) { countries(filter: {population: {gt: $more}}, "
    "sort: [{field: ESTIMATED_GDP, direction: DESC}], first: 10) "
    "{ totalCount nodes { code name estimatedGdp } } }"
)
_REFRESH = {"query": "mutation { refreshCountries { totalCountries } }"}
_REFRESHED = {"data": {"refreshCountries": {"totalCountries": 250}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """What some requests took, in milliseconds."""

    requests: int
    p50: float
    p99: float
    p999: float
    most: float

    @classmethod
    def of(cls, taken: Sequence[float]) -> "Latency":
        """Return it of how many seconds each took, of which there is one at least."""
        ordered = sorted(taken)

        def at(share: float) -> float:
            return round(ordered[ceil(share * len(ordered)) - 1] * 1000, 2)

        return cls(requests=len(ordered), p50=at(0.5), p99=at(0.99), p999=at(0.999), most=at(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured."""

    possible: float
    """Requests a second."""
    rate: float
    seconds: float
    refreshes: int
    errors: Mapping[str, int]
    latencies: Mapping[str, Latency]


require, versions = refreshing.require, refreshing.versions


def run(say: Say, *, seconds: float = _SECONDS, probe: float = _PROBE) -> Outcome:
    """Measure, in little more than a minute."""
    with MariaDB() as server, Upstream() as upstream, tempfile.TemporaryDirectory() as folder:
        generations.Generations(upstream).play()
        settings = {"DATABASE_URL": server.url(server.create_database()), **upstream.environment}
        with serving(Path(folder), **settings) as process:
            process.wait_until_said("Refresh .* countries from geonames")
            port = int(process.url.rpartition(":")[2])
            say("what load is possible")
            most = measure(port, _requests(), seconds=probe, connections=_CONNECTIONS)
            rate = SHARE * most.rate
            say(f"{rate:.0f} requests a second for {seconds:g} s")
            with _refreshing(process.url) as begun:
                measured = measure(
                    port, _requests(), seconds=seconds, connections=_CONNECTIONS, rate=rate
                )
    return outcome(_figures(most, rate, measured, begun))


def _figures(most: Measured, rate: float, measured: Measured, begun: Sequence[float]) -> Figures:
    refreshes = [one - measured.begun for one in begun]
    near: list[float] = []
    far: list[float] = []
    for due, taken in measured.taken:
        is_near = any(one <= due < one + AROUND for one in refreshes)
        (near if is_near else far).append(taken)
    groups = {
        "all requests": near + far,
        f"within {AROUND:g} s of a refresh's begin": near,
        "at other times": far,
    }
    return Figures(
        possible=round(most.rate),
        rate=round(rate),
        seconds=round(measured.seconds),
        refreshes=len(refreshes),
        errors=dict(most.errors + measured.errors),
        latencies={name: Latency.of(taken) for name, taken in groups.items() if taken},
    )


def outcome(figures: Figures) -> Outcome:
    """Return what is published of the figures."""
    wrong = ", ".join(f"{count} × {what}" for what, count in figures.errors.items()) or "none"
    rows = [
        (name, f"{each.requests:,}", *(f"{ms:.2f} ms" for ms in _percentiles(each).values()))
        for name, each in figures.latencies.items()
    ]
    first = next(iter(figures.latencies.values()))
    head = (
        f"{figures.rate:,.0f} requests/s, {figures.refreshes} refreshes in {figures.seconds:g} s",
        "requests",
        *_percentiles(first),
    )
    return Outcome(
        figures=asdict(figures),
        told=(
            f"{table(head, rows)}\n\nPossible were {figures.possible:,.0f} requests/s of one "
            f"process, asked were {SHARE:.0%} of it. Errors: {wrong}.\n"
        ),
        chart=charts.draw(_chart(figures)),
        caption=(
            f"At {figures.rate:,.0f} requests a second, with a refresh every {EVERY:g} s, half of "
            f"the answers take {first.p50:.2f} ms at most, and 99.9 % {first.p999:.1f} ms"
        ),
    )


def _percentiles(latency: Latency) -> Mapping[str, float]:
    return {
        "p50": latency.p50,
        "p99": latency.p99,
        "p99.9": latency.p999,
        "slowest": latency.most,
    }


def _chart(figures: Figures) -> charts.Chart:
    return charts.Chart(
        title=f"Milliseconds until an answer, at {figures.rate:,.0f} requests/s ({SHARE:.0%})",
        groups=tuple(
            charts.Group(
                title=name,
                bars=tuple(
                    charts.Bar(label=label, value=ms, told=f"{ms:.2f} ms", strong=True)
                    for label, ms in _percentiles(latency).items()
                ),
            )
            for name, latency in figures.latencies.items()
        ),
    )


def _requests() -> Iterator[bytes]:
    """Yield requests for ever: what is repeated, one of 250 countries, and what is never repeated.

    They are the same each time.
    """
    chance = random.Random(_SEED)  # noqa: S311 - no secret
    full = _request(_FULL)
    one = [_request(_ONE, code=code) for code in generations.CODES]
    while True:
        yield full
        yield chance.choice(one)
        yield _request(_PAGE, more=chance.randrange(1_000_000))


def _request(query: str, **variables: object) -> bytes:
    body = json.dumps({"query": query, "variables": variables}).encode()
    head = (
        "POST /graphql HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*head, "", "")).encode() + body


@contextmanager
def _refreshing(url: str) -> Iterator[list[float]]:
    """Refresh every so often while the context lasts, and lend when each began."""
    begun: list[float] = []
    stopped = threading.Event()

    def refresh() -> None:
        with httpx.Client(base_url=url, timeout=_PATIENCE, trust_env=False) as client:
            pause = EVERY / 10
            while not stopped.wait(pause):
                pause = EVERY
                begun.append(perf_counter())
                answer = client.post("/graphql", json=_REFRESH).json()
                if answer != _REFRESHED:
                    raise RuntimeError(f"the refresh was answered with {answer}")

    with ThreadPoolExecutor(1) as pool:
        refreshing = pool.submit(refresh)
        try:
            yield begun
        finally:
            stopped.set()
        refreshing.result()
