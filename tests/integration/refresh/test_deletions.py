"""Deletions beside deletions and refreshes of other processes: one version is never of different rows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country
from graphql_api.domain.report import RefreshReport
from graphql_api.domain.snapshot import DataVersion, Snapshot
from graphql_api.errors import CountryNotFound
from graphql_api.refresh import remote
from graphql_api.refresh.progress import Phase
from graphql_api.storage import lease
from tests.support.database import record_statements
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import (
    REFERENCE,
    ProgressRecorder,
    ServiceInstance,
    first_countries,
    hold_countries,
    make_source_config,
    running_instance,
    wait_for_lease,
)
from tests.support.wait import wait_until_async


@pytest.fixture
async def instances(url: str, upstream: Upstream) -> AsyncIterator[Sequence[ServiceInstance]]:
    """Lend two processes on one database, both with the data of a first refresh."""
    sources = make_source_config(upstream)
    async with running_instance(url, sources, name="one") as first, running_instance(url, sources, name="two") as other:
        await first.service.refresh()
        await first.service.close()
        await other.catalog.sync()
        yield first, other


async def delete(instance: ServiceInstance, code: str) -> Snapshot:
    """Delete a country of a process, and return the snapshot that it publishes."""
    await instance.catalog.delete(instance.catalog.snapshot.by_code[code])
    return instance.catalog.snapshot


async def load_snapshot(instance: ServiceInstance) -> Snapshot:
    """Return what the database holds."""
    catalog = Catalog(instance.database, REFERENCE)
    await catalog.sync()
    return catalog.snapshot


async def test_two_deletions_within_a_poll(instances: Sequence[ServiceInstance]) -> None:
    """Two processes that delete different countries have different versions, and then the same one."""
    first, other = instances
    snapshots = await delete(first, "FR"), await delete(other, "TR")
    assert [snapshot.version for snapshot in snapshots] == [DataVersion(2, 249), DataVersion(4, 248)]
    assert "FR" not in snapshots[1].by_code
    await first.catalog.sync()
    assert first.catalog.snapshot == other.catalog.snapshot == await load_snapshot(first)


@pytest.mark.slow
async def test_versions_are_unique(instances: Sequence[ServiceInstance]) -> None:
    """Whatever processes delete and refresh at once, each version that any of them serves is of the same rows."""
    rows_by_version: dict[DataVersion, tuple[Country, ...]] = {}

    def record(snapshot: Snapshot) -> None:
        assert rows_by_version.setdefault(snapshot.version, snapshot.rows) == snapshot.rows

    async def delete_all(instance: ServiceInstance, codes: Sequence[str]) -> None:
        for code in codes:
            if country := instance.catalog.snapshot.by_code.get(code):
                with suppress(CountryNotFound):
                    await instance.catalog.delete(country)
                record(instance.catalog.snapshot)

    async def refresh(instance: ServiceInstance) -> None:
        for _ in range(2):
            await instance.service.refresh()
            record(instance.catalog.snapshot)

    codes = sorted(instances[0].catalog.snapshot.by_code)[:20]
    deletions = [delete_all(instances[0], codes), delete_all(instances[1], codes[::-1])]
    await asyncio.gather(*deletions, *map(refresh, instances))
    for instance in instances:
        await instance.service.close()
        await instance.catalog.sync()
        record(instance.catalog.snapshot)
    assert instances[0].catalog.snapshot == instances[1].catalog.snapshot == await load_snapshot(instances[0])


async def start_refresh(instance: ServiceInstance, upstream: Upstream) -> "asyncio.Task[RefreshReport]":
    """Start a refresh, and wait until it holds the lease and its requests are held back."""
    refresh = asyncio.create_task(instance.service.refresh())
    await wait_for_lease(instance)
    await asyncio.to_thread(upstream.wait_for_requests, "countries", 2)
    return refresh


async def test_deletion_during_a_refresh(instances: Sequence[ServiceInstance], upstream: Upstream) -> None:
    """A refresh beside which another process deletes goes on from there, with a higher revision."""
    first, other = instances
    released = hold_countries(upstream)
    recorder = ProgressRecorder()
    with first.service.progress.listen(recorder):
        refresh = await start_refresh(first, upstream)
        assert (await delete(other, "AD")).version == DataVersion(3, 249)
        released.set()
        report = await refresh
    assert (report.version, report.inserted, report.unchanged) == (DataVersion(4, 250), 1, 249)
    await first.service.close()
    await other.catalog.sync()
    assert first.catalog.snapshot == other.catalog.snapshot == await load_snapshot(first)
    assert other.catalog.history[0] == report
    assert await other.database.run(lease.read) is None
    fractions = [fraction for _, fraction in recorder.phases]
    assert (recorder.phases[-1], fractions) == ((Phase.DONE, 1), sorted(fractions))


async def test_deletion_of_a_missing_country(instances: Sequence[ServiceInstance], upstream: Upstream) -> None:
    """A country that no provider lists stays deleted, also in the process that refreshes meanwhile."""
    first, other = instances
    released = hold_countries(upstream, first_countries(249))
    refresh = await start_refresh(first, upstream)
    await delete(other, "ZW")
    released.set()
    report = await refresh
    assert (report.missing, report.version) == ((), DataVersion(4, 249))
    assert "ZW" not in first.catalog.snapshot.by_code
    assert first.catalog.snapshot == await load_snapshot(first)


async def test_waiting_beside_a_deletion(
    instances: Sequence[ServiceInstance], upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion is not mistaken for the rows of the refresh that a process waits for, whose lease is left alone."""
    first, other = instances
    released = hold_countries(upstream)
    refresh = await start_refresh(first, upstream)
    acquired = await other.database.run(lease.read)
    assert acquired is not None
    await delete(other, "AD")

    async def start_waiting() -> "asyncio.Task[RefreshReport | None]":
        """Wait for the refresh, from before the deletion on; return once the lease was read three times."""
        statements = record_statements(other.database)
        wait = remote.wait_for_remote_refresh(acquired, database=other.database, catalog=other.catalog)
        task = asyncio.create_task(wait)
        await wait_until_async(lambda: sum("leases.refresh_id" in statement for statement in statements) >= 3)
        return task

    monkeypatch.setattr(remote, "_RELEASE_TIMEOUT", 0)
    (await start_waiting()).cancel()
    lease_info = await first.database.run(lease.read)
    assert lease_info is not None
    assert (lease_info.refresh_id, acquired.revision, lease_info.revision) == ("one-2", 2, 4)

    monkeypatch.undo()
    waiting = await start_waiting()
    released.set()
    assert await waiting == await refresh
