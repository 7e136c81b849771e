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

from graphql_api.refresh.lease_session import WARM_CONNECTIONS
from tests.e2e.crash.byte_limit_proxy import ByteLimitProxy
from tests.e2e.crash.environment import (
    Row,
    ServerEnvironment,
    SQLiteEnvironment,
    running_fork_server,
)
from tests.e2e.crash.fork_server import ForkedProcess, ForkServer
from tests.support.db_servers.process import DatabaseServer
from tests.support.fake_providers.server import COUNTRIES, HTML, RATES, FakeResponse, Upstream
from tests.support.refresh_service import rates_response
from tests.support.wait import WAIT_TIMEOUT, wait_until

HANGING = FakeResponse(hold_until=lambda: False)
MUTATION = b'{"query": "mutation { refreshCountries(force: true) { id } }"}'

RecordProperty = Callable[[str, object], None]

pytestmark = pytest.mark.slow


class FaultEnvironment(ServerEnvironment):
    """A server of the program that asks the upstream, and a database server behind a relay."""

    def __init__(
        self,
        fork_server: ForkServer,
        upstream: Upstream,
        server: DatabaseServer,
        proxy: ByteLimitProxy,
    ) -> None:
        """Start the program."""
        super().__init__(fork_server, upstream, server, proxy)
        self._rate = 1.0
        assert fork_server.run("migrate", **self.settings("a"))[0] == 0
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

    def start(self, **changes: str) -> ForkedProcess:
        """Start a server of the program."""
        child = self.fork_server.start("serve", PORT="0", **{**self.settings("a"), **changes})
        child.wait_for_output("(Ctrl-C stops)")
        return child

    def publish_new_data(self) -> FakeResponse:
        """Let the source have something new, in every row with a euro, and return it."""
        self._rate += 1
        self.upstream.set_responses("countries", FakeResponse(body=COUNTRIES))
        reply = rates_response(EUR=self._rate)
        self.upstream.set_responses("rates", reply)
        return reply

    def mutate(self) -> str:
        """Ask for a refresh, and return "data", or the code of the error."""
        return mutate(self.program)

    def table_state(self, before: list[Row]) -> str:
        """Tell whether the table is the old one, or has the new data whole."""
        after = self.read_state()
        if after.rows == before:
            return "old"
        assert len(after.revision_stamps) == 1
        assert {row[9] for row in after.data if row[8] == "EUR"} <= {
            f"{self._rate:g}",
            f"{self._rate}",
        }
        return "new"

    def recover(self) -> float:
        """Refresh until it succeeds, and return how many seconds that took."""
        started_at = time.monotonic()
        while self.mutate() != "data":
            assert time.monotonic() < started_at + WAIT_TIMEOUT
            time.sleep(0.05)
        elapsed = time.monotonic() - started_at
        assert self.table_state([]) == "new"
        return elapsed

    @property
    def is_lease_held(self) -> bool:
        """Tell whether somebody has the lease."""
        return self.read_state().is_lease_held


def has_taken_lease(program: ForkedProcess) -> bool:
    """Tell whether a new server has taken the lease: it has looked once more whose it is.

    It looked over each of its connections when it started. If it is paused before it has looked,
    it waits for whoever takes the lease then.
    """
    return program.stderr.count(": SELECT leases.refresh_id") > WARM_CONNECTIONS


def address_of(program: ForkedProcess) -> tuple[str, int]:
    """Return where a server of the program listens."""
    host, port = program.stderr.split("http://")[1].split()[0].split("/")[0].split(":")
    return host, int(port)


def mutate(program: ForkedProcess) -> str:
    """Ask a server of the program for a refresh; return "data", or the code of the error."""
    host, port = address_of(program)
    try:
        body: dict[str, Any] = httpx.post(
            f"http://{host}:{port}/graphql",
            content=MUTATION,
            headers={"Content-Type": "application/json"},
            trust_env=False,
            timeout=WAIT_TIMEOUT,
        ).json()
    except httpx.TransportError:
        return "the connection ends"
    errors = body.get("errors")
    return str(errors[0]["extensions"]["code"]) if errors else "data"


@pytest.fixture(scope="module", params=["new_mariadb", "new_postgresql"])
def fault_environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultEnvironment]:
    """Lend the ground for one fault after the other, on a server of each kind in turn."""
    new_server: Callable[[], DatabaseServer] = request.getfixturevalue(request.param)
    with (
        Upstream() as upstream,
        ForkServer(tmp_path_factory.mktemp("faults")) as fork_server,
        new_server() as server,
        ByteLimitProxy(server.port) as proxy,
    ):
        yield FaultEnvironment(fork_server, upstream, server, proxy)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: how it begins and ends, and what it must lead to."""

    name: str
    begin: Callable[[FaultEnvironment], object]
    end: Callable[[FaultEnvironment], object]
    expected_outcome: str
    expected_table: str


def refuse(fault_environment: FaultEnvironment) -> None:
    """Refuse connections, and cut those that there are."""
    fault_environment.proxy.refuse()
    fault_environment.proxy.cut()


def hang(*, enabled: bool) -> Callable[[FaultEnvironment], None]:
    """Return what makes the network hang, or go on."""
    return lambda fault_environment: setattr(fault_environment.proxy, "hang", enabled)


def throttle(bytes_per_second: int | None) -> Callable[[FaultEnvironment], None]:
    """Return what makes the network slow, or quick again."""
    return lambda fault_environment: setattr(
        fault_environment.proxy, "bytes_per_second", bytes_per_second
    )


def cut_in_upsert(*, once: bool) -> Callable[[FaultEnvironment], None]:
    """Return what cuts connections when a part of the upsert has passed."""
    return lambda fault_environment: fault_environment.proxy.cut_after(to_server=20_000, once=once)


def set_rates_reply(reply: FakeResponse) -> Callable[[FaultEnvironment], None]:
    """Return what makes the source of rates answer so."""
    return lambda fault_environment: fault_environment.upstream.set_responses("rates", reply)


def do_nothing(fault_environment: FaultEnvironment) -> None:
    """Do nothing."""
    del fault_environment


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
    Fault("database refuses", refuse, lambda g: g.proxy.accept(), DATABASE, "old"),
    Fault("network hangs", hang(enabled=True), hang(enabled=False), DATABASE, "old"),
    # What is on its way when the program gives up may still arrive.
    Fault("network drips", throttle(5000), throttle(None), DATABASE, "old or new"),
    Fault("connections cut before", lambda g: g.proxy.cut(), do_nothing, "data", "new"),
    Fault(
        "cut in the upsert, once",
        cut_in_upsert(once=True),
        lambda g: g.proxy.cut_after(),
        "data",
        "new",
    ),
    Fault(
        "cut in the upsert, always",
        cut_in_upsert(once=False),
        lambda g: g.proxy.cut_after(),
        DATABASE,
        "old",
    ),
    Fault("source down", set_rates_reply(FakeResponse(status=500)), do_nothing, SOURCE, "old"),
    Fault("source hangs", set_rates_reply(HANGING), do_nothing, SOURCE, "old"),
    Fault(
        "source drips",
        set_rates_reply(FakeResponse(body=RATES, byte_delay=0.01)),
        do_nothing,
        SOURCE,
        "old",
    ),
    Fault(
        "source cut",
        set_rates_reply(FakeResponse(body=RATES, cut_after=900, reset=True)),
        do_nothing,
        SOURCE,
        "old",
    ),
    Fault(
        "source sends garbage", set_rates_reply(FakeResponse(body=HTML)), do_nothing, SOURCE, "old"
    ),
)


def record_row(
    record: RecordProperty, fault_environment: FaultEnvironment, fault: str, *columns: object
) -> None:
    """Record a line of the table: the fault, the answer, the table, the time to recover."""
    record("faults", [[fault_environment.database_kind, fault, *columns]])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault(
    fault_environment: FaultEnvironment, fault: Fault, record_property: RecordProperty
) -> None:
    """The client is told, the table is the old one or the new one, and the next refresh works."""
    fault_environment.publish_new_data()
    before = fault_environment.read_state().rows
    with ExitStack() as stack:
        fault.begin(fault_environment)
        stack.callback(fault.end, fault_environment)
        started_at = time.monotonic()
        outcome = fault_environment.mutate()
        elapsed = time.monotonic() - started_at
    assert outcome == fault.expected_outcome
    table = fault_environment.table_state(before)
    assert table in fault.expected_table.split(" or ")
    fault_environment.publish_new_data()
    recovery_time = fault_environment.recover()
    record_row(
        record_property,
        fault_environment,
        fault.name,
        f"{outcome} after {elapsed:.1f} s",
        fault.expected_table,
        f"next refresh done in {recovery_time:.1f} s",
    )


@contextmanager
def refresh_in_progress(
    fault_environment: FaultEnvironment, program: ForkedProcess
) -> Iterator[tuple[Future[str], threading.Event]]:
    """Begin a refresh that has the lease and waits for its source, until the event is set."""
    released = threading.Event()
    reply = fault_environment.publish_new_data()
    fault_environment.upstream.set_responses(
        "rates", FakeResponse(body=reply.body, hold_until=released.is_set)
    )
    with ThreadPoolExecutor() as pool:
        try:
            future = pool.submit(mutate, program)
            wait_until(lambda: fault_environment.is_lease_held)
            yield future, released
        finally:
            released.set()


def test_client_goes_away(
    fault_environment: FaultEnvironment, record_property: RecordProperty
) -> None:
    """A client that goes away in mid-mutation changes nothing: it is done, the lease is freed."""
    released = threading.Event()
    reply = fault_environment.publish_new_data()
    fault_environment.upstream.set_responses(
        "rates", FakeResponse(body=reply.body, hold_until=released.is_set)
    )
    before = fault_environment.read_state()
    head = (
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(MUTATION)
    )
    with socket.create_connection(address_of(fault_environment.program)) as client:
        client.sendall(head + MUTATION)
        wait_until(lambda: fault_environment.is_lease_held)
    released.set()
    wait_until(lambda: not fault_environment.is_lease_held)
    assert fault_environment.table_state(before.rows) == "new"
    outcomes = list(fault_environment.read_state().history.values())
    assert outcomes == [*before.history.values(), "SUCCEEDED"]
    record_row(
        record_property,
        fault_environment,
        "client goes away",
        "(it has gone)",
        "new",
        "lease given back",
    )


def test_program_is_killed(
    fault_environment: FaultEnvironment, record_property: RecordProperty
) -> None:
    """A program that is killed while it fetches leaves the old table, and a lease that runs out."""
    before = fault_environment.read_state().rows
    with refresh_in_progress(fault_environment, fault_environment.program) as (future, _):
        fault_environment.program.send_signal(SIGKILL)
        fault_environment.fork_server.wait(fault_environment.program)
        outcome = future.result()
    table = fault_environment.table_state(before)
    assert (outcome, table) == ("the connection ends", "old")
    started_at = time.monotonic()
    fault_environment.program = fault_environment.start()
    with ThreadPoolExecutor() as pool:
        next_refresh = pool.submit(fault_environment.mutate)
        time.sleep(0.5)
        assert not next_refresh.done()
        assert fault_environment.read_state().lease[1] <= 3 + 60.01
        fault_environment.expire_lease()
        assert next_refresh.result() == "data"
    recovery_time = time.monotonic() - started_at
    assert fault_environment.table_state([]) == "new"
    record_row(
        record_property,
        fault_environment,
        "program killed while it fetches",
        outcome,
        table,
        f"{recovery_time:.1f} s with the start, from when the lease has run out (63 s at most)",
    )


def test_writer_is_paused(
    fault_environment: FaultEnvironment, record_property: RecordProperty
) -> None:
    """A writer that is paused beyond its lease changes nothing, and its client is told so."""
    paused_server = fault_environment.start(API_TIMEOUT="60", REFRESH_TIMEOUT="60", LOG_SQL="true")
    with refresh_in_progress(fault_environment, paused_server) as (future, released):
        wait_until(lambda: has_taken_lease(paused_server))
        paused_server.send_signal(SIGSTOP)
        try:
            fault_environment.expire_lease()
            # The other one asks the same source, which has something newer by now.
            fault_environment.publish_new_data()
            code, other = fault_environment.fork_server.run(
                "refresh", "--force", **fault_environment.settings("a")
            )
            assert (code, other.stderr) == (0, "")
            assert fault_environment.table_state([]) == "new"
            before = fault_environment.read_state()
        finally:
            paused_server.send_signal(SIGCONT)
        released.set()
        outcome = future.result()
    assert outcome == "REFRESH_IN_PROGRESS"
    wait_until(lambda: len(fault_environment.read_state().history) == len(before.history) + 1)
    after = fault_environment.read_state()
    assert (after.rows, after.lease) == (before.rows, before.lease)
    paused_server.send_signal(SIGKILL)
    fault_environment.fork_server.wait(paused_server)
    fault_environment.publish_new_data()
    recovery_time = fault_environment.recover()
    record_row(
        record_property,
        fault_environment,
        "writer paused beyond its lease",
        outcome,
        "the other's",
        f"next refresh done in {recovery_time:.1f} s",
    )


def test_writer_on_a_file_is_paused(tmp_path: Path, record_property: RecordProperty) -> None:
    """The same over SQLite."""
    released = threading.Event()
    with running_fork_server(tmp_path) as (fork_server, upstream), ThreadPoolExecutor() as pool:
        environment = SQLiteEnvironment(fork_server, upstream, tmp_path)
        environment.prepare()
        upstream.set_responses("a/rates", FakeResponse(body=RATES, hold_until=released.is_set))
        long_timeouts = {"API_TIMEOUT": "60", "REFRESH_TIMEOUT": "60", "LOG_SQL": "true"}
        paused_server = fork_server.start(
            "serve", PORT="0", **{**environment.settings("a"), **long_timeouts}
        )
        paused_server.wait_for_output("(Ctrl-C stops)")
        future = pool.submit(mutate, paused_server)
        upstream.wait_for_requests("a/rates", 2)
        wait_until(lambda: has_taken_lease(paused_server))
        paused_server.send_signal(SIGSTOP)
        environment.expire_lease()
        before = environment.run_refresh("b")
        paused_server.send_signal(SIGCONT)
        released.set()
        assert future.result() == "REFRESH_IN_PROGRESS"
        wait_until(lambda: len(environment.read_state().history) > len(before.history))
        after = environment.read_state()
        assert (after.rows, after.lease) == (before.rows, before.lease)
        environment.run_refresh("a")
    row = [
        environment.database_kind,
        "writer paused beyond its lease",
        "REFRESH_IN_PROGRESS",
        "the other's",
    ]
    record_property("faults", [[*row, "next refresh done at once"]])
