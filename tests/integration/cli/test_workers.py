"""`WORKERS=n`: several processes on one port that start, serve, fail and end as one."""

import os
import re
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.process_state import child_pids, is_running, paused
from tests.support.processes import (
    BUNDLED_SOURCES,
    Process,
    list_paths,
    run_command,
    running_server,
    wait_for_port,
)
from tests.support.server_log import FILLED, GREETING, MIGRATED, NO_DATABASE, mask_log
from tests.support.wait import WAIT_TIMEOUT, wait_until

pytestmark = pytest.mark.slow

VERSION = "{ status { version } }"
REFRESH = "mutation { refreshCountries { totalCountries } }"
TWO_WORKERS = {**BUNDLED_SOURCES, "WORKERS": "2", "SNAPSHOT_POLL": "0.2"}
REFRESHED_PATTERN = r"0 new, 0 changed, 250 unchanged\)"


def worker_pids(server: Process) -> list[int]:
    """Return the process ids of the workers."""
    return child_pids(server.pid)


def worker_version(server: Process, worker: int) -> str:
    """Return what one worker of two serves, empty while it starts: the other one cannot answer."""
    (other,) = set(worker_pids(server)) - {worker}
    with paused(other):
        body = server.query(VERSION)
    return str(body["data"]["status"]["version"]) if "data" in body else ""


def workers_agree(server: Process) -> bool:
    """Tell whether both workers serve the same."""
    first, second = (worker_version(server, worker) for worker in worker_pids(server))
    return first == second != ""


def serves_other_version(server: Process, worker: int, version: str) -> bool:
    """Tell whether a worker serves another version than this."""
    return worker_version(server, worker) != version


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Lend a server of two workers, which have done what they do at their first start."""
    with running_server(tmp_path_factory.mktemp("workers"), **TWO_WORKERS) as server:
        server.wait_for_log(REFRESHED_PATTERN)
        yield server


def test_both_answer_and_agree(server: Process) -> None:
    """Each worker answers by itself, and what one has refreshed the other serves soon after."""
    wait_until(lambda: len(worker_pids(server)) == 2)
    workers = worker_pids(server)
    wait_until(lambda: workers_agree(server))
    before = worker_version(server, workers[0])
    assert server.query(REFRESH)["data"] == {"refreshCountries": {"totalCountries": 250}}
    for worker in workers:
        wait_until(partial(serves_other_version, server, worker, before))
    assert workers_agree(server)


def test_started_as_one(server: Process) -> None:
    """The database is migrated and filled once, and the greeting is one."""
    log = mask_log(server.stderr)
    assert [log.count(line) for line in (MIGRATED, FILLED, GREETING)] == [1, 1, 1]


def test_killed_worker_is_replaced(server: Process) -> None:
    """Another worker takes the place of one that was killed; queries are answered meanwhile."""
    killed, other = worker_pids(server)
    os.kill(killed, signal.SIGKILL)
    server.wait_for_log("A worker exited with code -9; starting a replacement")
    assert server.query(VERSION).keys() == {"data"}
    wait_until(lambda: len(worker_pids(server)) == 2)
    (new,) = set(worker_pids(server)) - {other}
    assert new != killed
    wait_until(lambda: workers_agree(server))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_end(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, which the terminal sends to all of them, and SIGTERM end all, well and in silence."""
    with running_server(tmp_path, **TWO_WORKERS) as server:
        server.wait_for_log(REFRESHED_PATTERN)
        workers = worker_pids(server)
        log = server.stderr
        if number is signal.SIGINT:
            for worker in workers:
                os.kill(worker, number)
        result = server.stop(number)
    later_lines = result.stderr.removeprefix(log).splitlines()
    # Each worker refreshes once when it has started.
    assert [line for line in later_lines if not re.search(REFRESHED_PATTERN, line)] == []
    assert (result.exit_code, result.stdout) == (0, "")
    assert not any(map(is_running, workers))


def test_end_of_the_supervisor(tmp_path: Path) -> None:
    """Workers whose supervisor is killed end by themselves, and leave the port."""
    with running_server(tmp_path, **TWO_WORKERS) as server:
        port, workers = server.port, worker_pids(server)
        server.stop(signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, workers)))
        wait_for_port(port, listening=False)


@pytest.mark.parametrize(
    ("variables", "code", "message"),
    [
        (
            {"QUERY_LIMITS": "depth=101"},
            2,
            "QUERY_LIMITS: depth can be at most 100.",
        ),
        (
            {"DATABASE_URL": "sqlite:///diary"},
            1,
            NO_DATABASE,
        ),
        ({"WORKERS": "65"}, 2, "WORKERS: Input should be less than or equal to 64"),
    ],
)
def test_refused(tmp_path: Path, variables: dict[str, str], code: int, message: str) -> None:
    """What is wrong is told once, however many workers there would be."""
    (tmp_path / "diary").write_text("Dear diary,\n" * 100)
    result = run_command(
        tmp_path, "serve", **{**BUNDLED_SOURCES, "PORT": "0", "WORKERS": "3", **variables}
    )
    assert result == (code, "", f"graphql-api: {message}\n")
    assert list_paths(tmp_path) == ["diary"]


def test_waits_as_one(tmp_path: Path) -> None:
    """While the database is away that is told once, and all of them end when they are told to."""
    # Nobody listens on port 1.
    url = "mysql://somebody:hunter2@127.0.0.1:1/countries"
    with running_server(tmp_path, **TWO_WORKERS, DATABASE_URL=url) as server:
        base_url = server.wait_for_log(r"listening at (\S+)\.\n")[1]
        for _ in range(10):
            ready = httpx.get(f"{base_url}/readyz", trust_env=False, timeout=WAIT_TIMEOUT)
            assert ready.status_code == 503
        log = server.stderr
        assert log.count("ERROR") == 1
        result = server.stop(signal.SIGTERM)
    assert (result.exit_code, result.stderr) == (0, log)
