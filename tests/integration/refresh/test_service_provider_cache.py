"""Cached provider data: no needless requests, also after a restart and on other replicas."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from graphql_api.domain.report import RefreshReport, SourceKind
from graphql_api.errors import SourceUnavailable
from graphql_api.refresh.pipeline import RefreshOptions
from graphql_api.sources.provider_cache import ProviderCache
from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Request, Responder, Upstream
from tests.support.refresh_service import (
    SERVER_ERROR,
    START,
    InitialState,
    ServiceInstance,
    make_source_config,
    running_instance,
)

TOMORROW = START + timedelta(days=1)


@pytest.fixture
async def second(path: Path, upstream: Upstream, instance: ServiceInstance) -> AsyncIterator[ServiceInstance]:
    """Lend another process on the same database."""
    assert instance.path == path
    async with running_instance(path, make_source_config(upstream), name="second") as other:
        yield other


@pytest.fixture(autouse=True)
def provider_responses(upstream: Upstream) -> None:
    """Let the providers announce their next update and support revalidation, like real ones."""
    upstream.set_responses("countries", make_revalidating_reply('"1"'))
    upstream.set_responses("rates", FakeResponse(body=rates_with_next_update(TOMORROW.timestamp())))


def make_revalidating_reply(etag: str, until: Callable[[], bool] = lambda: True) -> Responder:
    """Return a responder with the countries, or with 304 if the client has this ETag."""

    def reply(request: Request) -> FakeResponse:
        if request.headers.get("if-none-match") == etag:
            return FakeResponse(status=304, hold_until=until)
        return FakeResponse(body=COUNTRIES, headers={"ETag": etag}, hold_until=until)

    return reply


def rates_with_next_update(next_update: float) -> bytes:
    """Return the rates with the time of their next update."""
    return json.dumps({**json.loads(RATES), "time_next_update_unix": int(next_update)}).encode()


def source_states(report: RefreshReport) -> list[tuple[str, bool, bool]]:
    """Return each source's provider, and whether it is live and whether it was cached."""
    return [(source.provider, source.live, source.cached) for source in report.sources]


STATISTICS_FETCHED = ("world-bank", True, False)
ALL_FETCHED = [("geonames", True, False), ("er-api", True, False), STATISTICS_FETCHED]
RATES_CACHED = [("geonames", True, False), ("er-api", False, True), STATISTICS_FETCHED]


def last_countries_request(upstream: Upstream) -> Request:
    """Return the last request for countries."""
    return [request for request in upstream.requests if request.path == "countries"][-1]


async def test_second_refresh(upstream: Upstream, instance: ServiceInstance) -> None:
    """Rates are not requested before their next update, and countries are revalidated."""
    first = await instance.service.refresh()
    second = await instance.service.refresh()
    assert (source_states(first), source_states(second)) == (ALL_FETCHED, RATES_CACHED)
    assert (upstream.request_count("countries"), upstream.request_count("rates")) == (2, 1)
    assert [source.as_of for source in second.sources] == [source.as_of for source in first.sources]
    assert (second.total_countries, second.unchanged, second.skipped) == (250, 250, first.skipped)
    assert (second.version.revision, second.statements) == (2, 1)


async def test_after_a_restart(upstream: Upstream, path: Path) -> None:
    """A process that starts has the provider data of the one before it."""
    for _ in range(2):
        async with running_instance(path, make_source_config(upstream)) as instance:
            await instance.catalog.sync()
            report = await instance.service.refresh()
    assert source_states(report) == RATES_CACHED
    assert (upstream.request_count("countries"), upstream.request_count("rates")) == (2, 1)
    assert last_countries_request(upstream).headers["if-none-match"] == '"1"'


async def test_on_another_replica(upstream: Upstream, instance: ServiceInstance, second: ServiceInstance) -> None:
    """A replica that has synced has the provider data of another one."""
    await instance.service.refresh()
    await instance.service.close()
    await second.catalog.sync()
    assert second.catalog.provider_cache == instance.catalog.provider_cache
    assert source_states(await second.service.refresh()) == RATES_CACHED
    assert upstream.request_count("rates") == 1


async def test_force(upstream: Upstream, instance: ServiceInstance) -> None:
    """`force` requests every provider without validators."""
    await instance.service.refresh()
    report = await instance.service.refresh(RefreshOptions(force=True))
    assert source_states(report) == ALL_FETCHED
    assert (upstream.request_count("countries"), upstream.request_count("rates")) == (2, 2)
    assert "if-none-match" not in last_countries_request(upstream).headers


async def test_force_while_another_runs(upstream: Upstream, instance: ServiceInstance) -> None:
    """A forced call that joined a refresh with cached data starts one that requests all."""
    released = threading.Event()
    await instance.service.refresh()
    upstream.set_responses("countries", make_revalidating_reply('"1"', released.is_set))
    waiting_task = asyncio.create_task(instance.service.refresh())
    await asyncio.to_thread(upstream.wait_for_requests, "countries", 2)
    options = RefreshOptions(force=True)
    forced_tasks = [asyncio.create_task(instance.service.refresh(options)) for _ in range(3)]
    await asyncio.sleep(0)
    released.set()
    assert source_states(await waiting_task) == RATES_CACHED
    reports = await asyncio.gather(*forced_tasks)
    assert source_states(reports[0]) == ALL_FETCHED
    assert reports == [reports[0]] * 3
    assert (upstream.request_count("countries"), upstream.request_count("rates")) == (3, 2)


async def test_new_data(upstream: Upstream, instance: ServiceInstance) -> None:
    """New provider data replaces the cached data."""
    await instance.service.refresh()
    upstream.set_responses("countries", make_revalidating_reply('"2"'))
    assert source_states(await instance.service.refresh()) == RATES_CACHED
    await instance.service.close()
    cached = (await instance.reload_catalog()).provider_cache.countries
    assert cached is not None
    assert [validators.etag for validators in cached.validators] == ['"2"']


async def test_deleted_country(upstream: Upstream, instance: ServiceInstance) -> None:
    """A deleted country is inserted again although the source has nothing new."""
    await instance.service.refresh()
    await instance.catalog.delete(instance.catalog.snapshot.by_code["FR"])
    report = await instance.service.refresh()
    assert (report.inserted, report.total_countries) == (1, 250)
    assert last_countries_request(upstream).headers["if-none-match"] == '"1"'


async def test_one_source_cached_and_the_other_down(upstream: Upstream, fallback_instance: ServiceInstance) -> None:
    """Cached rates do not make up for countries that fail: all or nothing."""
    await fallback_instance.service.refresh()
    initial, cached = (await InitialState.capture(fallback_instance), fallback_instance.catalog.provider_cache)
    upstream.set_responses("countries", SERVER_ERROR)
    with pytest.raises(SourceUnavailable) as exc_info:
        await fallback_instance.service.refresh()
    assert str(exc_info.value) == (
        "No live source of countries could be used, and bundled data never replaces live data. "
        "geonames: responded with status 500."
    )
    assert await initial.is_unchanged()
    assert fallback_instance.catalog.provider_cache == cached
    assert upstream.request_count("rates") == 1


@pytest.mark.parametrize("failing_kind", [SourceKind.COUNTRIES, SourceKind.RATES])
async def test_one_source_live_and_the_other_down(
    upstream: Upstream, fallback_instance: ServiceInstance, failing_kind: SourceKind
) -> None:
    """With live data stored, a refresh fails if either required source does."""
    await fallback_instance.service.refresh()
    initial = await InitialState.capture(fallback_instance)
    upstream.set_responses(failing_kind, SERVER_ERROR)
    with pytest.raises(SourceUnavailable) as exc_info:
        await fallback_instance.service.refresh(RefreshOptions(force=True))
    assert str(exc_info.value).startswith(f"No live source of {failing_kind} could be used")
    assert await initial.is_unchanged()


async def test_failed_refresh_is_not_cached(upstream: Upstream, instance: ServiceInstance) -> None:
    """Provider data of a failed refresh is not cached."""
    upstream.set_responses("countries", SERVER_ERROR)
    with pytest.raises(SourceUnavailable):
        await instance.service.refresh()
    await instance.service.close()
    assert instance.catalog.provider_cache == (await instance.reload_catalog()).provider_cache == ProviderCache()
