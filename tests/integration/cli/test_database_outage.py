"""Database outages: queries go on being served, and changes fail within DATABASE_TIMEOUT."""

# Tests print a row: database, fault, what a query, a refresh and a deletion got, what /readyz said,
# and the time from the end of the fault until another replica's change was served.

import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support import http_client
from tests.support.database import SERVERS
from tests.support.db_faults import CUT, FROZEN, HUNG, REFUSED, STOPPED, DatabaseFault, markdown_row
from tests.support.db_servers.process import DatabaseServer
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.tcp_proxy import TCPProxy
from tests.support.wait import wait_until

DATABASE_TIMEOUT = 1.0
"""DATABASE_TIMEOUT in seconds."""
TOLERANCE = 5.0
"""Seconds that a response may take beyond that on a busy machine."""
PAGE_QUERY = """{ countries(first: 5, sort: [{ field: POPULATION, direction: DESC }]) {
    nodes { code name population }
} }"""
REFRESH = "mutation { refreshCountries { totalCountries } }"
DELETION = 'mutation { deleteCountry(code: "FR") { code } }'
STATUS = "{ status { version stale lastFailure { code } } }"
FRANCE = '{ country(code: "FR") { population } }'
POPULATION_UPDATE = (
    "UPDATE countries SET population = population + 1, "
    "revision = (SELECT most FROM (SELECT MAX(revision) + 1 AS most FROM countries) AS counted) "
    "WHERE code = 'FR'"
)
"""A change that another replica makes."""


class OutageSetup(NamedTuple):
    """A server process, its database server, and the proxy between them."""

    process: Process
    server: DatabaseServer
    database: str
    proxy: TCPProxy


@pytest.fixture(scope="module", params=SERVERS)
def outage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutageSetup]:
    """Run a server process on a database server of each kind."""
    server: DatabaseServer = request.getfixturevalue(request.param)
    database = server.create_database()
    with TCPProxy(server.port) as proxy:
        settings = {
            **BUNDLED_SOURCES,
            "DATABASE_URL": server.url(database, port=proxy.port),
            "DATABASE_TIMEOUT": str(DATABASE_TIMEOUT),
            "SNAPSHOT_POLL": "0.2",
        }
        with running_server(tmp_path_factory.mktemp("reads"), **settings) as process:
            process.wait_for_log(r"250 unchanged\)")
            yield OutageSetup(process, server, database, proxy)


def wait_for_readiness(process: Process, **expected: str) -> int:
    """Wait until /readyz reports this, and return its status."""
    statuses: list[int] = []

    def is_reported() -> bool:
        response = process.get("/readyz")
        statuses.append(response.status_code)
        return bool(expected.items() <= response.json().items())

    wait_until(is_reported, f"/readyz does not report {expected}")
    return statuses[-1]


def run_failing_mutation(process: Process, mutation: str) -> tuple[str, float]:
    """Return the error code of a change and the seconds it took."""
    started_at = time.monotonic()
    body = process.query(mutation)
    elapsed = time.monotonic() - started_at
    assert body["data"] is None
    return str(body["errors"][0]["extensions"]["code"]), elapsed


def query_pages(process: Process, count: int) -> tuple[list[dict[str, Any]], float]:
    """Send `count` different queries; return the responses and the median seconds of one."""
    bodies, durations = [], []
    url = f"{process.url}/graphql"
    with http_client.open_client() as client:
        for _ in range(count):
            query = {"query": f"query Q{time.monotonic_ns()} {PAGE_QUERY}"}
            started_at = time.monotonic()
            bodies.append(client.post(url, json=query).json())
            durations.append(time.monotonic() - started_at)
    return bodies, statistics.median(durations)


def read_population(process: Process) -> int:
    """Return the population of France."""
    return int(process.query(FRANCE)["data"]["country"]["population"])


@pytest.mark.slow
@pytest.mark.parametrize("fault", [REFUSED, HUNG, CUT, STOPPED, FROZEN], ids=lambda fault: fault.name)
def test_outage(outage: OutageSetup, fault: DatabaseFault) -> None:
    """Queries are served without delay, changes fail in time, and the server recovers by itself."""
    process, server, database, proxy = outage
    before, usual_latency = query_pages(process, 20)
    version = process.query(STATUS)["data"]["status"]["version"]
    initial_population = read_population(process)
    with fault.inject(server, proxy):
        ready_status = wait_for_readiness(process, status="ready", database="unreachable")
        bodies, outage_latency = query_pages(process, 20)
        failures = [run_failing_mutation(process, mutation) for mutation in (REFRESH, DELETION)]
        served_status = process.query(STATUS)["data"]["status"]
    started_at = time.monotonic()
    server.execute(POPULATION_UPDATE, database)
    wait_until(lambda: read_population(process) != initial_population)
    recovery_time = time.monotonic() - started_at
    assert (ready_status, bodies) == (200, before)
    assert [code for code, _ in failures] == ["DATABASE_UNAVAILABLE"] * 2
    assert max(seconds for _, seconds in failures) < DATABASE_TIMEOUT + TOLERANCE
    assert served_status == {"version": version, "stale": True, "lastFailure": {"code": "DATABASE_UNAVAILABLE"}}
    assert read_population(process) == initial_population + 1
    assert wait_for_readiness(process, status="ready", database="ok") == 200
    assert process.query(REFRESH)["data"] == {"refreshCountries": {"totalCountries": 250}}
    reads_summary = f"all right, median {outage_latency * 1000:.0f} ms (before {usual_latency * 1000:.0f} ms)"
    waits_summary = ", ".join(f"{seconds:.1f} s" for _, seconds in failures)
    print(  # noqa: T201 - the row
        markdown_row(
            server.scheme,
            fault.name,
            reads_summary,
            f"DATABASE_UNAVAILABLE after {waits_summary}",
            f"{ready_status} database: unreachable",
            f"{recovery_time:.1f} s",
        )
    )
