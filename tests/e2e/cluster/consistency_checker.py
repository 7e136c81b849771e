"""Clients of replicas on a cluster that check every response, and a timeline of what they saw."""

import json
import math
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support import generation_data, http_client
from tests.support.db_servers.galera import Node
from tests.support.db_servers.group_replication import Member
from tests.support.processes import Process
from tests.support.wait import wait_until

_CLIENT_TIMEOUT = 100.0
"""Timeout of a client in seconds, longer than any response may take."""
DATABASE = "test_1"
"""Name of the first database that a node creates."""
_SELECT_COUNTS = "SELECT COUNT(*), COUNT(DISTINCT area_km2), COUNT(DISTINCT revision), MAX(revision) FROM countries"
_CHECK_TIMEOUT = 10.0
"""Seconds for a look at a node's table: one that was cut off or hangs does not answer."""
_REFRESH_INTERVAL = 2.0
"""Seconds between two refreshes of a client."""
_READ_INTERVAL = 0.2
"""Seconds between two reads of a client."""
VERSION_QUERY = "{ status { version } }"
REFRESH = "mutation { refreshCountries { id imageUrl } }"


@dataclass(frozen=True, slots=True)
class ServedData:
    """Data and history that a replica serves."""

    version: str
    etag: str
    body: bytes


@dataclass(frozen=True, slots=True)
class AcknowledgedRefresh:
    """A refresh that returned its report."""

    id: str
    revision: int


ClusterNode = Node | Member


@dataclass(slots=True)
class Replica:
    """A server on a node of the cluster, and what its clients received."""

    name: str
    process: Process
    node: ClusterNode
    read_count: int = 0
    slowest_read: float = 0
    slowest_refresh: float = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Number of refreshes by outcome: "ok" or an error code."""
    successes: list[tuple[float, float]] = field(default_factory=list)
    """Start and end of each successful refresh, by the monotonic clock."""
    acknowledged: list[AcknowledgedRefresh] = field(default_factory=list)
    peer: ClusterNode | None = None
    """Another node, which must have each acknowledged refresh at once."""
    violations: list[str] = field(default_factory=list)
    """Violations of consistency."""

    def read_served(self) -> ServedData:
        """Return version, ETag and body that it serves; the version may be newer than the body."""
        with self._client() as client:
            response = client.get("/graphql", params={"query": generation_data.QUERY})
            status = client.post("/graphql", json={"query": VERSION_QUERY}).json()
        return ServedData(status["data"]["status"]["version"], response.headers["ETag"], response.content)

    def refresh(self) -> str:
        """Refresh; return "ok" or the error's code."""
        started_at = time.monotonic()
        with self._client() as client:
            body = client.post("/graphql", json={"query": REFRESH}).json()
        self.slowest_refresh = max(self.slowest_refresh, time.monotonic() - started_at)
        if "errors" in body:
            outcome = str(body["errors"][0]["extensions"]["code"])
        else:
            self._record_acknowledged(body["data"]["refreshCountries"])
            outcome = "ok"
            self.successes.append((started_at, time.monotonic()))
        self.outcomes[outcome] += 1
        return outcome

    def read_until(self, stopped: threading.Event) -> None:
        """Read repeatedly over one connection, and check each response."""
        newest = 0
        with self._client() as client:
            while not stopped.wait(_READ_INTERVAL):
                started_at = time.monotonic()
                with self._recording_violations("a read"):
                    response = client.get("/graphql", params={"query": generation_data.QUERY})
                    assert response.status_code == 200, response.status_code
                    generation_data.parse_generation(response.content)
                    status = client.post("/graphql", json={"query": VERSION_QUERY}).json()
                    revision = int(status["data"]["status"]["version"].partition("-")[0])
                    assert revision >= newest, f"revision {revision} after {newest}"
                    newest = revision
                self.read_count += 1
                self.slowest_read = max(self.slowest_read, time.monotonic() - started_at)

    def refresh_until(self, stopped: threading.Event) -> None:
        """Refresh repeatedly."""
        while not stopped.wait(_REFRESH_INTERVAL):
            with self._recording_violations("a refresh"):
                if self.refresh() == "ok" and self.peer:
                    self._check_peer(self.peer)

    def check_table_until(self, stopped: threading.Event) -> None:
        """Check the node's own table repeatedly: it holds one refresh, never an older one."""
        newest = 0
        while not stopped.wait(_REFRESH_INTERVAL):
            with suppress(RuntimeError), self._recording_violations("the table"):  # it may be down
                revision = read_revision(self.node, timeout=_CHECK_TIMEOUT)
                assert revision >= newest, f"revision {revision} after {newest}"
                newest = revision

    def _check_peer(self, peer: ClusterNode) -> None:
        """Check that another node has the refresh just acknowledged."""
        with suppress(RuntimeError):  # it may be broken by now
            revision = read_revision(peer, caught_up=True, timeout=_CHECK_TIMEOUT)
            newest = self.acknowledged[-1].revision
            assert revision >= newest, f"{newest} was acknowledged, and elsewhere is {revision}"

    def _record_acknowledged(self, report: dict[str, Any]) -> None:
        match = re.search(r"summary-(\d+)-250(?:-[0-9a-f]{16})?\.png$", report["imageUrl"])
        assert match, report
        self.acknowledged.append(AcknowledgedRefresh(report["id"], int(match[1])))

    @contextmanager
    def _recording_violations(self, operation: str) -> Iterator[None]:
        try:
            yield
        except (AssertionError, httpx.HTTPError, json.JSONDecodeError) as error:
            self.violations.append(f"{operation} on {self.name}: {type(error).__name__} {error}")

    def _client(self) -> httpx.Client:
        return http_client.open_client(base_url=self.process.url, timeout=_CLIENT_TIMEOUT)


def read_revision(node: ClusterNode, *, caught_up: bool = False, timeout: float | None = None) -> int:
    """Return the revision that all rows of a node share, with `caught_up` once it has caught up.

    Raises:
        RuntimeError: The node is down, or took more than `timeout` seconds.
    """
    sync_statement = f"{node.catch_up_sql}; " if caught_up else ""
    output = node.execute(f"{sync_statement}{_SELECT_COUNTS}", DATABASE, timeout=timeout)
    rows, areas, revisions, newest = map(int, output.split("\t"))
    assert (rows, revisions) == (250, 1), f"{rows} rows of {revisions} refreshes"
    assert areas == 1, f"{areas} areas"
    return newest


@contextmanager
def running_clients(replicas: Sequence[Replica]) -> Iterator[None]:
    """Run clients that read, refresh and check the table of every replica."""
    stopped = threading.Event()
    threads = [
        threading.Thread(target=target, args=(stopped,))
        for replica in replicas
        for target in (replica.read_until, replica.refresh_until, replica.check_table_until)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


@dataclass(slots=True)
class Timeline:
    """Events, and what each replica's clients saw after each."""

    replicas: Sequence[Replica]
    _started_at: float = field(default_factory=time.monotonic)
    _previous_counts: list[tuple[int, Counter[str]]] = field(default_factory=list)

    def observe(
        self, event: str, seconds: float = 0, *, healthy_nodes: Sequence[ClusterNode], until_success: bool = False
    ) -> None:
        """Watch for a number of seconds after an event, and print what clients saw.

        With `until_success`, watch until a refresh that began after the event succeeds on every replica.
        """
        started_at = time.monotonic()
        self.set_healthy(healthy_nodes)
        time.sleep(seconds)
        if until_success:
            wait_until(
                lambda: all(_first_success(replica, started_at) for replica in self.replicas),
                f"no refresh after: {event}",
            )
        self._print(event, started_at)

    def set_healthy(self, nodes: Sequence[ClusterNode]) -> None:
        """Expect each refresh that is acknowledged from now on on another one of these nodes too, at once."""
        for replica in self.replicas:
            others = [node for node in nodes if node is not replica.node]
            replica.peer = others[0] if replica.node in nodes else None

    def _print(self, event: str, started_at: float) -> None:
        print(f"{started_at - self._started_at:6.1f} s  {event}")  # noqa: T201 - it is the record
        before = self._previous_counts or [(0, Counter[str]())] * len(self.replicas)
        self._previous_counts = [(replica.read_count, replica.outcomes.copy()) for replica in self.replicas]
        for replica, (reads, outcomes) in zip(self.replicas, before, strict=True):
            new_outcomes = replica.outcomes - outcomes
            summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(new_outcomes.items())) or "none"
            print(  # noqa: T201 - the record
                f"            {replica.name}: {replica.read_count - reads} reads, refreshes: "
                f"{summary}; first success after {_first_success(replica, started_at) or math.inf:.1f} s; "
                f"serves {replica.read_served().version}"
            )


def wait_until_consistent(replicas: Sequence[Replica], seconds: float) -> float:
    """Wait until all replicas serve the same, at most `seconds`; return the seconds it took."""
    started_at = time.monotonic()
    while True:
        seen = {replica.read_served() for replica in replicas}
        elapsed = time.monotonic() - started_at
        if len(seen) == 1 or elapsed > seconds:
            assert len(seen) == 1, [(served.version, served.etag) for served in seen]
            return elapsed
        time.sleep(0.02)


def _first_success(replica: Replica, event_at: float) -> float | None:
    """Return the seconds from an event to the end of the first successful refresh that began after it."""
    ends = (ended_at - event_at for started_at, ended_at in list(replica.successes) if started_at > event_at)
    return next(ends, None)
