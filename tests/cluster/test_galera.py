"""Three replicas on the three nodes of a Galera cluster: what they agree on while nodes fail."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.cli.running import serving
from tests.cluster.watching import (
    DATABASE,
    Replica,
    Timeline,
    revision_of,
    wait_until_agreed,
    watched,
)
from tests.generations import Generations
from tests.servers.galera import Galera, Node
from tests.upstream.server import Upstream

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("galera")]

POLL = 1.0
"""SNAPSHOT_POLL, in seconds."""
HOLD = 8
"""Seconds that a fault lasts: the others wait 5 s for a node before they go on without it."""
PATIENCE = 60
"""Seconds after which replicas are taken not to agree any more; what it took is printed."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Galera]:
    """Lend a cluster."""
    if Node.find() is None:
        pytest.skip(Node.missing)
    with Galera(tmp_path_factory.mktemp("galera") / "data") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """Lend sources whose every answer is another."""
    with Upstream() as upstream:
        Generations(upstream).play()
        yield upstream


@pytest.fixture(scope="module")
def replicas(
    cluster: Galera, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Replica]]:
    """Lend a replica on each node."""
    assert cluster.nodes[0].create_database() == DATABASE
    folder = tmp_path_factory.mktemp("replicas")
    settings = {"SNAPSHOT_POLL": f"{POLL}", "REFRESH_TIMEOUT": "5", **upstream.environment}
    with ExitStack() as stack:
        replicas = []
        for number, node in enumerate(cluster.nodes):
            process = stack.enter_context(
                serving(folder, DATABASE_URL=node.url(DATABASE), **settings)
            )
            replicas.append(Replica(f"replica {number + 1}", process, node))
            # The first one loads bundled data, then refreshes.
            if number == 0:
                process.wait_until_said("Refresh .* countries from geonames")
            assert process.get("/readyz").status_code == 200
        yield replicas


def test_seen_everywhere(replicas: list[Replica]) -> None:
    """A refresh on one is soon served by all: version, bytes and ETag."""
    for replica in replicas:
        before = {one.seen() for one in replicas}
        assert replica.refresh() == "ok"
        newest = replica.seen()
        took = wait_until_agreed(replicas, PATIENCE)
        assert {one.seen() for one in replicas} == {newest}
        assert newest not in before
        print(f"{newest.version} of {replica.name} is everywhere after {took:.2f} s")  # noqa: T201


def test_one_at_a_time(replicas: list[Replica]) -> None:
    """Of three that refresh at once on three nodes one does it, and all answer with its report."""
    wait_until_agreed(replicas, PATIENCE)
    for _ in range(10):
        before = revision_of(replicas[0].node, caught_up=True)
        with ThreadPoolExecutor(3) as pool:
            outcomes = list(pool.map(Replica.refresh, replicas))
        assert outcomes == ["ok"] * 3
        reports = [replica.acknowledged[-1] for replica in replicas]
        done = len(set(reports))
        newest = max(report.revision for report in reports)
        assert newest == before + done
        assert revision_of(replicas[0].node, caught_up=True) == newest
        print(f"three at once: {done} done, revision {newest}")  # noqa: T201
    assert [replica.wrong for replica in replicas] == [[], [], []]


def test_faults(cluster: Galera, replicas: list[Replica]) -> None:
    """While nodes are killed, cut off and hung, nothing acknowledged is lost, and reads go on."""
    timeline = Timeline(replicas)
    with watched(replicas):
        _break(cluster, timeline)
    for replica in replicas:
        print(  # noqa: T201 - the record
            f"{replica.name}: {replica.reads} reads, the slowest {replica.slowest_read:.1f} s; "
            f"refreshes: {dict(replica.outcomes)}, the slowest {replica.slowest_refresh:.1f} s"
        )
    assert [replica.wrong for replica in replicas] == [[], [], []]
    outcomes = {what for one in replicas for what in one.outcomes}
    assert outcomes <= {"ok", "DATABASE_UNAVAILABLE", "REFRESH_IN_PROGRESS"}
    assert replicas[0].refresh() == "ok"
    took = wait_until_agreed(replicas, PATIENCE)
    print(f"all agree {took:.2f} s after a refresh: {replicas[0].seen().version}")  # noqa: T201
    acknowledged = {report for replica in replicas for report in replica.acknowledged}
    revisions = [report.revision for report in acknowledged]
    assert len(set(revisions)) == len(revisions)
    final = {revision_of(node, caught_up=True) for node in cluster.nodes}
    assert final == {max(revisions)}
    assert "Traceback" not in "".join(replica.process.said for replica in replicas)


def _break(cluster: Galera, timeline: Timeline) -> None:
    """Break one node after the other, and in the end all, each in another way."""
    first, second, third = cluster.nodes
    timeline.watch("all is well", 2, healthy=cluster.nodes)
    first.kill()
    timeline.watch("node 1 was killed", HOLD, healthy=(second, third))
    first.start()
    timeline.watch("node 1 has started again, with another's data", 0, healthy=(second, third))
    cluster.wait_until_whole()
    timeline.watch("the cluster is whole", 2, healthy=cluster.nodes)
    second.cut_off()
    timeline.watch("node 2 was cut off from the others", HOLD, healthy=(first, third))
    second.reconnect()
    cluster.wait_until_whole()
    timeline.watch("node 2 is with the others again", 2, healthy=cluster.nodes)
    third.pause()
    timeline.watch("node 3 hung", HOLD, healthy=(first, second))
    third.resume()
    cluster.wait_until_whole()
    timeline.watch("node 3 is with the others again", 2, healthy=cluster.nodes)
    second.cut_off()
    third.cut_off()
    timeline.watch("nodes 2 and 3 were cut off: no majority", HOLD, healthy=())
    second.reconnect()
    third.reconnect()
    cluster.wait_until_whole()
    timeline.watch("all have found one another", 2, healthy=cluster.nodes)
