"""Reading while the database is away: queries are answered as before, changes fail in time."""

# Tests print a row: database, fault, what a query, a refresh and a deletion got, what /readyz said,
# and the time from the end of the fault until another replica's change was served.

import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.cli.faults import CUT, FROZEN, HUNG, REFUSED, STOPPED, Fault, row
from tests.cli.running import BUNDLED, PATIENCE, Process, serving
from tests.servers.process import Server
from tests.servers.relay import Relay

TIMEOUT = 1.0
"""Seconds that the server waits for its database."""
LITTLE = 5.0
"""Seconds that an answer may be later than that, on a machine that has other things to do."""
PAGE = """{ countries(first: 5, sort: [{ field: POPULATION, direction: DESC }]) {
    nodes { code name population }
} }"""
REFRESH = "mutation { refreshCountries { totalCountries } }"
DELETION = 'mutation { deleteCountry(code: "FR") { code } }'
STATUS = "{ status { version stale lastFailure { code } } }"
FRANCE = '{ country(code: "FR") { population } }'
GROW = (
    "UPDATE countries SET population = population + 1, "
    "revision = (SELECT most FROM (SELECT MAX(revision) + 1 AS most FROM countries) AS counted) "
    "WHERE code = 'FR'"
)
"""What another replica does."""


class Scene(NamedTuple):
    """A process, its database server, and the relay between them."""

    process: Process
    server: Server
    database: str
    relay: Relay


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """Lend a process that serves from a server of each kind in turn."""
    server: Server = request.getfixturevalue(request.param)
    database = server.create_database()
    with Relay(server.port) as relay:
        given = {
            **BUNDLED,
            "DATABASE_URL": server.url(database, port=relay.port),
            "DATABASE_TIMEOUT": str(TIMEOUT),
            "SNAPSHOT_POLL": "0.2",
        }
        with serving(tmp_path_factory.mktemp("reads"), **given) as process:
            process.wait_until_said(r"250 unchanged\)")
            yield Scene(process, server, database, relay)


def readiness(process: Process, **wanted: str) -> int:
    """Wait until /readyz says this, and return its status."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ready = process.get("/readyz")
        if wanted.items() <= ready.json().items():
            return ready.status_code
        time.sleep(0.02)
    raise AssertionError(f"{wanted} is not said, but {ready.text}")


def refused(process: Process, mutation: str) -> tuple[str, float]:
    """Return how a change fails, and after how many seconds."""
    began = time.monotonic()
    answer = process.query(mutation)
    seconds = time.monotonic() - began
    assert answer["data"] is None
    return str(answer["errors"][0]["extensions"]["code"]), seconds


def page(process: Process, times: int) -> tuple[list[dict[str, Any]], float]:
    """Ask so often, each time in other words, and return the answers and the median's seconds."""
    answers, took = [], []
    for number in range(times):
        began = time.monotonic()
        answers.append(process.query(f"query Q{time.monotonic_ns()}_{number} {PAGE}"))
        took.append(time.monotonic() - began)
    return answers, statistics.median(took)


def population(process: Process) -> int:
    """Return how many people live in France."""
    return int(process.query(FRANCE)["data"]["country"]["population"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [REFUSED, HUNG, CUT, STOPPED, FROZEN], ids=lambda fault: fault.name
)
def test_reads_survive(scene: Scene, fault: Fault) -> None:
    """Nobody who reads notices, whoever changes is told in time, and it recovers by itself."""
    process, server, database, relay = scene
    before, usual = page(process, 20)
    version = process.query(STATUS)["data"]["status"]["version"]
    people = population(process)
    with fault.on(server, relay):
        status = readiness(process, status="ready", database="unreachable")
        answers, meanwhile = page(process, 20)
        changes = [refused(process, mutation) for mutation in (REFRESH, DELETION)]
        told = process.query(STATUS)["data"]["status"]
    began = time.monotonic()
    server.execute(GROW, database)
    while population(process) == people and time.monotonic() < began + PATIENCE:
        time.sleep(0.02)
    recovered = time.monotonic() - began
    assert (status, answers) == (200, before)
    assert [code for code, _ in changes] == ["DATABASE_UNAVAILABLE"] * 2
    assert max(seconds for _, seconds in changes) < TIMEOUT + LITTLE
    assert told == {
        "version": version,
        "stale": True,
        "lastFailure": {"code": "DATABASE_UNAVAILABLE"},
    }
    assert population(process) == people + 1
    assert readiness(process, status="ready", database="ok") == 200
    assert process.query(REFRESH)["data"] == {"refreshCountries": {"totalCountries": 250}}
    reads = f"all right, median {meanwhile * 1000:.0f} ms (before {usual * 1000:.0f} ms)"
    waits = ", ".join(f"{seconds:.1f} s" for _, seconds in changes)
    print(  # noqa: T201 - the row
        row(
            server.scheme,
            fault.name,
            reads,
            f"DATABASE_UNAVAILABLE after {waits}",
            f"{status} database: unreachable",
            f"{recovered:.1f} s",
        )
    )
