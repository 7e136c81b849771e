"""Clients of replicas on a cluster, who judge every answer, and the timeline of what they saw."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests import generations
from tests.cli.running import Process
from tests.servers.galera import Node

_PATIENCE = 100.0
"""Seconds that a client waits for an answer; none is to take so long."""
DATABASE = "test_1"
"""The first that is made."""
_COUNTS = (
    "SELECT COUNT(*), COUNT(DISTINCT population), COUNT(DISTINCT revision), MAX(revision) "
    "FROM countries"
)
_PAUSE = 0.3
"""Seconds from the answer of a refresh to the next one."""
VERSION = "{ status { version } }"
REFRESH = "mutation { refreshCountries { id imageUrl } }"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a replica serves."""

    version: str
    etag: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A refresh that was answered with its report."""

    id: str
    revision: int


@dataclass(slots=True)
class Replica:
    """A server of ours on a node of the cluster, and what its clients have had from it."""

    name: str
    process: Process
    node: Node
    reads: int = 0
    slowest_read: float = 0
    slowest_refresh: float = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """How often a refresh was acknowledged, or refused with which code."""
    acknowledged: list[Acknowledged] = field(default_factory=list)
    witness: Node | None = None
    """Another node, which is to have each acknowledged refresh as soon as it is acknowledged."""
    wrong: list[str] = field(default_factory=list)
    """What must not be."""

    def seen(self) -> Seen:
        """Return what it serves now; the version is that of the rows, or of the ones after."""
        with self._client() as client:
            answer = client.get("/graphql", params={"query": generations.QUERY})
            status = client.post("/graphql", json={"query": VERSION}).json()
        return Seen(status["data"]["status"]["version"], answer.headers["ETag"], answer.content)

    def refresh(self) -> str:
        """Ask for a refresh, and return how that was answered: "ok", or a code."""
        begun = time.monotonic()
        with self._client() as client:
            answer = client.post("/graphql", json={"query": REFRESH}).json()
        self.slowest_refresh = max(self.slowest_refresh, time.monotonic() - begun)
        if "errors" in answer:
            outcome = str(answer["errors"][0]["extensions"]["code"])
        else:
            self._note(answer["data"]["refreshCountries"])
            outcome = "ok"
        self.outcomes[outcome] += 1
        return outcome

    def read_until(self, stopped: threading.Event) -> None:
        """Read again and again, over one connection, and judge each answer."""
        newest = 0
        with self._client() as client:
            while not stopped.wait(0.02):
                begun = time.monotonic()
                with self._judged("a read"):
                    answer = client.get("/graphql", params={"query": generations.QUERY})
                    assert answer.status_code == 200, answer.status_code
                    generations.of(answer.content)
                    status = client.post("/graphql", json={"query": VERSION}).json()
                    revision = int(status["data"]["status"]["version"].partition("-")[0])
                    assert revision >= newest, f"revision {revision} after {newest}"
                    newest = revision
                self.reads += 1
                self.slowest_read = max(self.slowest_read, time.monotonic() - begun)

    def refresh_until(self, stopped: threading.Event) -> None:
        """Refresh again and again."""
        while not stopped.wait(_PAUSE):
            with self._judged("a refresh"):
                if self.refresh() == "ok" and self.witness:
                    self._ask(self.witness)

    def look_until(self, stopped: threading.Event) -> None:
        """Look at the node's own table again and again: it is one refresh, never an older one."""
        newest = 0
        while not stopped.wait(0.5):
            with suppress(RuntimeError), self._judged("the table"):  # it may be down
                revision = revision_of(self.node)
                assert revision >= newest, f"revision {revision} after {newest}"
                newest = revision

    def _ask(self, witness: Node) -> None:
        """Ask another node for what was just acknowledged."""
        with suppress(RuntimeError):  # it may be broken by now
            revision = revision_of(witness, caught_up=True)
            newest = self.acknowledged[-1].revision
            assert revision >= newest, f"{newest} was acknowledged, and elsewhere is {revision}"

    def _note(self, report: dict[str, Any]) -> None:
        found = re.search(r"summary-(\d+)-250\.png$", report["imageUrl"])
        assert found, report
        self.acknowledged.append(Acknowledged(report["id"], int(found[1])))

    @contextmanager
    def _judged(self, what: str) -> Iterator[None]:
        try:
            yield
        except (AssertionError, httpx.HTTPError, json.JSONDecodeError) as error:
            self.wrong.append(f"{what} on {self.name}: {type(error).__name__} {error}")

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.process.url, timeout=_PATIENCE, trust_env=False)


def revision_of(node: Node, *, caught_up: bool = False) -> int:
    """Return the one revision that all rows of a node have, once it has caught up if need be."""
    waits = "SET SESSION wsrep_sync_wait = 1; " if caught_up else ""
    counted = node.execute(f"{waits}{_COUNTS}", DATABASE)
    rows, populations, revisions, newest = map(int, counted.split("\t"))
    assert (rows, revisions) == (250, 1), f"{rows} rows of {revisions} refreshes"
    assert populations == 1, f"{populations} populations"
    return newest


@contextmanager
def watched(replicas: Sequence[Replica]) -> Iterator[None]:
    """Let clients read, refresh and look on every replica while the context lasts."""
    stopped = threading.Event()
    threads = [
        threading.Thread(target=work, args=(stopped,))
        for replica in replicas
        for work in (replica.read_until, replica.refresh_until, replica.look_until)
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
    """What happened, and what each replica's clients had of it."""

    replicas: Sequence[Replica]
    _begun: float = field(default_factory=time.monotonic)
    _counted: list[tuple[int, Counter[str]]] = field(default_factory=list)

    def watch(self, event: str, seconds: float, *, healthy: Sequence[Node]) -> None:
        """Watch for so long after an event, and print what clients have seen since the last one."""
        began = time.monotonic()
        for replica in self.replicas:
            others = [node for node in healthy if node is not replica.node]
            replica.witness = others[0] if replica.node in healthy else None
        time.sleep(seconds)
        self._print(event, began)

    def _print(self, event: str, began: float) -> None:
        print(f"{began - self._begun:6.1f} s  {event}")  # noqa: T201 - it is the record
        before = self._counted or [(0, Counter[str]())] * len(self.replicas)
        self._counted = [(replica.reads, replica.outcomes.copy()) for replica in self.replicas]
        for replica, (reads, outcomes) in zip(self.replicas, before, strict=True):
            since = replica.outcomes - outcomes
            told = ", ".join(f"{count} {what}" for what, count in sorted(since.items())) or "none"
            print(  # noqa: T201 - likewise
                f"            {replica.name}: {replica.reads - reads} reads, refreshes: {told}; "
                f"serves {replica.seen().version}"
            )


def wait_until_agreed(replicas: Sequence[Replica], seconds: float) -> float:
    """Wait until all replicas serve the same, for so many seconds, and return how long it took."""
    begun = time.monotonic()
    while True:
        seen = {replica.seen() for replica in replicas}
        took = time.monotonic() - begun
        if len(seen) == 1 or took > seconds:
            assert len(seen) == 1, [(one.version, one.etag) for one in seen]
            return took
        time.sleep(0.02)
