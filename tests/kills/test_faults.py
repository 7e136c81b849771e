"""Every fault of database, source, network and process: what is answered, kept, and how it ends."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

import httpx
import pytest

from graphql_api.refresh.session import CONNECTIONS
from tests.kills.spawner import Child, Spawner
from tests.kills.stage import FileStage, Row, ServerStage, spawning
from tests.kills.trap import Trap
from tests.refresh.running import rating
from tests.servers.process import Server
from tests.upstream.server import COUNTRIES, HTML, RATES, Answer, Upstream

PATIENCE = 60.0
"""Seconds after which a wait is a failure of the test; no test that passes waits so long."""
HELD = Answer(until=lambda: False)
MUTATION = b'{"query": "mutation { refreshCountries(force: true) { id } }"}'

Record = Callable[[str, object], None]

pytestmark = pytest.mark.slow


class Ground(ServerStage):
    """A server of the program that asks the upstream, and a database server behind a relay."""

    def __init__(self, spawner: Spawner, upstream: Upstream, server: Server, trap: Trap) -> None:
        """Start the program."""
        super().__init__(spawner, upstream, server, trap)
        self._rate = 1.0
        assert spawner.run("migrate", **self.settings("a"))[0] == 0
        self.program = self.start()
        assert self.mutate() == "data"

    def settings(self, name: str) -> dict[str, str]:
        """Return settings with little patience; the name of a set means nothing here."""
        del name
        return {
            "DATABASE_URL": self.url,
            "DATABASE_TIMEOUT": "1",
            "API_TIMEOUT": "2",
            "REFRESH_TIMEOUT": "3",
            "SNAPSHOT_POLL": "0.5",
            "STALE_AFTER": "1000000000",
            "COUNTRIES_SOURCES": f"geonames={self.upstream.countries_url},bundled",
            "RATES_SOURCES": f"er-api={self.upstream.rates_url},bundled",
        }

    def start(self, **changes: str) -> Child:
        """Start a server of the program."""
        child = self.spawner.start("serve", PORT="0", **{**self.settings("a"), **changes})
        child.wait_until_said("(Ctrl-C stops)")
        return child

    def new_data(self) -> Answer:
        """Let the source have something new, in every row with a euro, and return it."""
        self._rate += 1
        self.upstream.answer("countries", Answer(body=COUNTRIES))
        answer = rating(EUR=self._rate)
        self.upstream.answer("rates", answer)
        return answer

    def mutate(self) -> str:
        """Ask for a refresh, and return "data", or the code of the error."""
        return mutate(self.program)

    def holds(self, before: list[Row]) -> str:
        """Tell whether the table is the old one, or has the new data whole."""
        after = self.state()
        if after.rows == before:
            return "old"
        assert len(after.stamps) == 1
        assert {row[9] for row in after.data if row[8] == "EUR"} <= {
            f"{self._rate:g}",
            f"{self._rate}",
        }
        return "new"

    def recover(self) -> float:
        """Refresh until it succeeds, and return how many seconds that took."""
        begun = time.monotonic()
        while self.mutate() != "data":
            assert time.monotonic() < begun + PATIENCE
            time.sleep(0.05)
        took = time.monotonic() - begun
        assert self.holds([]) == "new"
        return took

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Wait until something has come true."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end
            time.sleep(0.01)

    @property
    def leased(self) -> bool:
        """Tell whether somebody has the lease."""
        return self.state().held


def opened(late: Child) -> bool:
    """Tell whether a new server has taken the lease: it has looked once more whose it is.

    It looked over each of its connections when it started. If it is paused before it has looked,
    it waits for whoever takes the lease then.
    """
    return late.stderr.count(": SELECT leases.refresh_id") > CONNECTIONS


def address(program: Child) -> tuple[str, int]:
    """Return where a server of the program listens."""
    host, port = program.stderr.split("http://")[1].split()[0].split("/")[0].split(":")
    return host, int(port)


def mutate(program: Child) -> str:
    """Ask a server of the program for a refresh; return "data", or the code of the error."""
    host, port = address(program)
    try:
        answer: dict[str, Any] = httpx.post(
            f"http://{host}:{port}/graphql",
            content=MUTATION,
            headers={"Content-Type": "application/json"},
            trust_env=False,
            timeout=PATIENCE,
        ).json()
    except httpx.TransportError:
        return "the connection ends"
    errors = answer.get("errors")
    return str(errors[0]["extensions"]["code"]) if errors else "data"


@pytest.fixture(scope="module", params=["new_mariadb", "new_postgresql"])
def ground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    """Lend the ground for one fault after the other, on a server of each kind in turn."""
    new_server: Callable[[], Server] = request.getfixturevalue(request.param)
    with (
        Upstream() as upstream,
        Spawner(tmp_path_factory.mktemp("faults")) as spawner,
        new_server() as server,
        Trap(server.port) as trap,
    ):
        yield Ground(spawner, upstream, server, trap)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: how it begins and ends, and what it must lead to."""

    name: str
    begin: Callable[[Ground], object]
    end: Callable[[Ground], object]
    answer: str
    table: str


def refuse(ground: Ground) -> None:
    """Refuse connections, and cut those that there are."""
    ground.trap.refuse()
    ground.trap.cut()


def hang(*, hangs: bool) -> Callable[[Ground], None]:
    """Return what makes the network hang, or go on."""
    return lambda ground: setattr(ground.trap, "hang", hangs)


def drip(bytes_in_a_second: int | None) -> Callable[[Ground], None]:
    """Return what makes the network slow, or quick again."""
    return lambda ground: setattr(ground.trap, "drip", bytes_in_a_second)


def cut_in_the_upsert(*, once: bool) -> Callable[[Ground], None]:
    """Return what cuts connections when a part of the upsert has passed."""
    return lambda ground: ground.trap.cut_after(to_server=20_000, once=once)


def source(answer: Answer) -> Callable[[Ground], None]:
    """Return what makes the source of rates answer so."""
    return lambda ground: ground.upstream.answer("rates", answer)


def nothing(ground: Ground) -> None:
    """Do nothing."""
    del ground


DATABASE, SOURCE = "DATABASE_UNAVAILABLE", "SOURCE_UNAVAILABLE"
FAULTS = (
    Fault(
        "database stopped", lambda g: g.server.stop(), lambda g: g.server.start(), DATABASE, "old"
    ),
    Fault(
        "database killed", lambda g: g.server.kill(), lambda g: g.server.start(), DATABASE, "old"
    ),
    Fault(
        "database hangs", lambda g: g.server.pause(), lambda g: g.server.resume(), DATABASE, "old"
    ),
    Fault("database refuses", refuse, lambda g: g.trap.accept(), DATABASE, "old"),
    Fault("network hangs", hang(hangs=True), hang(hangs=False), DATABASE, "old"),
    # What is on its way when the program gives up may still arrive.
    Fault("network drips", drip(5000), drip(None), DATABASE, "old or new"),
    Fault("connections cut before", lambda g: g.trap.cut(), nothing, "data", "new"),
    Fault(
        "cut in the upsert, once",
        cut_in_the_upsert(once=True),
        lambda g: g.trap.cut_after(),
        "data",
        "new",
    ),
    Fault(
        "cut in the upsert, always",
        cut_in_the_upsert(once=False),
        lambda g: g.trap.cut_after(),
        DATABASE,
        "old",
    ),
    Fault("source down", source(Answer(status=500)), nothing, SOURCE, "old"),
    Fault("source hangs", source(HELD), nothing, SOURCE, "old"),
    Fault("source drips", source(Answer(body=RATES, drip=0.01)), nothing, SOURCE, "old"),
    Fault("source cut", source(Answer(body=RATES, cut=900, reset=True)), nothing, SOURCE, "old"),
    Fault("source sends garbage", source(Answer(body=HTML)), nothing, SOURCE, "old"),
)


def tell(record: Record, ground: Ground, fault: str, *columns: object) -> None:
    """Record a line of the table: the fault, the answer, the table, the time to recover."""
    record("faults", [[ground.system, fault, *columns]])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault(ground: Ground, fault: Fault, record_property: Record) -> None:
    """The client is told, the table is the old one or the new one, and the next refresh works."""
    ground.new_data()
    before = ground.state().rows
    with ExitStack() as stack:
        fault.begin(ground)
        stack.callback(fault.end, ground)
        begun = time.monotonic()
        answer = ground.mutate()
        took = time.monotonic() - begun
    assert answer == fault.answer
    table = ground.holds(before)
    assert table in fault.table.split(" or ")
    ground.new_data()
    seconds = ground.recover()
    tell(
        record_property,
        ground,
        fault.name,
        f"{answer} after {took:.1f} s",
        fault.table,
        f"next refresh done in {seconds:.1f} s",
    )


@contextmanager
def under_way(ground: Ground, program: Child) -> Iterator[tuple[Future[str], threading.Event]]:
    """Begin a refresh that has the lease and waits for its source, until the event is set."""
    released = threading.Event()
    answer = ground.new_data()
    ground.upstream.answer("rates", Answer(body=answer.body, until=released.is_set))
    with ThreadPoolExecutor() as pool:
        try:
            answered = pool.submit(mutate, program)
            ground.wait_until(lambda: ground.leased)
            yield answered, released
        finally:
            released.set()


def test_client_goes_away(ground: Ground, record_property: Record) -> None:
    """A client that goes away in mid-mutation changes nothing: it is done, the lease is freed."""
    released = threading.Event()
    answer = ground.new_data()
    ground.upstream.answer("rates", Answer(body=answer.body, until=released.is_set))
    before = ground.state()
    head = (
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(MUTATION)
    )
    with socket.create_connection(address(ground.program)) as client:
        client.sendall(head + MUTATION)
        ground.wait_until(lambda: ground.leased)
    released.set()
    ground.wait_until(lambda: not ground.leased)
    assert ground.holds(before.rows) == "new"
    outcomes = list(ground.state().history.values())
    assert outcomes == [*before.history.values(), "SUCCEEDED"]
    tell(record_property, ground, "client goes away", "(it has gone)", "new", "lease given back")


def test_program_is_killed(ground: Ground, record_property: Record) -> None:
    """A program that is killed while it fetches leaves the old table, and a lease that runs out."""
    before = ground.state().rows
    with under_way(ground, ground.program) as (answered, _):
        ground.program.send(SIGKILL)
        ground.spawner.wait(ground.program)
        answer = answered.result()
    table = ground.holds(before)
    assert (answer, table) == ("the connection ends", "old")
    begun = time.monotonic()
    ground.program = ground.start()
    with ThreadPoolExecutor() as pool:
        following = pool.submit(ground.mutate)
        time.sleep(0.5)
        assert not following.done()
        assert ground.state().lease[1] <= 3 + 60.01
        ground.run_out()
        assert following.result() == "data"
    seconds = time.monotonic() - begun
    assert ground.holds([]) == "new"
    tell(
        record_property,
        ground,
        "program killed while it fetches",
        answer,
        table,
        f"{seconds:.1f} s with the start, from when the lease has run out (63 s at most)",
    )


def test_writer_is_paused(ground: Ground, record_property: Record) -> None:
    """A writer that is paused beyond its lease changes nothing, and its client is told so."""
    late = ground.start(API_TIMEOUT="60", REFRESH_TIMEOUT="60", LOG_SQL="true")
    with under_way(ground, late) as (answered, released):
        ground.wait_until(lambda: opened(late))
        late.send(SIGSTOP)
        try:
            ground.run_out()
            # The other one asks the same source, which has something newer by now.
            ground.new_data()
            code, other = ground.spawner.run("refresh", "--force", **ground.settings("a"))
            assert (code, other.stderr) == (0, "")
            assert ground.holds([]) == "new"
            before = ground.state()
        finally:
            late.send(SIGCONT)
        released.set()
        answer = answered.result()
    assert answer == "REFRESH_IN_PROGRESS"
    ground.wait_until(lambda: len(ground.state().history) == len(before.history) + 1)
    after = ground.state()
    assert (after.rows, after.lease) == (before.rows, before.lease)
    late.send(SIGKILL)
    ground.spawner.wait(late)
    ground.new_data()
    seconds = ground.recover()
    tell(
        record_property,
        ground,
        "writer paused beyond its lease",
        answer,
        "the other's",
        f"next refresh done in {seconds:.1f} s",
    )


def test_writer_on_a_file_is_paused(tmp_path: Path, record_property: Record) -> None:
    """The same over SQLite."""
    released = threading.Event()
    with spawning(tmp_path) as (spawner, upstream), ThreadPoolExecutor() as pool:
        stage = FileStage(spawner, upstream, tmp_path)
        stage.prepare()
        upstream.answer("a/rates", Answer(body=RATES, until=released.is_set))
        patient = {"API_TIMEOUT": "60", "REFRESH_TIMEOUT": "60", "LOG_SQL": "true"}
        late = spawner.start("serve", PORT="0", **{**stage.settings("a"), **patient})
        late.wait_until_said("(Ctrl-C stops)")
        answered = pool.submit(mutate, late)
        upstream.wait_until_asked("a/rates", 2)
        end = time.monotonic() + PATIENCE
        while not opened(late):
            assert time.monotonic() < end
            time.sleep(0.01)
        late.send(SIGSTOP)
        stage.run_out()
        before = stage.refreshed("b")
        late.send(SIGCONT)
        released.set()
        assert answered.result() == "REFRESH_IN_PROGRESS"
        while len((after := stage.state()).history) == len(before.history):
            assert time.monotonic() < end
            time.sleep(0.01)
        assert (after.rows, after.lease) == (before.rows, before.lease)
        stage.refreshed("a")
    row = [stage.system, "writer paused beyond its lease", "REFRESH_IN_PROGRESS", "the other's"]
    record_property("faults", [[*row, "next refresh done at once"]])
