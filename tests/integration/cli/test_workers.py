"""`WORKERS=n`: several processes on one port that start, serve, fail and stop as one."""

import os
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.support import http_client
from tests.support.process_state import child_pids, is_running, paused
from tests.support.processes import BUNDLED_SOURCES, Process, list_paths, run_command, running_server, wait_for_port
from tests.support.server_log import FILLED, GREETING, MIGRATED, NO_DATABASE, mask_log, stopping_line
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow

VERSION = "{ status { version } }"
REFRESH = "mutation { refreshCountries { totalCountries startedAt } }"
TWO_WORKERS = {**BUNDLED_SOURCES, "WORKERS": "2", "SNAPSHOT_POLL": "0.2"}
REFRESHED_PATTERN = r"0 new, 0 changed, 250 unchanged\)"


def worker_pids(server: Process) -> list[int]:
    """Return the process ids of the workers."""
    return child_pids(server.pid)


def worker_version(server: Process, worker: int) -> str:
    """Return the version that one of two workers serves, empty during its start."""
    (other,) = set(worker_pids(server)) - {worker}
    with paused(other):
        body = server.query(VERSION)
    return str(body["data"]["status"]["version"]) if "data" in body else ""


def workers_agree(server: Process) -> bool:
    """Return whether both workers serve the same version."""
    first, second = (worker_version(server, worker) for worker in worker_pids(server))
    return first == second != ""


def serves_other_version(server: Process, worker: int, version: str) -> bool:
    """Return whether a worker serves another version than this."""
    return worker_version(server, worker) != version


def refresh_anew(server: Process) -> bool:
    """Refresh, and return whether that refresh began after the call; a worker may still be at its first one."""
    called_at = datetime.now(UTC)
    refreshed = server.query(REFRESH)["data"]["refreshCountries"]
    assert refreshed["totalCountries"] == 250
    return datetime.fromisoformat(refreshed["startedAt"]) >= called_at


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server of two workers whose first refresh is over."""
    with running_server(tmp_path_factory.mktemp("workers"), **TWO_WORKERS) as server:
        server.wait_for_log(REFRESHED_PATTERN)
        yield server


def test_both_workers_serve(server: Process) -> None:
    """Each worker responds on its own, and serves what the other has refreshed soon after."""
    wait_until(lambda: len(worker_pids(server)) == 2)
    workers = worker_pids(server)
    wait_until(lambda: workers_agree(server))
    before = worker_version(server, workers[0])
    wait_until(lambda: refresh_anew(server))
    for worker in workers:
        wait_until(partial(serves_other_version, server, worker, before))
    assert workers_agree(server)


def test_first_start(server: Process) -> None:
    """Two workers migrate and fill the database once, and log one line when ready."""
    log = mask_log(server.stderr)
    assert [log.count(line) for line in (MIGRATED, FILLED, GREETING)] == [1, 1, 1]


def test_killed_worker_is_replaced(server: Process) -> None:
    """A killed worker is replaced; queries are served meanwhile."""
    killed, other = worker_pids(server)
    os.kill(killed, signal.SIGKILL)
    server.wait_for_log("A worker exited with code -9; starting a replacement")
    assert server.query(VERSION).keys() == {"data"}
    wait_until(lambda: len(worker_pids(server)) == 2)
    (new,) = set(worker_pids(server)) - {other}
    assert new != killed
    wait_until(lambda: workers_agree(server))


def test_hung_worker_is_replaced(server: Process) -> None:
    """A worker whose event loop stands still is killed and replaced; the other one serves meanwhile."""
    wait_until(lambda: len(worker_pids(server)) == 2)
    hung, other = worker_pids(server)
    with paused(hung):
        assert server.query(VERSION).keys() == {"data"}
        server.wait_for_log(
            rf"ERROR   The worker with process id {hung} has not responded for 30 s; killing it\.\n"
            r".*ERROR   A worker exited with code -9; starting a replacement\.\n"
        )
    wait_until(lambda: len(worker_pids(server)) == 2)
    assert other in worker_pids(server)
    wait_until(lambda: workers_agree(server))
    assert server.stderr.count("has not responded") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_shutdown(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, which a terminal sends to all processes, and SIGTERM end all with one line; one worker has refreshed."""
    with running_server(tmp_path, **TWO_WORKERS) as server:
        assert server.url
        server.wait_for_log(REFRESHED_PATTERN)
        workers = worker_pids(server)
        log = server.stderr
        if number is signal.SIGINT:
            for worker in workers:
                os.kill(worker, number)
        result = server.stop(number)
    assert mask_log(result.stderr.removeprefix(log)) == stopping_line(number)
    assert len(re.findall(REFRESHED_PATTERN, result.stderr)) == 1
    assert (result.exit_code, result.stdout) == (0, "")
    assert not any(map(is_running, workers))


def test_killed_supervisor(tmp_path: Path) -> None:
    """Workers whose supervisor is killed exit by themselves, and release the port."""
    with running_server(tmp_path, **TWO_WORKERS) as server:
        port, workers = server.port, worker_pids(server)
        server.stop(signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, workers)))
        wait_for_port(port, listening=False)


@pytest.mark.parametrize(
    ("variables", "code", "message"),
    [
        ({"QUERY_LIMITS": "depth=101"}, 2, "QUERY_LIMITS: depth can be at most 100."),
        ({"DATABASE_URL": "sqlite:///diary"}, 1, NO_DATABASE),
        ({"WORKERS": "65"}, 2, "WORKERS: Input should be less than or equal to 64"),
    ],
)
def test_reported_once(tmp_path: Path, variables: dict[str, str], code: int, message: str) -> None:
    """A wrong setting or an unusable database is reported once, not once per worker."""
    (tmp_path / "diary").write_text("Dear diary,\n" * 100)
    result = run_command(tmp_path, "serve", **{**BUNDLED_SOURCES, "PORT": "0", "WORKERS": "3", **variables})
    assert result == (code, "", f"graphql-api: {message}\n")
    assert list_paths(tmp_path) == ["diary"]


def test_database_away(tmp_path: Path) -> None:
    """An unreachable database is logged once for all workers, and SIGTERM ends them with 0."""
    # No server listens on port 1.
    url = "mysql://somebody:hunter2@127.0.0.1:1/countries"
    with running_server(tmp_path, **TWO_WORKERS, DATABASE_URL=url) as server:
        base_url = server.wait_for_log(r"listening at (\S+)\.\n")[1]
        for _ in range(10):
            ready = http_client.get(f"{base_url}/readyz")
            assert ready.status_code == 503
        log = server.stderr
        assert log.count("ERROR") == 1
        result = server.stop(signal.SIGTERM)
    assert (result.exit_code, mask_log(result.stderr.removeprefix(log))) == (0, stopping_line(signal.SIGTERM))
