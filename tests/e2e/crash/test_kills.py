"""Refreshes killed at any moment leave all old rows or all new ones."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from graphql_api.refresh.lease_session import LEASE_DURATION
from tests.e2e.crash.byte_limit_proxy import ByteLimitProxy, TriggerPoint
from tests.e2e.crash.datasets import DATASETS
from tests.e2e.crash.environment import (
    CrashEnvironment,
    DatabaseState,
    ServerEnvironment,
    SQLiteEnvironment,
    running_fork_server,
)
from tests.e2e.crash.fork_server import ForkedProcess
from tests.support import http_client
from tests.support.database import NEW_SERVERS
from tests.support.db_servers.process import DatabaseServer
from tests.support.wait import wait_until

KILL_FACTOR = float(os.environ.get("KILLS", "1"))
"""Factor for the number of kills; CI has time for 1."""
PHASES = ("Fetching", "Merging", "Writing", "Drawing", "Done")
"""Output at the beginning of each phase of a refresh, after its start."""

_PHASE_LABELS = {
    "": "at the start",
    "Fetching": "fetching",
    "Merging": "merging",
    "Writing": "in the upsert",
    "Drawing": "drawing",
    "Done": "in the tail",
}

RecordProperty = Callable[[str, object], None]

pytestmark = pytest.mark.slow


def kill_count(base_count: int) -> int:
    """Return the number of kills of a kind."""
    return max(1, round(base_count * KILL_FACTOR))


@pytest.fixture
def sqlite_environment(tmp_path: Path) -> Iterator[SQLiteEnvironment]:
    """Return an environment over SQLite."""
    with running_fork_server(tmp_path) as (fork_server, upstream):
        yield SQLiteEnvironment(fork_server, upstream, tmp_path)


@pytest.fixture(params=NEW_SERVERS)
def crash_environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerEnvironment]:
    """Return an environment with a server of its own, of each kind in turn."""
    new_server: Callable[[], DatabaseServer] = request.getfixturevalue(request.param)
    with (
        running_fork_server(tmp_path) as (fork_server, upstream),
        new_server() as server,
        ByteLimitProxy(server.port) as proxy,
    ):
        yield ServerEnvironment(fork_server, upstream, server, proxy)


class KillRecorder:
    """Checks the state after each kill, runs a refresh that must succeed, and counts outcomes."""

    def __init__(self, environment: CrashEnvironment, method: str, record: RecordProperty) -> None:
        """Start from a whole set of data."""
        self.environment = environment
        self.state_before = environment.prepare()
        self.counts: Counter[tuple[str, str, str, str]] = Counter()
        self._method = method
        self._rows: list[list[object]] = []
        record("kills", self._rows)

    @property
    def target_dataset(self) -> str:
        """Return the set that the refresh to kill brings: the one not in the table."""
        (other,) = (name for name in DATASETS if self.environment.datasets[name] != self.state_before.data)
        return other

    def check(self, position: str, *, is_acknowledged: bool) -> None:
        """Check that the table holds one set as a whole, and that the next refresh succeeds.

        `place` is the position of the refresh, as far as the database does not show it.
        """
        before, after = self.state_before, self.environment.read_state()
        outcome = "old" if after.rows == before.rows else "new"
        if outcome == "new":
            assert after.data == self.environment.datasets[self.target_dataset]
            assert len(after.revision_stamps) == 1
        assert not is_acknowledged or outcome == "new"
        new_outcomes = list(after.history.values())[len(before.history) :]
        assert list(after.history)[: len(before.history)] == list(before.history)
        assert len(new_outcomes) <= 1
        assert new_outcomes != ["SUCCEEDED"] or outcome == "new"
        is_history_lost = outcome == "new" and not new_outcomes
        if after.is_lease_held:
            assert after.lease[1] <= time.time() + LEASE_DURATION
            self.environment.expire_lease()
        full_position = _describe_position(position, before, after, is_acknowledged=is_acknowledged)
        history = "without its entry" if is_history_lost else "whole"
        self.counts[f"{self.environment.database_kind}: {self._method}", full_position, outcome, history] += 1
        self._rows[:] = [[*key, times] for key, times in self.counts.items()]
        self.state_before = after
        self.state_before = self.environment.run_refresh(self.target_dataset)


def _describe_position(position: str, before: DatabaseState, after: DatabaseState, *, is_acknowledged: bool) -> str:
    """Return the position of a refresh, from its output and what it left."""
    effect = "lease not yet taken"
    if len(after.history) > len(before.history):
        effect = "history written, " + ("lease held" if after.is_lease_held else "lease given back")
    elif after.rows != before.rows:
        effect = "committed, " + ("answered" if is_acknowledged else "not answered")
    elif after.lease[2] > before.lease[2]:
        effect = "lease taken"
    return f"{position}: {effect}"


def has_ended(child: ForkedProcess) -> bool:
    """Return whether a process has ended."""
    return child.has_ended


def reported_position(child: ForkedProcess) -> str:
    """Return the position that a refresh printed."""
    output = child.stdout
    phases = [phase for phase in PHASES if phase in output]
    return _PHASE_LABELS[phases[-1] if phases else ""]


def test_process_on_a_file(sqlite_environment: SQLiteEnvironment, record_property: RecordProperty) -> None:
    """The command `refresh` is killed at every phase, over SQLite."""
    recorder = KillRecorder(sqlite_environment, "SIGKILL of refresh", record_property)
    rng = random.Random("sqlite")  # noqa: S311 - it decides nothing secret
    for turn in range(kill_count(24)):
        child = sqlite_environment.start_refresh(recorder.target_dataset)
        child.wait_for_output(PHASES[turn % len(PHASES)])
        time.sleep(rng.random() ** 2 * 0.04)
        child.send_signal(signal.SIGKILL)
        sqlite_environment.fork_server.wait(child)
        recorder.check(reported_position(child), is_acknowledged="countries: " in child.stdout)


class RandomTrigger:
    """Triggers at random points of a refresh."""

    def __init__(self, environment: ServerEnvironment, seed: str) -> None:
        """Measure a refresh."""
        self._proxy = environment.proxy
        self._rng = random.Random(f"{environment.database_kind} {seed}")  # noqa: S311 - no secret
        self._totals: dict[str, int] = {}
        self._turn = 0
        self.position = ""
        """Position of the refresh when the trigger fired."""

    def measure(self, operation: Callable[[], object]) -> None:
        """Run a refresh to its end, and record how much traffic it has."""
        self._proxy.disarm()
        operation()
        self._totals = dict(self._proxy.passed)

    def arm(self, child: ForkedProcess, on_trigger: Callable[[], None]) -> None:
        """Arm a trigger: half of them within the upsert, half at any exchange with the server."""
        self._turn += 1
        if self._turn % 2:
            trigger_point = TriggerPoint("to_server", self._rng.randint(1, self._totals["to_server"]))
        else:
            chunk_number = self._rng.randint(1, self._totals["chunks"])
            trigger_point = TriggerPoint("chunks", chunk_number, self._rng.choice((0, 0.5, 1)))

        def fire() -> None:
            self.position = reported_position(child)
            on_trigger()

        self.position = "not hit"
        self._proxy.arm(trigger_point, fire)

    def wait(self, is_over: Callable[[], bool]) -> None:
        """Wait until the trigger has fired, or what it was armed for is over."""
        wait_until(lambda: self._proxy.has_triggered or is_over())
        self._proxy.disarm()


def measure_refresh(
    environment: ServerEnvironment, label: str, record_property: RecordProperty
) -> tuple[KillRecorder, RandomTrigger]:
    """Return the recorder and the trigger of a test, after a refresh that shows its traffic."""
    recorder = KillRecorder(environment, label, record_property)
    trigger = RandomTrigger(environment, label)
    trigger.measure(lambda: environment.run_refresh(recorder.target_dataset))
    recorder.state_before = environment.read_state()
    return recorder, trigger


def test_process_on_a_server(crash_environment: ServerEnvironment, record_property: RecordProperty) -> None:
    """The command `refresh` is killed after a random number of bytes."""
    recorder, trigger = measure_refresh(crash_environment, "SIGKILL of refresh", record_property)
    for _ in range(kill_count(16)):
        child = crash_environment.start_refresh(recorder.target_dataset)
        trigger.arm(child, partial(child.send_signal, signal.SIGKILL))
        trigger.wait(partial(has_ended, child))
        crash_environment.fork_server.wait(child)
        recorder.check(trigger.position, is_acknowledged="countries: " in child.stdout)


def mutate(child: ForkedProcess) -> httpx.Response | None:
    """Refresh on a server, and return its response, None if there is none."""
    payload = {"query": "mutation { refreshCountries(force: true) { totalCountries } }"}
    try:
        return http_client.post(f"{child.url}/graphql", json=payload)
    except httpx.TransportError:
        return None


def test_server_that_refreshes(crash_environment: ServerEnvironment, record_property: RecordProperty) -> None:
    """A server is killed while it refreshes for a client, and another one goes on."""
    recorder = KillRecorder(crash_environment, "SIGKILL of serve", record_property)
    trigger = RandomTrigger(crash_environment, "serve")

    def start() -> ForkedProcess:
        child = crash_environment.fork_server.start(
            "serve", PORT="0", **crash_environment.settings(recorder.target_dataset)
        )
        child.wait_for_output("(Ctrl-C stops)")
        return child

    def refresh_once() -> None:
        crash_environment.proxy.disarm()
        assert mutate(child) is not None

    child = start()
    trigger.measure(refresh_once)
    child.send_signal(signal.SIGTERM)
    assert crash_environment.fork_server.wait(child) == 0
    recorder.state_before = crash_environment.read_state()
    for _ in range(kill_count(5)):
        child = start()
        trigger.arm(child, partial(child.send_signal, signal.SIGKILL))
        response = mutate(child)
        trigger.wait(lambda: True)
        child.send_signal(signal.SIGKILL)
        crash_environment.fork_server.wait(child)
        recorder.check("under way", is_acknowledged=response is not None)


def test_connection_is_cut(crash_environment: ServerEnvironment, record_property: RecordProperty) -> None:
    """The connection to the database is cut after a random number of bytes."""
    recorder, trigger = measure_refresh(crash_environment, "cut connection", record_property)
    for _ in range(kill_count(10)):
        child = crash_environment.start_refresh(recorder.target_dataset)
        trigger.arm(child, lambda: None)
        code = crash_environment.fork_server.wait(child)
        crash_environment.proxy.disarm()
        recorder.check(f"{trigger.position}, exit code {code}", is_acknowledged=code == 0)


def test_database_is_killed(crash_environment: ServerEnvironment, record_property: RecordProperty) -> None:
    """The database server is killed after a random number of bytes, and restarted."""
    recorder, trigger = measure_refresh(crash_environment, "SIGKILL of the database", record_property)
    for _ in range(kill_count(4)):
        child = crash_environment.start_refresh(recorder.target_dataset)
        trigger.arm(child, crash_environment.server.kill)
        trigger.wait(partial(has_ended, child))
        crash_environment.server.kill()
        crash_environment.server.start()
        code = crash_environment.fork_server.wait(child)
        recorder.check(f"{trigger.position}, exit code {code}", is_acknowledged=code == 0)
