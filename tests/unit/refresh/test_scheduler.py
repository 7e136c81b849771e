"""Automatic refreshes: when the next one is due, and that only one replica runs it."""

import asyncio
import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from graphql_api.domain.report import RefreshFailure, Trigger
from graphql_api.refresh.scheduler import compute_delay, refresh_periodically
from tests.support.attempts import make_report
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import SERVER_ERROR, ServiceInstance, make_source_config, running_instance

DAY = 86_400.0


@pytest.mark.parametrize(
    ("interval", "age", "failures", "jitter", "seconds"),
    [
        (100, 0, 0, 0, 100),
        (100, 0, 0, 1, 110),
        (100, 40, 0, 0.5, 65),
        (100, 99, 0, 0, 10),
        (100, 1000, 0, 0, 10),
        (100, math.inf, 0, 0, 10),
        (100, 0, 1, 0, 200),
        (100, 0, 3, 1, 810),
        (100, 0, 50, 0, 3600),
        (DAY, 0, 3, 0, DAY),
    ],
)
def test_delay(interval: float, age: float, failures: int, jitter: float, seconds: float) -> None:
    """The delay is the rest of the interval, plus jitter, and doubles with each failure."""
    assert compute_delay(interval, age=age, failures=failures, jitter=jitter) == pytest.approx(seconds)


async def run_scheduler(instance: ServiceInstance, upstream: Upstream, times: int) -> None:
    """Run the scheduler until the countries were requested that often."""
    task = asyncio.create_task(
        refresh_periodically(instance.service, instance.catalog, refresh_interval=0.05, clock=lambda: datetime.now(UTC))
    )
    await asyncio.to_thread(upstream.wait_for_requests, "countries", times)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_periodic(path: Path, upstream: Upstream) -> None:
    """The scheduler keeps refreshing, and the history has the trigger of each refresh."""
    async with running_instance(path, make_source_config(upstream)) as instance:
        await run_scheduler(instance, upstream, 3)
        history = await instance.load_history()
    assert len(history) >= 2
    assert {attempt.trigger for attempt in history} == {Trigger.SCHEDULE}


async def test_failures(path: Path, upstream: Upstream) -> None:
    """The scheduler continues after a failure."""
    upstream.set_responses("countries", SERVER_ERROR)
    async with running_instance(path, make_source_config(upstream)) as instance:
        await run_scheduler(instance, upstream, 2)
        history = await instance.load_history()
    assert isinstance(history[-1], RefreshFailure)


async def test_clock_far_ahead(path: Path, upstream: Upstream) -> None:
    """A refresh that a replica's clock dated far ahead does not stop the others."""
    async with running_instance(path, make_source_config(upstream)) as instance:
        instance.catalog.add_attempt(make_report("ahead", finished_at=datetime.now(UTC) + timedelta(days=1)))
        await run_scheduler(instance, upstream, 1)
    assert upstream.request_count("countries") >= 1


async def test_refreshed_by_another_replica(path: Path, upstream: Upstream) -> None:
    """A replica does not refresh data that another one has just refreshed."""
    async with running_instance(path, make_source_config(upstream)) as instance:
        report = await instance.service.refresh()
        task = asyncio.create_task(
            refresh_periodically(
                instance.service, instance.catalog, refresh_interval=0.02, clock=lambda: report.finished_at
            )
        )
        await asyncio.sleep(0.2)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert upstream.request_count("countries") == 1
