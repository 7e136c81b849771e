"""Heartbeats of workers: silence that lasts is a hang; a start, a pause and a shutdown are none."""

import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from unittest.mock import Mock

import pytest

from graphql_api.server.supervisor import Supervisor, _WorkerProcess

START = 1000.0


@dataclass
class Workers:
    """Two workers under a supervisor whose clock the test moves."""

    supervisor: Supervisor
    processes: list[Mock]
    heartbeats: list[float]
    now: float = START

    def check(self, *, beating: set[int], times: int = 1, seconds: float = 1.0) -> None:
        """Let the clock move and the supervisor check, repeatedly; some workers beat before each check."""
        for _ in range(times):
            self.now += seconds
            for number in beating:
                self.heartbeats[number] = self.now
            self.supervisor._kill_hung_workers()

    @property
    def kill_counts(self) -> list[int]:
        """Return how often each worker was killed."""
        return [process.kill.call_count for process in self.processes]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Return workers that have not beaten since their start; the first one follows one that had."""
    heartbeats = [START - 1, 0.0]
    supervisor = Supervisor(
        workers=2,
        serve=Mock(),
        listeners=[],
        on_event=Mock(),
        rereads_files=False,
        stop_timeout=1,
        last_heartbeat=lambda number: heartbeats[number],
    )
    processes = [Mock(spec=BaseProcess, pid=100 + number) for number in range(2)]
    supervisor._processes = [
        _WorkerProcess(number, process, Mock(), started_at=START) for number, process in enumerate(processes)
    ]
    workers = Workers(supervisor, processes, heartbeats)
    monkeypatch.setattr(time, "monotonic", lambda: workers.now)
    return workers


def test_hang(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    """The thirtieth check without a heartbeat kills a worker, once; one that beats is left alone."""
    workers.check(beating={0, 1})
    workers.check(beating={0}, times=29)
    assert (workers.kill_counts, caplog.messages) == ([0, 0], [])
    workers.check(beating={0})
    assert workers.kill_counts == [0, 1]
    assert caplog.messages == ["The worker with process id 101 has not responded for 30 s; killing it."]
    workers.check(beating={0}, times=100)
    assert workers.kill_counts == [0, 1]


def test_late_heartbeat(workers: Workers) -> None:
    """A heartbeat ends the silence before it."""
    for _ in range(3):
        workers.check(beating={0, 1})
        workers.check(beating={0}, times=29)
    assert workers.kill_counts == [0, 0]


def test_slow_start(workers: Workers) -> None:
    """A worker is not watched before its first heartbeat, whatever its predecessor left."""
    workers.check(beating=set(), times=1000)
    assert workers.kill_counts == [0, 0]
    workers.check(beating={0})
    workers.check(beating=set(), times=30)
    assert workers.kill_counts == [1, 0]


def test_pause_of_all_processes(workers: Workers) -> None:
    """A pause of the machine counts as one check, however long it lasts."""
    workers.check(beating={0, 1})
    workers.check(beating=set(), seconds=3600)
    workers.check(beating={0, 1}, times=100)
    assert workers.kill_counts == [0, 0]


def test_frequent_events(workers: Workers) -> None:
    """Events that wake the supervisor more often do not shorten the time that a worker has."""
    workers.check(beating={0, 1})
    workers.check(beating=set(), times=28 * 8, seconds=1 / 8)
    assert workers.kill_counts == [0, 0]
    workers.check(beating=set(), times=2 * 8, seconds=1 / 8)
    assert workers.kill_counts == [1, 1]


def test_shutdown(workers: Workers) -> None:
    """Workers that stop have the time that the shutdown gives them."""
    workers.check(beating={0, 1})
    workers.supervisor._stop()
    workers.check(beating=set(), times=100)
    assert workers.kill_counts == [0, 0]
