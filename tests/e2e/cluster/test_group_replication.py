"""Replicas on MySQL Group Replication agree while members fail: behind MySQL Router, and on each member."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack

import pytest

from tests.e2e.cluster.consistency_checker import (
    DATABASE,
    Replica,
    Timeline,
    read_revision,
    running_clients,
    wait_until_consistent,
)
from tests.support.db_servers.group_replication import GroupReplication, Member
from tests.support.db_servers.mysql_router import MySQLRouter
from tests.support.fake_providers.server import Upstream
from tests.support.generation_data import GenerationData
from tests.support.processes import running_server
from tests.support.server import NEEDS_IPV6

pytestmark = [pytest.mark.slow, NEEDS_IPV6]

NO_MAJORITY_DURATION = 12
"""Seconds without a majority: longer than DATABASE_TIMEOUT."""
CONVERGENCE_TIMEOUT = 60
"""Seconds within which replicas must agree."""

NewGroup = Callable[..., AbstractContextManager[GroupReplication]]


@pytest.fixture(scope="module")
def new_group(tmp_path_factory: pytest.TempPathFactory) -> NewGroup:
    """Return the factory of groups."""
    if Member.find_program() is None:
        pytest.skip(Member.install_hint)
    template = tmp_path_factory.mktemp("group") / "data"
    return lambda **options: GroupReplication(template=template, **options)


@pytest.fixture
def run_replicas(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[list[str], GroupReplication], list[Replica]]]:
    """Return a function that runs a replica on each URL, beside a member, until the test ends."""
    folder = tmp_path_factory.mktemp("replicas")
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        GenerationData(upstream).activate()

        def run(urls: list[str], group: GroupReplication) -> list[Replica]:
            replicas = []
            for number, (url, member) in enumerate(zip(urls, group.members, strict=True), 1):
                settings = {"DATABASE_URL": url, "SNAPSHOT_POLL": "1", "REFRESH_TIMEOUT": "5", **upstream.environment}
                process = stack.enter_context(running_server(folder, **settings))
                replicas.append(Replica(f"replica {number}", process, member))
                if number == 1:  # it loads bundled data, then refreshes
                    process.wait_for_log("Refresh .* countries from geonames")
                assert process.get("/readyz").status_code == 200
            return replicas

        yield run


def check_outcome(group: GroupReplication, replicas: list[Replica]) -> None:
    """Check that no response was a mixture or older, and that every member has the last acknowledged refresh."""
    assert [replica.violations for replica in replicas] == [[], [], []]
    outcomes = {outcome for replica in replicas for outcome in replica.outcomes}
    assert outcomes <= {"ok", "DATABASE_UNAVAILABLE", "REFRESH_IN_PROGRESS"}
    assert replicas[0].refresh() == "ok"
    wait_until_consistent(replicas, CONVERGENCE_TIMEOUT)
    revisions = {report.id: report.revision for replica in replicas for report in replica.acknowledged}
    assert len(set(revisions.values())) == len(revisions)
    assert {read_revision(member, caught_up=True) for member in group.members} == {max(revisions.values())}
    assert "Traceback" not in "".join(replica.process.stderr for replica in replicas)


def test_faults_behind_router(
    new_group: NewGroup, run_replicas: Callable[[list[str], GroupReplication], list[Replica]]
) -> None:
    """While members are killed, cut off, restarted and cloned, reads go on and no refresh is lost."""
    with new_group() as group, MySQLRouter(group) as router:
        assert group.primary.create_database() == DATABASE
        replicas = run_replicas([member.url(DATABASE, port=router.port) for member in group.members], group)
        with running_clients(replicas):
            _inject_faults(group, router, Timeline(replicas))
        for replica in replicas:
            print(  # noqa: T201 - the record
                f"{replica.name}: {replica.read_count} reads, the slowest {replica.slowest_read:.1f} s; "
                f"refreshes: {dict(replica.outcomes)}, the slowest {replica.slowest_refresh:.1f} s"
            )
        check_outcome(group, replicas)


def _inject_faults(group: GroupReplication, router: MySQLRouter, timeline: Timeline) -> None:
    """Break the primary in three ways, the majority, and each member in turn."""

    def others(*broken: Member) -> list[Member]:
        return [member for member in group.members if member not in broken]

    def observe_repaired(event: str) -> None:
        group.wait_until_whole()
        timeline.observe(event, healthy_nodes=group.members, until_success=True)

    def observe_without(primary: Member, event: str) -> None:
        timeline.observe(event, healthy_nodes=others(primary), until_success=True)

    observe_repaired("all is well")
    primary = group.primary
    primary.kill()
    observe_without(primary, "the primary was killed")
    primary.start()
    observe_repaired("it has joined again, with what it lacked")
    primary = group.primary
    group.network.cut_off(primary)
    observe_without(primary, "the primary was cut off from the others")
    group.network.reconnect()
    observe_repaired("it has joined again")
    primary = group.primary
    primary.pause()
    observe_without(primary, "the primary hung")
    primary.resume()
    observe_repaired("it has joined again")
    group.network.cut_off(*group.secondaries)
    timeline.observe("both secondaries were cut off: no majority", NO_MAJORITY_DURATION, healthy_nodes=())
    group.network.reconnect()
    observe_repaired("all have found one another")
    for member in (*group.secondaries, group.primary):
        timeline.set_healthy(others(member))
        member.stop()
        member.start()
        observe_repaired("a member was restarted, the primary last")
    member = group.secondaries[0]
    timeline.set_healthy(others(member))
    member.rejoin_by_clone()
    router.register_members()
    observe_repaired("a member lost its data and was cloned")


def test_multi_primary(
    new_group: NewGroup, run_replicas: Callable[[list[str], GroupReplication], list[Replica]]
) -> None:
    """Where every member accepts writes, refreshes at once on all three run one at a time: conflicts are retried."""
    with new_group(multi_primary=True) as group:
        assert group.members[0].create_database() == DATABASE
        replicas = run_replicas([member.url(DATABASE) for member in group.members], group)
        for _ in range(10):
            before = read_revision(group.members[0], caught_up=True)
            with ThreadPoolExecutor(3) as pool:
                assert list(pool.map(Replica.refresh, replicas)) == ["ok"] * 3
            newest = {replica.acknowledged[-1].revision for replica in replicas}
            assert max(newest) == before + len(newest)
            assert {read_revision(member, caught_up=True) for member in group.members} == {max(newest)}
        check_outcome(group, replicas)
