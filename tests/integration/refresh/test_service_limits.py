"""Limits: the minimum interval, the number of waiting callers, and `wait=False`."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from graphql_api.domain.report import Trigger
from graphql_api.errors import DatabaseUnavailable, RefreshInProgress, RefreshTooSoon, SourceUnavailable
from graphql_api.refresh.pipeline import RefreshOptions
from graphql_api.refresh.service import RefreshLimits
from graphql_api.schema.scalars import format_instant
from tests.support.attempts import make_failure
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import (
    SERVER_ERROR,
    InitialState,
    ServiceInstance,
    clock_time,
    hold_countries,
    hold_write_lock,
    make_source_config,
    running_instance,
)
from tests.support.schema_client import client_for

ONE_MINUTE_LIMIT = RefreshLimits(min_interval=timedelta(minutes=1))
NO_WAIT = RefreshOptions(wait=False)


@pytest.mark.parametrize("options", [RefreshOptions(), RefreshOptions(force=True), NO_WAIT])
async def test_too_soon(path: Path, upstream: Upstream, options: RefreshOptions) -> None:
    """Within the interval no source is requested and nothing changes, with any options."""
    async with running_instance(path, make_source_config(upstream), limits=ONE_MINUTE_LIMIT) as instance:
        first = await instance.service.refresh()
        initial = await InitialState.capture(instance)
        with pytest.raises(RefreshTooSoon) as exc_info:
            await instance.service.refresh(options)
        assert exc_info.value.retry_at == first.finished_at + ONE_MINUTE_LIMIT.min_interval
        assert str(exc_info.value) == (
            f"The last refresh ended less than 60 s ago; try again at {exc_info.value.retry_at:%H:%M:%S} UTC."
        )
        assert await initial.is_unchanged()
        assert (upstream.request_count("countries"), upstream.request_count("rates")) == (1, 1)
        assert instance.catalog.history == (first,)


async def test_interval_has_passed(path: Path, upstream: Upstream) -> None:
    """A refresh runs once the interval has passed."""
    # Each call of the clock adds a second.
    async with running_instance(
        path, make_source_config(upstream), limits=RefreshLimits(min_interval=timedelta(seconds=1))
    ) as instance:
        await instance.service.refresh()
        assert (await instance.service.refresh()).version.revision == 2


async def test_too_soon_after_a_failure(path: Path, upstream: Upstream) -> None:
    """The interval also counts from a failed refresh, whose sources were requested."""
    upstream.set_responses("countries", SERVER_ERROR)
    async with running_instance(path, make_source_config(upstream), limits=ONE_MINUTE_LIMIT) as instance:
        with pytest.raises(SourceUnavailable):
            await instance.service.refresh()
        with pytest.raises(RefreshTooSoon):
            await instance.service.refresh()


async def test_start_does_not_count(path: Path, upstream: Upstream) -> None:
    """Refreshes of a starting server neither wait for the interval nor start one."""
    async with running_instance(path, make_source_config(upstream), limits=ONE_MINUTE_LIMIT) as instance:
        at_start = RefreshOptions(trigger=Trigger.START)
        await instance.service.load_bundled()
        await instance.service.refresh(at_start)
        report = await instance.service.refresh()
        assert report.version.revision == 3
        assert (await instance.service.refresh(at_start)).version.revision == 4
        triggers = [attempt.trigger for attempt in await instance.load_history()]
    assert triggers == [Trigger.START, Trigger.REQUEST, Trigger.START, Trigger.START]


async def test_too_soon_after_another_replica(path: Path, upstream: Upstream) -> None:
    """A replica that finds another's recent refresh under the lease stops with its time."""
    async with (
        running_instance(path, make_source_config(upstream), name="one", limits=ONE_MINUTE_LIMIT) as instance_a,
        running_instance(path, make_source_config(upstream), name="two", limits=ONE_MINUTE_LIMIT) as instance_b,
    ):
        await instance_b.catalog.sync()
        report = await instance_a.service.refresh()
        await instance_a.service.close()
        released = hold_countries(upstream)
        with pytest.raises(RefreshTooSoon) as exc_info:
            await instance_b.service.refresh()
        released.set()
        assert exc_info.value.retry_at == report.finished_at + ONE_MINUTE_LIMIT.min_interval
        assert await instance_b.load_history() == (report,)
        assert instance_b.catalog.snapshot == instance_a.catalog.snapshot


async def test_too_soon_beside_another_clock(path: Path, upstream: Upstream) -> None:
    """The interval counts from a recent attempt also if a replica's clock dated another one far ahead."""
    async with running_instance(path, make_source_config(upstream), limits=ONE_MINUTE_LIMIT) as instance:
        report = await instance.service.refresh()
        instance.catalog.add_attempt(make_failure("ahead", at=report.finished_at + timedelta(hours=1)))
        assert instance.catalog.history[0].id == "ahead"
        with pytest.raises(RefreshTooSoon) as exc_info:
            await instance.service.refresh()
        assert exc_info.value.retry_at == report.finished_at + ONE_MINUTE_LIMIT.min_interval
        assert upstream.request_count("countries") == 1


async def test_too_soon_after_an_unrecorded_failure(path: Path, upstream: Upstream) -> None:
    """The interval also counts from an attempt that could not be recorded and is not in the history."""
    async with running_instance(
        path, make_source_config(upstream), limits=ONE_MINUTE_LIMIT, database_timeout=0.05
    ) as instance:
        with hold_write_lock(path):
            with pytest.raises(DatabaseUnavailable):
                await instance.service.refresh()
            await instance.service.close()
        await instance.catalog.sync()
        assert instance.catalog.history == ()
        requests = upstream.requests
        with pytest.raises(RefreshTooSoon) as exc_info:
            await instance.service.refresh()
        assert exc_info.value.retry_at == clock_time(2) + ONE_MINUTE_LIMIT.min_interval
        assert upstream.requests == requests


async def test_joining_is_not_too_soon(path: Path, upstream: Upstream) -> None:
    """Callers may join a running refresh within the interval."""
    released = hold_countries(upstream)
    async with running_instance(path, make_source_config(upstream), limits=ONE_MINUTE_LIMIT) as instance:
        callers = [asyncio.create_task(instance.service.refresh()) for _ in range(3)]
        await asyncio.to_thread(upstream.wait_for_requests, "countries")
        released.set()
        assert len({report.id for report in await asyncio.gather(*callers)}) == 1


async def test_too_many_callers(path: Path, upstream: Upstream) -> None:
    """A caller beyond the limit is rejected at once, and the others get their report."""
    released = hold_countries(upstream)
    async with running_instance(path, make_source_config(upstream), limits=RefreshLimits(max_waiting=2)) as instance:
        callers = [asyncio.create_task(instance.service.refresh()) for _ in range(2)]
        await asyncio.to_thread(upstream.wait_for_requests, "countries")
        with pytest.raises(RefreshInProgress) as exc_info:
            await instance.service.refresh()
        assert str(exc_info.value) == ("2 callers already wait for the running refresh; try again later.")
        released.set()
        first, second = await asyncio.gather(*callers)
        assert first is second
        assert (await instance.service.refresh()).version.revision == 2


async def test_no_wait(instance: ServiceInstance, upstream: Upstream) -> None:
    """With `wait=False`, the error has the start of the refresh that runs in this process."""
    released = hold_countries(upstream)
    waiting_task = asyncio.create_task(instance.service.refresh())
    await asyncio.to_thread(upstream.wait_for_requests, "countries")
    with pytest.raises(RefreshInProgress) as exc_info:
        await instance.service.refresh(NO_WAIT)
    released.set()
    assert exc_info.value.started_at == (await waiting_task).started_at
    assert (await instance.service.refresh(NO_WAIT)).version.revision == 2


async def test_no_wait_for_another_process(path: Path, upstream: Upstream) -> None:
    """With `wait=False`, the error has the start of another process's refresh; others wait."""
    released = hold_countries(upstream)
    async with (
        running_instance(path, make_source_config(upstream), name="one") as instance_a,
        running_instance(path, make_source_config(upstream), name="two") as instance_b,
    ):
        waiting_task = asyncio.create_task(instance_a.service.refresh())
        await asyncio.to_thread(upstream.wait_for_requests, "countries")
        local_run = instance_a.service._local_run
        assert local_run is not None
        await local_run.lease_session.acquire()

        no_wait_task = asyncio.create_task(instance_b.service.refresh(NO_WAIT))
        await asyncio.sleep(0)
        joined_task = asyncio.create_task(instance_b.service.refresh())
        with pytest.raises(RefreshInProgress) as exc_info:
            await no_wait_task
        assert exc_info.value.started_at is not None
        released.set()
        assert (await waiting_task).id == "one-1"
        assert (await joined_task).total_countries == 250


async def test_through_graphql(path: Path, upstream: Upstream) -> None:
    """GraphQL errors have `startedAt` of the running refresh, and `retryAt`."""
    released = hold_countries(upstream)
    async with running_instance(path, make_source_config(upstream), limits=ONE_MINUTE_LIMIT) as instance:
        client = client_for(instance)
        waiting_task = asyncio.create_task(instance.service.refresh())
        await asyncio.to_thread(upstream.wait_for_requests, "countries")
        response = await client.request("mutation { refreshCountries(wait: false) { id } }")
        extensions = response.body["errors"][0]["extensions"]
        released.set()
        report = await waiting_task
        assert extensions == {"code": "REFRESH_IN_PROGRESS", "startedAt": format_instant(report.started_at)}
        response = await client.request("mutation { refreshCountries { id } }")
        assert response.body["errors"][0]["extensions"] == {
            "code": "REFRESH_TOO_SOON",
            "retryAt": format_instant(report.finished_at + ONE_MINUTE_LIMIT.min_interval),
        }
