"""Faults of database, source, network and process: the response, the table, and the recovery."""

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
from urllib.parse import urlsplit

import httpx
import pytest

from graphql_api.refresh.lease_session import LEASE_DURATION, WARM_CONNECTIONS
from tests.e2e.crash.byte_limit_proxy import ByteLimitProxy
from tests.e2e.crash.environment import CrashEnvironment, Row, ServerEnvironment, SQLiteEnvironment, running_fork_server
from tests.e2e.crash.fork_server import FolderForks, ForkedProcess
from tests.support import http_client
from tests.support.database import NEW_SERVERS
from tests.support.db_servers.process import DatabaseServer
from tests.support.fake_providers.server import COUNTRIES, HTML, RATES, FakeResponse, Upstream
from tests.support.refresh_service import rates_response
from tests.support.wait import WAIT_TIMEOUT, wait_until

HANGING = FakeResponse(hold_until=lambda: False)
MUTATION = b'{"query": "mutation { refreshCountries(force: true) { id } }"}'

LONG_TIMEOUTS = {"API_TIMEOUT": "60", "DATABASE_TIMEOUT": "60", "REFRESH_TIMEOUT": "60"}
"""Settings with which no timeout expires, however busy the machine is."""
PAUSED_SERVER_SETTINGS = {**LONG_TIMEOUTS, "LOG_SQL": "true"}

RecordProperty = Callable[[str, object], None]

pytestmark = pytest.mark.slow


class FaultEnvironment(ServerEnvironment):
    """A running server of the program, its sources, and a database server behind a proxy."""

    def __init__(
        self, fork_server: FolderForks, upstream: Upstream, server: DatabaseServer, proxy: ByteLimitProxy
    ) -> None:
        """Start the server."""
        super().__init__(fork_server, upstream, server, proxy)
        self._rate = 1.0
        assert fork_server.run("migrate", **self.settings("a"))[0] == 0
        self.program = self.start()
        # On a busy machine the first one may take longer than these short timeouts.
        wait_until(lambda: self.mutate() == "data")

    def settings(self, name: str) -> dict[str, str]:
        """Return settings with short timeouts, whatever `name` is."""
        del name
        return {
            "DATABASE_URL": self.url,
            "DATABASE_TIMEOUT": "1",
            "API_TIMEOUT": "2",
            "REFRESH_TIMEOUT": "3",
            "SNAPSHOT_POLL": "0.5",
            "STALE_AFTER": "1000000000",
            **self.upstream.environment,
        }

    def start(self, **changes: str) -> ForkedProcess:
        """Start a server of the program."""
        child = self.fork_server.start("serve", PORT="0", **{**self.settings("a"), **changes})
        child.wait_for_output("(Ctrl-C stops)")
        return child

    def publish_new_data(self) -> FakeResponse:
        """Change every row with a euro in the source of rates, and return its new response."""
        self._rate += 1
        self.upstream.set_responses("countries", FakeResponse(body=COUNTRIES))
        reply = rates_response(EUR=self._rate)
        self.upstream.set_responses("rates", reply)
        return reply

    def mutate(self) -> str:
        """Refresh; return "data" or the error's code."""
        return mutate(self.program)

    def table_state(self, before: list[Row]) -> str:
        """Return "old" if the rows are `before`, "new" if the new data is whole."""
        after = self.read_state()
        if after.rows == before:
            return "old"
        assert len(after.revision_stamps) == 1
        assert {row[9] for row in after.data if row[8] == "EUR"} <= {f"{self._rate:g}", f"{self._rate}"}
        return "new"

    def recover(self) -> float:
        """Refresh until it succeeds, and return the seconds until then."""
        started_at = time.monotonic()
        while self.mutate() != "data":
            assert time.monotonic() < started_at + WAIT_TIMEOUT
            time.sleep(0.05)
        elapsed = time.monotonic() - started_at
        assert self.table_state([]) == "new"
        return elapsed

    @property
    def is_lease_held(self) -> bool:
        """Return whether a process holds the lease."""
        return self.read_state().is_lease_held


def has_taken_lease(program: ForkedProcess) -> bool:
    """Return whether a new server has taken the lease: it has read the lease once more.

    It reads it on each connection when it starts. A server that is paused before it has read
    it again waits for the process that takes the lease then.
    """
    return program.stderr.count(": SELECT leases.refresh_id") > WARM_CONNECTIONS


def mutate(program: ForkedProcess) -> str:
    """Refresh on a server of the program; return "data" or the error's code."""
    try:
        body: dict[str, Any] = http_client.post(
            f"{program.url}/graphql", content=MUTATION, headers={"Content-Type": "application/json"}
        ).json()
    except httpx.TransportError:
        return "the connection ends"
    errors = body.get("errors")
    return str(errors[0]["extensions"]["code"]) if errors else "data"


@pytest.fixture(scope="module", params=NEW_SERVERS)
def fault_environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultEnvironment]:
    """Return an environment for all faults, with a server of each kind in turn."""
    new_server: Callable[[], DatabaseServer] = request.getfixturevalue(request.param)
    with (
        Upstream() as upstream,
        FolderForks(tmp_path_factory.mktemp("faults")) as fork_server,
        new_server() as server,
        ByteLimitProxy(server.port) as proxy,
    ):
        yield FaultEnvironment(fork_server, upstream, server, proxy)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and what it must lead to."""

    name: str
    begin: Callable[[FaultEnvironment], object]
    end: Callable[[FaultEnvironment], object]
    expected_outcome: str
    expected_table: str


def refuse(fault_environment: FaultEnvironment) -> None:
    """Refuse new connections, and cut open ones."""
    fault_environment.proxy.refuse()
    fault_environment.proxy.cut()


def hang(*, enabled: bool) -> Callable[[FaultEnvironment], None]:
    """Return a function that makes the network hang, or resume."""
    return lambda env: setattr(env.proxy, "hang", enabled)


def throttle(bytes_per_second: int | None) -> Callable[[FaultEnvironment], None]:
    """Return a function that limits the network's speed; None: no limit."""
    return lambda env: setattr(env.proxy, "bytes_per_second", bytes_per_second)


def cut_in_upsert(*, once: bool) -> Callable[[FaultEnvironment], None]:
    """Return a function that cuts connections within the upsert."""
    return lambda fault_environment: fault_environment.proxy.cut_after(to_server=20_000, once=once)


def set_rates_reply(reply: FakeResponse) -> Callable[[FaultEnvironment], None]:
    """Return a function that sets the response of the source of rates."""
    return lambda fault_environment: fault_environment.upstream.set_responses("rates", reply)


def do_nothing(fault_environment: FaultEnvironment) -> None:
    """Do nothing."""
    del fault_environment


DATABASE, SOURCE = "DATABASE_UNAVAILABLE", "SOURCE_UNAVAILABLE"
FAULTS = (
    Fault("database stopped", lambda env: env.server.stop(), lambda env: env.server.start(), DATABASE, "old"),
    Fault("database killed", lambda env: env.server.kill(), lambda env: env.server.start(), DATABASE, "old"),
    Fault("database hangs", lambda env: env.server.pause(), lambda env: env.server.resume(), DATABASE, "old"),
    Fault("database refuses", refuse, lambda env: env.proxy.accept(), DATABASE, "old"),
    Fault("network hangs", hang(enabled=True), hang(enabled=False), DATABASE, "old"),
    # Bytes on their way when the program gives up may still arrive.
    Fault("network drips", throttle(5000), throttle(None), DATABASE, "old or new"),
    Fault("connections cut before", lambda env: env.proxy.cut(), do_nothing, "data", "new"),
    Fault("cut in the upsert, once", cut_in_upsert(once=True), lambda env: env.proxy.cut_after(), "data", "new"),
    Fault("cut in the upsert, always", cut_in_upsert(once=False), lambda env: env.proxy.cut_after(), DATABASE, "old"),
    Fault("source down", set_rates_reply(FakeResponse(status=500)), do_nothing, SOURCE, "old"),
    Fault("source hangs", set_rates_reply(HANGING), do_nothing, SOURCE, "old"),
    Fault("source drips", set_rates_reply(FakeResponse(body=RATES, byte_delay=0.01)), do_nothing, SOURCE, "old"),
    Fault(
        "source cut", set_rates_reply(FakeResponse(body=RATES, cut_after=900, reset=True)), do_nothing, SOURCE, "old"
    ),
    Fault("source sends garbage", set_rates_reply(FakeResponse(body=HTML)), do_nothing, SOURCE, "old"),
)


def record_row(record: RecordProperty, fault_environment: FaultEnvironment, fault: str, *columns: object) -> None:
    """Record a row of the table: fault, response, table, recovery."""
    record("faults", [[fault_environment.database_kind, fault, *columns]])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault(fault_environment: FaultEnvironment, fault: Fault, record_property: RecordProperty) -> None:
    """The client gets the error, the table stays whole, and the next refresh succeeds."""
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
    """Start a refresh that holds the lease and waits for its source until the event is set."""
    released = threading.Event()
    reply = fault_environment.publish_new_data()
    fault_environment.upstream.set_responses("rates", FakeResponse(body=reply.body, hold_until=released.is_set))
    with ThreadPoolExecutor() as pool:
        try:
            future = pool.submit(mutate, program)
            wait_until(lambda: fault_environment.is_lease_held)
            yield future, released
        finally:
            released.set()


def test_client_goes_away(fault_environment: FaultEnvironment, record_property: RecordProperty) -> None:
    """A refresh whose client disconnects is finished, and its lease released."""
    released = threading.Event()
    reply = fault_environment.publish_new_data()
    fault_environment.upstream.set_responses("rates", FakeResponse(body=reply.body, hold_until=released.is_set))
    before = fault_environment.read_state()
    head = (
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(MUTATION)
    )
    url = urlsplit(fault_environment.program.url)
    with socket.create_connection((url.hostname, url.port)) as client:
        client.sendall(head + MUTATION)
        wait_until(lambda: fault_environment.is_lease_held)
    released.set()
    wait_until(lambda: not fault_environment.is_lease_held)
    assert fault_environment.table_state(before.rows) == "new"
    outcomes = list(fault_environment.read_state().history.values())
    assert outcomes == [*before.history.values(), "SUCCEEDED"]
    record_row(record_property, fault_environment, "client goes away", "(it has gone)", "new", "lease given back")


def wait_for_renewal(environment: CrashEnvironment) -> None:
    """Wait until the lease is renewed."""
    _, end, _ = environment.read_state().lease
    wait_until(lambda: environment.read_state().lease[1] > end)


def test_program_is_killed(fault_environment: FaultEnvironment, record_property: RecordProperty) -> None:
    """A program killed in a long refresh leaves the old table, and holds up others until its lease expires."""
    before = fault_environment.read_state().rows
    killed_server = fault_environment.start(**PAUSED_SERVER_SETTINGS)
    with refresh_in_progress(fault_environment, killed_server) as (future, _):
        wait_for_renewal(fault_environment)
        killed_server.send_signal(SIGKILL)
        killed_at, lease_end = time.monotonic(), fault_environment.read_state().lease[1]
        fault_environment.fork_server.wait(killed_server)
        outcome = future.result()
    table = fault_environment.table_state(before)
    assert (outcome, table) == ("the connection ends", "old")
    assert lease_end - time.time() <= LEASE_DURATION
    assert fault_environment.mutate() == "data"
    recovery_time = time.monotonic() - killed_at
    assert time.time() > lease_end
    assert recovery_time < 2 * LEASE_DURATION
    assert fault_environment.table_state([]) == "new"
    record_row(
        record_property,
        fault_environment,
        "program killed while it fetches",
        outcome,
        table,
        f"next refresh done {recovery_time:.1f} s after the kill",
    )


def test_writer_is_paused(fault_environment: FaultEnvironment, record_property: RecordProperty) -> None:
    """A writer paused beyond its lease changes nothing, and its client gets an error."""
    paused_server = fault_environment.start(**PAUSED_SERVER_SETTINGS)
    with refresh_in_progress(fault_environment, paused_server) as (future, released):
        wait_until(lambda: has_taken_lease(paused_server))
        paused_server.send_signal(SIGSTOP)
        try:
            fault_environment.expire_lease()
            # The other server fetches newer data from the same source.
            fault_environment.publish_new_data()
            settings = {**fault_environment.settings("a"), **LONG_TIMEOUTS}
            code, other = fault_environment.fork_server.run("refresh", "--force", **settings)
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
    """A writer over SQLite that is paused beyond its lease changes nothing either."""
    released = threading.Event()
    with running_fork_server(tmp_path) as (fork_server, upstream), ThreadPoolExecutor() as pool:
        environment = SQLiteEnvironment(fork_server, upstream, tmp_path)
        environment.prepare()
        upstream.set_responses("a/rates", FakeResponse(body=RATES, hold_until=released.is_set))
        paused_server = fork_server.start("serve", PORT="0", **{**environment.settings("a"), **PAUSED_SERVER_SETTINGS})
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
    row = [environment.database_kind, "writer paused beyond its lease", "REFRESH_IN_PROGRESS", "the other's"]
    record_property("faults", [[*row, "next refresh done at once"]])


def test_program_on_a_file_is_killed(tmp_path: Path, record_property: RecordProperty) -> None:
    """A process over SQLite that is killed in a long refresh holds up others until its lease expires too."""
    with running_fork_server(tmp_path) as (fork_server, upstream):
        environment = SQLiteEnvironment(fork_server, upstream, tmp_path)
        before = environment.prepare()
        upstream.set_responses("a/rates", HANGING)
        settings = {**environment.settings("a"), **PAUSED_SERVER_SETTINGS, "LOG_SQL": "false"}
        child = fork_server.start("refresh", "--force", **settings)
        wait_until(lambda: environment.read_state().is_lease_held)
        wait_for_renewal(environment)
        child.send_signal(SIGKILL)
        killed_at = time.monotonic()
        fork_server.wait(child)
        after = environment.run_refresh("b")
        recovery_time = time.monotonic() - killed_at
    assert after.lease[2] == before.lease[2] + 2
    assert recovery_time < 2 * LEASE_DURATION
    row = [environment.database_kind, "program killed while it fetches", "(none)", "old"]
    record_property("faults", [[*row, f"next refresh done {recovery_time:.1f} s after the kill"]])
