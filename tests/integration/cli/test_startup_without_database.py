"""Start-up while the database is away: listen, log the reason once, become ready by itself."""

# Tests print a row: database, fault, what a query got, what /readyz said, time to recover.

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import http_client
from tests.support.database import SERVERS
from tests.support.db_faults import CUT, HUNG, REFUSED, STOPPED, DatabaseFault, markdown_row
from tests.support.db_servers.process import DatabaseServer
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.server_log import mask_log, stopping_line
from tests.support.tcp_proxy import TCPProxy

pytestmark = pytest.mark.slow

QUERY = "{ countries { totalCount } }"
WAITING_PATTERN = r"ERROR .* Retrying until it responds; listening at (http://127\.0\.0\.1:\d+)\.\n"


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Return a database server of each kind."""
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def proxy(server: DatabaseServer) -> Iterator[TCPProxy]:
    """Run a proxy in front of the database server."""
    with TCPProxy(server.port) as proxy:
        yield proxy


def query_server(url: str) -> httpx.Response:
    """Send a query that needs data."""
    return http_client.post(f"{url}/graphql", json={"query": QUERY})


def settings(server: DatabaseServer, proxy: TCPProxy) -> dict[str, str]:
    """Return settings with a short DATABASE_TIMEOUT."""
    url = server.url(server.create_database(), port=proxy.port)
    return {**BUNDLED_SOURCES, "DATABASE_URL": url, "DATABASE_TIMEOUT": "1"}


def check_unavailable(process: Process) -> tuple[str, str]:
    """Return the responses to a query and to /readyz once a process waits for its database."""
    url = process.wait_for_log(WAITING_PATTERN)[1]
    live = http_client.get(f"{url}/healthz")
    ready = http_client.get(f"{url}/readyz")
    response = query_server(url)
    code = response.json()["errors"][0]["extensions"]["code"]
    assert (live.status_code, ready.status_code, response.status_code) == (200, 503, 503)
    assert (ready.json()["status"], ready.json()["database"]) == ("starting", "unreachable")
    assert (code, response.headers["Retry-After"]) == ("DATABASE_UNAVAILABLE", "2")
    return f"503 {code}", f"503 {ready.json()['status']}, {ready.json()['database']}"


@pytest.mark.parametrize(
    "fault",
    [
        REFUSED,
        pytest.param(HUNG, marks=pytest.mark.slow),
        pytest.param(CUT, marks=pytest.mark.slow),
        pytest.param(STOPPED, marks=pytest.mark.slow),
    ],
    ids=lambda fault: fault.name,
)
def test_recovery(tmp_path: Path, server: DatabaseServer, proxy: TCPProxy, fault: DatabaseFault) -> None:
    """Requests that need data get 503 until the database is back; then all data is served."""
    variables = settings(server, proxy)
    with fault.inject(server, proxy) as end_fault, running_server(tmp_path, **variables) as process:
        client, readiness = check_unavailable(process)
        end_fault()
        started_at = time.monotonic()
        url = process.url
        recovery_time = time.monotonic() - started_at
        assert query_server(url).json() == {"data": {"countries": {"totalCount": 250}}}
        ready = process.get("/readyz")
        assert (ready.status_code, ready.json()["database"]) == (200, "ok")
        result = process.stop(signal.SIGTERM)
    assert (result.exit_code, result.stdout) == (0, "")
    print(markdown_row(server.scheme, fault.name, client, readiness, f"{recovery_time:.1f} s"))  # noqa: T201 - the row


def test_each_reason_is_logged_once(tmp_path: Path, server: DatabaseServer, proxy: TCPProxy) -> None:
    """A reason that stays the same is logged once, however many attempts fail."""
    variables = settings(server, proxy)
    with REFUSED.inject(server, proxy) as end_fault, running_server(tmp_path, **variables) as process:
        process.wait_for_log(WAITING_PATTERN)
        time.sleep(1)  # several attempts
        end_fault()
        assert process.url
        assert process.stderr.count("ERROR") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_shutdown_while_waiting(
    tmp_path: Path, server: DatabaseServer, proxy: TCPProxy, number: signal.Signals
) -> None:
    """SIGTERM while the database is away ends the server with 0, and logs one line more."""
    variables = settings(server, proxy)
    with HUNG.inject(server, proxy), running_server(tmp_path, **variables) as process:
        process.wait_for_log(WAITING_PATTERN)
        log = process.stderr
        result = process.stop(number)
    assert (result.exit_code, mask_log(result.stderr.removeprefix(log))) == (0, stopping_line(number))
