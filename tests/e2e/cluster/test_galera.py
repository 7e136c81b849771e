"""Replicas on three nodes of a Galera cluster agree while nodes fail."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.e2e.cluster.consistency_checker import (
    DATABASE,
    Replica,
    Timeline,
    read_revision,
    running_clients,
    wait_until_consistent,
)
from tests.support.db_servers.galera import Galera, Node
from tests.support.fake_providers.server import Upstream
from tests.support.generation_data import GenerationData
from tests.support.processes import running_server

pytestmark = pytest.mark.slow

SNAPSHOT_POLL = 1.0
"""SNAPSHOT_POLL in seconds."""
FAULT_DURATION = 8
"""Seconds that a fault lasts; the other nodes wait 5 s before they go on without one."""
CONVERGENCE_TIMEOUT = 60
"""Seconds within which replicas must agree; the time they took is printed."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Galera]:
    """Return a running cluster."""
    if Node.find_program() is None:
        pytest.skip(Node.install_hint)
    with Galera(tmp_path_factory.mktemp("galera") / "data") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """Return sources whose every response differs."""
    with Upstream() as upstream:
        GenerationData(upstream).activate()
        yield upstream


@pytest.fixture(scope="module")
def replicas(cluster: Galera, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    """Return a replica on each node."""
    assert cluster.nodes[0].create_database() == DATABASE
    folder = tmp_path_factory.mktemp("replicas")
    settings = {"SNAPSHOT_POLL": f"{SNAPSHOT_POLL}", "REFRESH_TIMEOUT": "5", **upstream.environment}
    with ExitStack() as stack:
        replicas = []
        for number, node in enumerate(cluster.nodes):
            process = stack.enter_context(running_server(folder, DATABASE_URL=node.url(DATABASE), **settings))
            replicas.append(Replica(f"replica {number + 1}", process, node))
            # The first one loads bundled data, then refreshes.
            if number == 0:
                process.wait_for_log("Refresh .* countries from geonames")
            assert process.get("/readyz").status_code == 200
        yield replicas


def test_seen_everywhere(replicas: list[Replica]) -> None:
    """A refresh on one replica is soon served by all: version, bytes and ETag."""
    for replica in replicas:
        before = {other.read_served() for other in replicas}
        assert replica.refresh() == "ok"
        newest = replica.read_served()
        elapsed = wait_until_consistent(replicas, CONVERGENCE_TIMEOUT)
        assert {other.read_served() for other in replicas} == {newest}
        assert newest not in before
        print(f"{newest.version} of {replica.name} is everywhere after {elapsed:.2f} s")  # noqa: T201 - part of the printed timeline


def test_one_at_a_time(replicas: list[Replica]) -> None:
    """Of three refreshes at once on three nodes one runs, and all return its report."""
    wait_until_consistent(replicas, CONVERGENCE_TIMEOUT)
    for _ in range(10):
        before = read_revision(replicas[0].node, caught_up=True)
        with ThreadPoolExecutor(3) as pool:
            outcomes = list(pool.map(Replica.refresh, replicas))
        assert outcomes == ["ok"] * 3
        reports = [replica.acknowledged[-1] for replica in replicas]
        refresh_count = len(set(reports))
        newest = max(report.revision for report in reports)
        assert newest == before + refresh_count
        assert read_revision(replicas[0].node, caught_up=True) == newest
        print(f"three at once: {refresh_count} done, revision {newest}")  # noqa: T201 - part of the printed timeline
    assert [replica.violations for replica in replicas] == [[], [], []]


def test_faults(cluster: Galera, replicas: list[Replica]) -> None:
    """While nodes are killed, isolated and paused, reads go on and no refresh is lost."""
    timeline = Timeline(replicas)
    with running_clients(replicas):
        _inject_faults(cluster, timeline)
    for replica in replicas:
        print(  # noqa: T201 - the record
            f"{replica.name}: {replica.read_count} reads, the slowest "
            f"{replica.slowest_read:.1f} s; "
            f"refreshes: {dict(replica.outcomes)}, the slowest {replica.slowest_refresh:.1f} s"
        )
    assert [replica.violations for replica in replicas] == [[], [], []]
    outcomes = {outcome for replica in replicas for outcome in replica.outcomes}
    assert outcomes <= {"ok", "DATABASE_UNAVAILABLE", "REFRESH_IN_PROGRESS"}
    assert replicas[0].refresh() == "ok"
    elapsed = wait_until_consistent(replicas, CONVERGENCE_TIMEOUT)
    print(f"all agree {elapsed:.2f} s after a refresh: {replicas[0].read_served().version}")  # noqa: T201 - part of the printed timeline
    acknowledged = {report for replica in replicas for report in replica.acknowledged}
    revisions = [report.revision for report in acknowledged]
    assert len(set(revisions)) == len(revisions)
    final = {read_revision(node, caught_up=True) for node in cluster.nodes}
    assert final == {max(revisions)}
    assert "Traceback" not in "".join(replica.process.stderr for replica in replicas)


def _inject_faults(cluster: Galera, timeline: Timeline) -> None:
    """Break one node after the other, and then all, each in another way."""
    first, second, third = cluster.nodes
    timeline.observe("all is well", 2, healthy_nodes=cluster.nodes)
    first.kill()
    timeline.observe("node 1 was killed", FAULT_DURATION, healthy_nodes=(second, third))
    first.start()
    timeline.observe("node 1 has started again, with another's data", 0, healthy_nodes=(second, third))
    cluster.wait_until_synced()
    timeline.observe("the cluster is whole", 2, healthy_nodes=cluster.nodes)
    second.cut_off()
    timeline.observe("node 2 was cut off from the others", FAULT_DURATION, healthy_nodes=(first, third))
    second.reconnect()
    cluster.wait_until_synced()
    timeline.observe("node 2 is with the others again", 2, healthy_nodes=cluster.nodes)
    third.pause()
    timeline.observe("node 3 hung", FAULT_DURATION, healthy_nodes=(first, second))
    third.resume()
    cluster.wait_until_synced()
    timeline.observe("node 3 is with the others again", 2, healthy_nodes=cluster.nodes)
    second.cut_off()
    third.cut_off()
    timeline.observe("nodes 2 and 3 were cut off: no majority", FAULT_DURATION, healthy_nodes=())
    second.reconnect()
    third.reconnect()
    cluster.wait_until_synced()
    timeline.observe("all have found one another", 2, healthy_nodes=cluster.nodes)
