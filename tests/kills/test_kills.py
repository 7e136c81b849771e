"""Refreshes that are killed at any moment leave the old rows or the new ones, and no mixture."""

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

from tests.cli.running import PATIENCE
from tests.kills.data import SETS
from tests.kills.spawner import Child
from tests.kills.stage import TIMEOUT, FileStage, ServerStage, Stage, State, spawning
from tests.kills.trap import Moment, Trap
from tests.servers.process import Server

TIMES = float(os.environ.get("KILLS", "1"))
"""How many times as many kills as CI has time for."""
SPARE = 60.0
"""Seconds that a lease lasts longer than fetching may take."""
PHASES = ("Fetching", "Merging", "Writing", "Drawing", "Done")
"""What a refresh says at the beginning of each of its parts, after its start."""

_PLACES = {
    "": "at the start",
    "Fetching": "fetching",
    "Merging": "merging",
    "Writing": "in the upsert",
    "Drawing": "drawing",
    "Done": "in the tail",
}

Record = Callable[[str, object], None]

pytestmark = pytest.mark.slow


def number(times: int) -> int:
    """Return how many kills of a kind there are."""
    return max(1, round(times * TIMES))


@pytest.fixture
def file_stage(tmp_path: Path) -> Iterator[FileStage]:
    """Lend a stage with a file."""
    with spawning(tmp_path) as (spawner, upstream):
        yield FileStage(spawner, upstream, tmp_path)


@pytest.fixture(params=["new_mariadb", "new_postgresql"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerStage]:
    """Lend a stage with a server of its own, of each kind in turn."""
    new_server: Callable[[], Server] = request.getfixturevalue(request.param)
    with (
        spawning(tmp_path) as (spawner, upstream),
        new_server() as server,
        Trap(server.port) as trap,
    ):
        yield ServerStage(spawner, upstream, server, trap)


class Kills:
    """What came of kills: each is checked, followed by a refresh that works, and counted."""

    def __init__(self, stage: Stage, way: str, record: Record) -> None:
        """Begin with a whole set of data in the table."""
        self.stage = stage
        self.before = stage.prepare()
        self.counts: Counter[tuple[str, str, str, str]] = Counter()
        self._way = way
        self._rows: list[list[object]] = []
        record("kills", self._rows)

    @property
    def wanted(self) -> str:
        """Return which set the refresh to be killed brings: the one that is not in the table."""
        (other,) = (name for name in SETS if self.stage.sets[name] != self.before.data)
        return other

    def check(self, place: str, *, answered: bool) -> None:
        """Prove that the table holds the old set or the new one, and that the next refresh works.

        `place` is how far the refresh had come, as far as the database does not tell.
        """
        before, after = self.before, self.stage.state()
        outcome = "old" if after.rows == before.rows else "new"
        if outcome == "new":
            assert after.data == self.stage.sets[self.wanted]
            assert len(after.stamps) == 1
        assert not answered or outcome == "new"
        added = list(after.history.values())[len(before.history) :]
        assert list(after.history)[: len(before.history)] == list(before.history)
        assert len(added) <= 1
        assert added != ["SUCCEEDED"] or outcome == "new"
        lost = outcome == "new" and not added
        if after.held:
            assert after.lease[1] <= TIMEOUT + SPARE + 0.01
            self.stage.run_out()
        where = _place(place, before, after, answered=answered)
        history = "without its entry" if lost else "whole"
        self.counts[f"{self.stage.system}: {self._way}", where, outcome, history] += 1
        self._rows[:] = [[*key, times] for key, times in self.counts.items()]
        self.before = after
        self.before = self.stage.refreshed(self.wanted)


def _place(place: str, before: State, after: State, *, answered: bool) -> str:
    """Return how far a refresh had come, by what it said and by what it left."""
    left = "lease not yet taken"
    if len(after.history) > len(before.history):
        left = "history written, " + ("lease held" if after.held else "lease given back")
    elif after.rows != before.rows:
        left = "committed, " + ("answered" if answered else "not answered")
    elif after.lease[2] > before.lease[2]:
        left = "lease taken"
    return f"{place}: {left}"


def has_ended(child: Child) -> bool:
    """Tell whether a process has ended."""
    return child.has_ended


def place_of(child: Child) -> str:
    """Return how far a refresh said that it had come."""
    said = child.stdout
    reached = [phase for phase in PHASES if phase in said]
    return _PLACES[reached[-1] if reached else ""]


def test_process_on_a_file(file_stage: FileStage, record_property: Record) -> None:
    """The command `refresh` is killed at every phase, over SQLite."""
    kills = Kills(file_stage, "SIGKILL of refresh", record_property)
    chance = random.Random("sqlite")  # noqa: S311 - it decides nothing secret
    for turn in range(number(24)):
        child = file_stage.refresh(kills.wanted)
        child.wait_until_said(PHASES[turn % len(PHASES)])
        time.sleep(chance.random() ** 2 * 0.04)
        child.send(signal.SIGKILL)
        file_stage.spawner.wait(child)
        kills.check(place_of(child), answered="countries: " in child.stdout)


class Springing:
    """Traps that are sprung at moments that chance decides, anywhere in a refresh."""

    def __init__(self, stage: ServerStage, seed: str) -> None:
        """Measure a refresh."""
        self._trap = stage.trap
        self._chance = random.Random(f"{stage.system} {seed}")  # noqa: S311 - likewise
        self._length: dict[str, int] = {}
        self._turn = 0
        self.place = ""
        """How far the refresh had come when the trap was sprung."""

    def measure(self, whole: Callable[[], object]) -> None:
        """Do something that is to be broken off, and learn how much passes meanwhile."""
        self._trap.disarm()
        whole()
        self._length = dict(self._trap.passed)

    def set(self, child: Child, action: Callable[[], None]) -> None:
        """Set a trap: half of them within the upsert, half at any exchange with the server."""
        self._turn += 1
        if self._turn % 2:
            moment = Moment("there", self._chance.randint(1, self._length["there"]))
        else:
            piece = self._chance.randint(1, self._length["pieces"])
            moment = Moment("pieces", piece, self._chance.choice((0, 0.5, 1)))

        def spring() -> None:
            self.place = place_of(child)
            action()

        self.place = "not hit"
        self._trap.set(moment, spring)

    def wait(self, over: Callable[[], bool]) -> None:
        """Wait until the trap has been sprung, or that which it was set for is over."""
        end = time.monotonic() + PATIENCE
        while not (self._trap.sprung or over()):
            assert time.monotonic() < end
            time.sleep(0.001)
        self._trap.disarm()


def test_process_on_a_server(stage: ServerStage, record_property: Record) -> None:
    """The command `refresh` is killed when any number of bytes has passed."""
    kills = Kills(stage, "SIGKILL of refresh", record_property)
    springing = Springing(stage, "process")
    springing.measure(lambda: stage.refreshed(kills.wanted))
    kills.before = stage.state()
    for _ in range(number(16)):
        child = stage.refresh(kills.wanted)
        springing.set(child, partial(child.send, signal.SIGKILL))
        springing.wait(partial(has_ended, child))
        stage.spawner.wait(child)
        kills.check(springing.place, answered="countries: " in child.stdout)


def mutate(child: Child) -> httpx.Response | None:
    """Ask a server for a refresh, and return its answer, if there is one."""
    url = child.wait_until_said("(Ctrl-C stops)").split("http://")[1].split("/")[0].split(" ")[0]
    asked = {"query": "mutation { refreshCountries(force: true) { totalCountries } }"}
    try:
        return httpx.post(f"http://{url}/graphql", json=asked, trust_env=False, timeout=PATIENCE)
    except httpx.TransportError:
        return None


def test_server_that_refreshes(stage: ServerStage, record_property: Record) -> None:
    """A server is killed while it refreshes because a client asked, and another one goes on."""
    kills = Kills(stage, "SIGKILL of serve", record_property)
    springing = Springing(stage, "serve")

    def start() -> Child:
        child = stage.spawner.start("serve", PORT="0", **stage.settings(kills.wanted))
        child.wait_until_said("(Ctrl-C stops)")
        return child

    def whole() -> None:
        stage.trap.disarm()
        assert mutate(child) is not None

    child = start()
    springing.measure(whole)
    child.send(signal.SIGTERM)
    assert stage.spawner.wait(child) == 0
    kills.before = stage.state()
    for _ in range(number(5)):
        child = start()
        springing.set(child, partial(child.send, signal.SIGKILL))
        answer = mutate(child)
        springing.wait(lambda: True)
        child.send(signal.SIGKILL)
        stage.spawner.wait(child)
        kills.check("under way", answered=answer is not None)


def test_connection_is_cut(stage: ServerStage, record_property: Record) -> None:
    """The connection to the database is cut when any number of bytes has passed."""
    kills = Kills(stage, "cut connection", record_property)
    springing = Springing(stage, "cut")
    springing.measure(lambda: stage.refreshed(kills.wanted))
    kills.before = stage.state()
    for _ in range(number(10)):
        child = stage.refresh(kills.wanted)
        springing.set(child, lambda: None)
        code = stage.spawner.wait(child)
        stage.trap.disarm()
        kills.check(f"{springing.place}, exit code {code}", answered=code == 0)


def test_database_is_killed(stage: ServerStage, record_property: Record) -> None:
    """The database server is killed when any number of bytes has passed, and started again."""
    kills = Kills(stage, "SIGKILL of the database", record_property)
    springing = Springing(stage, "database")
    springing.measure(lambda: stage.refreshed(kills.wanted))
    kills.before = stage.state()
    for _ in range(number(4)):
        child = stage.refresh(kills.wanted)
        springing.set(child, stage.server.kill)
        springing.wait(partial(has_ended, child))
        stage.server.kill()
        stage.server.start()
        code = stage.spawner.wait(child)
        kills.check(f"{springing.place}, exit code {code}", answered=code == 0)
