"""Starting while the database is away: it listens, says so, and comes up by itself."""

# Tests print a row: database, fault, what a query got, what /readyz said, time to recover.

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.faults import CUT, HUNG, REFUSED, STOPPED, Fault, row
from tests.cli.running import BUNDLED, PATIENCE, Process, serving
from tests.servers.process import Server
from tests.servers.relay import Relay

pytestmark = pytest.mark.slow

QUERY = "{ countries { totalCount } }"
WAITS = r"ERROR .* Trying again until it answers; listening at (http://127\.0\.0\.1:\d+)\.\n"


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> Server:
    """Return a server of each kind in turn."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    """Lend a relay before the server."""
    with Relay(server.port) as relay:
        yield relay


def ask(url: str) -> httpx.Response:
    """Ask for data."""
    return httpx.post(f"{url}/graphql", json={"query": QUERY}, trust_env=False, timeout=PATIENCE)


def settings(server: Server, relay: Relay) -> dict[str, str]:
    """Return the settings of a server that is soon tired of waiting."""
    url = server.url(server.create_database(), port=relay.port)
    return {**BUNDLED, "DATABASE_URL": url, "DATABASE_TIMEOUT": "1"}


def refusal(process: Process) -> tuple[str, str]:
    """Return what a query and /readyz are told by a process that waits, once it does."""
    url = process.wait_until_said(WAITS)[1]
    live = httpx.get(f"{url}/healthz", trust_env=False, timeout=PATIENCE)
    ready = httpx.get(f"{url}/readyz", trust_env=False, timeout=PATIENCE)
    asked = ask(url)
    code = asked.json()["errors"][0]["extensions"]["code"]
    assert (live.status_code, ready.status_code, asked.status_code) == (200, 503, 503)
    assert (ready.json()["status"], ready.json()["database"]) == ("starting", "unreachable")
    assert (code, asked.headers["Retry-After"]) == ("DATABASE_UNAVAILABLE", "2")
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
def test_comes_up_by_itself(tmp_path: Path, server: Server, relay: Relay, fault: Fault) -> None:
    """It refuses what needs data until the database is there, and then has all of it."""
    given = settings(server, relay)
    with fault.on(server, relay) as end, serving(tmp_path, **given) as process:
        client, readiness = refusal(process)
        end()
        began = time.monotonic()
        url = process.url
        recovered = time.monotonic() - began
        assert ask(url).json() == {"data": {"countries": {"totalCount": 250}}}
        ready = process.get("/readyz")
        assert (ready.status_code, ready.json()["database"]) == (200, "ok")
        ended = process.end(signal.SIGTERM)
    assert (ended.code, ended.stdout) == (0, "")
    print(row(server.scheme, fault.name, client, readiness, f"{recovered:.1f} s"))  # noqa: T201 - the row


def test_each_reason_is_logged_once(tmp_path: Path, server: Server, relay: Relay) -> None:
    """However often it has tried, a reason that stays the same is one line of the log."""
    given = settings(server, relay)
    with REFUSED.on(server, relay) as end, serving(tmp_path, **given) as process:
        process.wait_until_said(WAITS)
        time.sleep(1)  # for a few tries
        end()
        assert process.url
        assert process.said.count("ERROR") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_while_it_waits(
    tmp_path: Path, server: Server, relay: Relay, number: signal.Signals
) -> None:
    """Told to stop while nobody answers it, it ends well, without another word."""
    given = settings(server, relay)
    with HUNG.on(server, relay), serving(tmp_path, **given) as process:
        process.wait_until_said(WAITS)
        said = process.said
        ended = process.end(number)
    assert (ended.code, ended.stderr) == (0, said)
