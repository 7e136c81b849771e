"""`WORKERS=n`: several processes on one port that start, serve, fail and end as one."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.cli.running import BUNDLED, PATIENCE, Process, names, run, serving
from tests.cli.test_serve import (
    FILLED,
    GREETING,
    MIGRATED,
    NO_DATABASE,
    masked,
    port_of,
    wait_for_port,
)

pytestmark = pytest.mark.slow

VERSION = "{ status { version } }"
REFRESH = "mutation { refreshCountries { totalCountries } }"
TWO = {**BUNDLED, "WORKERS": "2", "SNAPSHOT_POLL": "0.2"}
REFRESHED = r"0 new, 0 changed, 250 unchanged\)"


def wait(true: Callable[[], bool]) -> None:
    """Wait until something has come true, which no event tells."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def workers_of(process: Process) -> list[int]:
    """Return the process ids of the workers."""
    supervisor = process.pid
    text = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text("ascii")
    return [int(one) for one in text.split()]


def is_there(process: int) -> bool:
    """Tell whether a process runs."""
    try:
        state = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


@contextmanager
def paused(process: int) -> Iterator[None]:
    """Keep a process from doing anything."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def version_of(server: Process, worker: int) -> str:
    """Return what one worker of two serves, empty while it starts: the other one cannot answer."""
    (other,) = set(workers_of(server)) - {worker}
    with paused(other):
        answer = server.query(VERSION)
    return str(answer["data"]["status"]["version"]) if "data" in answer else ""


def agree(server: Process) -> bool:
    """Tell whether both workers serve the same."""
    one, other = (version_of(server, worker) for worker in workers_of(server))
    return one == other != ""


def serves_another(server: Process, worker: int, version: str) -> bool:
    """Tell whether a worker serves another version than this."""
    return version_of(server, worker) != version


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Lend a server of two workers, which have done what they do at their first start."""
    with serving(tmp_path_factory.mktemp("workers"), **TWO) as server:
        server.wait_until_said(REFRESHED)
        yield server


def test_both_answer_and_agree(server: Process) -> None:
    """Each worker answers by itself, and what one has refreshed the other serves soon after."""
    wait(lambda: len(workers_of(server)) == 2)
    workers = workers_of(server)
    wait(lambda: agree(server))
    before = version_of(server, workers[0])
    assert server.query(REFRESH)["data"] == {"refreshCountries": {"totalCountries": 250}}
    for worker in workers:
        wait(partial(serves_another, server, worker, before))
    assert agree(server)


def test_started_as_one(server: Process) -> None:
    """The database is migrated and filled once, and the greeting is one."""
    said = masked(server.said)
    assert [said.count(line) for line in (MIGRATED, FILLED, GREETING)] == [1, 1, 1]


def test_killed_worker_is_replaced(server: Process) -> None:
    """Another worker takes the place of one that was killed; queries are answered meanwhile."""
    killed, other = workers_of(server)
    os.kill(killed, signal.SIGKILL)
    server.wait_until_said("A worker ended with exit code -9; another one takes its place")
    assert server.query(VERSION).keys() == {"data"}
    wait(lambda: len(workers_of(server)) == 2)
    (new,) = set(workers_of(server)) - {other}
    assert new != killed
    wait(lambda: agree(server))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_end(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, which the terminal sends to all of them, and SIGTERM end all, well and in silence."""
    with serving(tmp_path, **TWO) as server:
        server.wait_until_said(REFRESHED)
        workers = workers_of(server)
        said = server.said
        if number is signal.SIGINT:
            for worker in workers:
                os.kill(worker, number)
        ended = server.end(number)
    later = ended.stderr.removeprefix(said).splitlines()
    # Each worker refreshes once when it has started.
    assert [line for line in later if not re.search(REFRESHED, line)] == []
    assert (ended.code, ended.stdout) == (0, "")
    assert not any(map(is_there, workers))


def test_end_of_the_supervisor(tmp_path: Path) -> None:
    """Workers whose supervisor is killed end by themselves, and leave the port."""
    with serving(tmp_path, **TWO) as server:
        port, workers = port_of(server), workers_of(server)
        server.end(signal.SIGKILL)
        wait(lambda: not any(map(is_there, workers)))
        wait_for_port(port, listening=False)


@pytest.mark.parametrize(
    ("variables", "code", "message"),
    [
        (
            {"QUERY_LIMITS": "nesting=101"},
            2,
            "QUERY_LIMITS: nesting can be at most 100.",
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
    ended = run(tmp_path, "serve", **{**BUNDLED, "PORT": "0", "WORKERS": "3", **variables})
    assert ended == (code, "", f"graphql-api: {message}\n")
    assert names(tmp_path) == ["diary"]


def test_waits_as_one(tmp_path: Path) -> None:
    """While the database is away that is told once, and all of them end when they are told to."""
    # Nobody listens on port 1.
    url = "mysql://somebody:hunter2@127.0.0.1:1/countries"
    with serving(tmp_path, **TWO, DATABASE_URL=url) as server:
        here = server.wait_until_said(r"listening at (\S+)\.\n")[1]
        for _ in range(10):
            ready = httpx.get(f"{here}/readyz", trust_env=False, timeout=PATIENCE)
            assert ready.status_code == 503
        said = server.said
        assert said.count("ERROR") == 1
        ended = server.end(signal.SIGTERM)
    assert (ended.code, ended.stderr) == (0, said)
