"""The application without sockets: starts, restarts, refreshes, absolute URLs, failures."""

import asyncio
import gc
import logging
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import GraphQLSchema
from pydantic import SecretStr
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from graphql_api.app import create_app
from graphql_api.components import migrate_database
from graphql_api.domain.snapshot import Snapshot
from graphql_api.errors import DatabaseUnavailable, InvalidSetting
from graphql_api.execution import engine
from graphql_api.execution.list_sizes import ListSizes, measure_graph
from graphql_api.utils.tasks import cancel_all
from tests.support.app import (
    BASE_URL,
    HANGING_RESPONSE,
    AppClient,
    make_settings,
    opened_components,
    running_app,
    running_client,
)
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream, paginated_responder
from tests.support.image_urls import without_digest
from tests.support.refresh_service import SERVER_ERROR, change_column, countries_response, execute_sql, hold_write_lock
from tests.support.wait import wait_until_async

STATUS_QUERY = """
  { status {
    totalCountries version stale refreshing lastFailure { code }
    lastRefresh { sources { provider live } }
  } }
"""
BUNDLED_REFRESH = {"sources": [{"provider": "bundled", "live": False}] * 3}
LIVE_REFRESH = {"sources": [{"provider": provider, "live": True} for provider in ("geonames", "er-api", "world-bank")]}
BUNDLED_STATUS = {
    "totalCountries": 250,
    "version": "1-250",
    "stale": True,
    "refreshing": False,
    "lastFailure": None,
    "lastRefresh": BUNDLED_REFRESH,
}
"""Status of a server that has just loaded the bundled data."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the database."""
    return tmp_path / "countries.db"


async def fetch_status(client: AppClient) -> dict[str, Any]:
    """Return the status that the server reports."""
    result: dict[str, Any] = (await client.query(STATUS_QUERY))["status"]
    return result


async def create_live_database(path: Path, upstream: Upstream) -> None:
    """Create a database that a server has refreshed from live providers, as version 2-250."""
    async with running_client(make_settings(path, upstream)) as client:
        await client.wait_for_version("2-250")


async def test_first_start_without_sources(path: Path) -> None:
    """A first start with unreachable providers serves the bundled data at once."""
    with Upstream() as stopped_upstream:
        settings = make_settings(path, stopped_upstream)
    async with running_client(settings) as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["countries"]) == (200, 250)
        nodes = (await client.query("{ countries { nodes { id } } }"))["countries"]["nodes"]
        assert len({node["id"] for node in nodes}) == 250
        await client.wait_for_version("2-250")
        assert await fetch_status(client) == {**BUNDLED_STATUS, "version": "2-250"}
        query = "{ status { lastRefresh { sources { failures } } } }"
        report = (await client.query(query))["status"]["lastRefresh"]
        reason = "the server refuses connections"
        assert report["sources"] == [
            {"failures": [f"{name}: {reason}"]} for name in ("geonames", "er-api", "world-bank")
        ]


async def test_malformed_environment(path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a malformed proxy the server starts, and its own refresh and a client's fail as if every provider did."""
    await create_live_database(path, upstream)
    requests_before = upstream.requests
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:7890/")
    async with running_client(make_settings(path, upstream, stale_after=1e-6)) as client:

        async def has_failed() -> bool:
            return bool((await fetch_status(client))["lastFailure"] == {"code": "SOURCE_UNAVAILABLE"})

        await wait_until_async(has_failed)
        response = await client.post({"query": REFRESH_MUTATION})
        (error,) = response.json()["errors"]
        assert error["extensions"]["code"] == "SOURCE_UNAVAILABLE"
        assert error["message"].startswith("No live source of countries could be used, and bundled data never replaces")
        assert "geonames: ALL_PROXY is not the http or https URL of a proxy" in error["message"]
        assert (await fetch_status(client))["version"] == "2-250"
    assert upstream.requests == requests_before


async def test_first_start_with_slow_sources(path: Path, upstream: Upstream) -> None:
    """A first start serves the bundled data until the live providers have responded."""
    released = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
    async with running_client(make_settings(path, upstream)) as client:
        await asyncio.to_thread(upstream.wait_for_requests, "countries")
        assert await fetch_status(client) == {**BUNDLED_STATUS, "refreshing": True}
        released.set()
        await client.wait_for_version("2-250")
        assert await fetch_status(client) == {
            "totalCountries": 250,
            "version": "2-250",
            "stale": False,
            "refreshing": False,
            "lastFailure": None,
            "lastRefresh": LIVE_REFRESH,
        }


async def test_restart_with_fresh_data(path: Path, upstream: Upstream) -> None:
    """A restart with fresh live data serves it, and sends no request to providers."""
    await create_live_database(path, upstream)
    requests_before = upstream.requests
    upstream.set_responses("countries", HANGING_RESPONSE)
    async with running_client(make_settings(path, upstream)) as client:
        result = await fetch_status(client)
    assert (result["version"], result["stale"], result["refreshing"]) == ("2-250", False, False)
    assert result["lastRefresh"] == LIVE_REFRESH
    assert upstream.requests == requests_before


async def test_restart_with_stale_data(path: Path, upstream: Upstream) -> None:
    """A restart with data older than STALE_AFTER serves it, and refreshes it once."""
    await create_live_database(path, upstream)
    async with running_client(make_settings(path, upstream, stale_after=1e-6)) as client:
        await client.wait_for_version("3-250")
        assert (await fetch_status(client))["stale"] is True
        assert (upstream.request_count("countries"), upstream.request_count("rates")) == (2, 2)


async def test_restart_without_sources(path: Path, upstream: Upstream) -> None:
    """Bundled data does not replace live data at a restart without providers."""
    await create_live_database(path, upstream)
    upstream.set_responses("countries", SERVER_ERROR)
    async with running_client(make_settings(path, upstream, stale_after=1e-6)) as client:

        async def has_failed() -> bool:
            return (await fetch_status(client))["lastFailure"] is not None

        await wait_until_async(has_failed)
        result = await fetch_status(client)
    assert (result["version"], result["lastRefresh"]) == ("2-250", LIVE_REFRESH)
    assert result["lastFailure"] == {"code": "SOURCE_UNAVAILABLE"}


async def test_restart_of_an_emptied_database(path: Path, upstream: Upstream) -> None:
    """A start fills a database that was emptied."""
    upstream.set_responses("countries", SERVER_ERROR)
    async with opened_components(make_settings(path, upstream)) as parts:
        await parts.open_and_seed()
    await asyncio.to_thread(execute_sql, path, "DELETE FROM countries")
    async with running_client(make_settings(path, upstream)) as client:
        assert (await client.get("/readyz")).json()["countries"] == 250


async def test_shutdown_during_a_refresh(path: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """A shutdown during a refresh is immediate, logs nothing, and changes nothing."""
    caplog.set_level(logging.INFO)
    upstream.set_responses("countries", HANGING_RESPONSE)
    async with running_client(make_settings(path, upstream)) as client:
        await asyncio.to_thread(upstream.wait_for_requests, "countries")
        assert (await fetch_status(client))["refreshing"] is True
        caplog.clear()
    assert [record for record in caplog.records if record.name.startswith("graphql_api")] == []
    async with opened_components(make_settings(path, upstream)) as parts:
        assert str(parts.catalog.snapshot.version) == "1-250"
        assert (len(parts.catalog.history), parts.catalog.last_failure) == (1, None)


async def test_swallowed_cancellation() -> None:
    """A task whose library swallows a cancellation is cancelled again."""
    cancellations = 0

    async def ignore_first_cancellation() -> None:
        nonlocal cancellations
        while cancellations < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancellations += 1

    task = asyncio.create_task(ignore_first_cancellation())
    await asyncio.sleep(0)
    await cancel_all([task])
    assert (cancellations, task.done()) == (2, True)


async def test_replica_serves_change_of_other(path: Path, upstream: Upstream) -> None:
    """A server serves another one's change of the same database after its next poll."""
    await create_live_database(path, upstream)
    async with (
        running_client(make_settings(path, upstream)) as first,
        running_client(make_settings(path, upstream, snapshot_poll=0.01)) as second,
    ):
        await first.query('mutation { deleteCountry(code: "AD") { id } }')
        await second.wait_for_version("3-249")
        upstream.set_responses("countries", countries_response(change_column("AD", "468", "469")))
        await first.query("mutation { refreshCountries { id } }")
        await second.wait_for_version("5-250")
        data = await second.query('{ country(code: "AD") { areaKm2 } }')
        assert data == {"country": {"areaKm2": 469}}
        assert await fetch_status(second) == await fetch_status(first)


REFRESH_MUTATION = """
  mutation { refreshCountries {
    totalCountries inserted updated unchanged statements imageUrl sources { provider live }
  } }
"""


async def test_refresh_countries(path: Path, upstream: Upstream) -> None:
    """A refresh over HTTP reports its counts, and its imageUrl serves the image."""
    async with running_client(make_settings(path, upstream)) as client:
        await client.wait_for_version("2-250")
        report = (await client.query(REFRESH_MUTATION))["refreshCountries"]
        assert {**report, "imageUrl": without_digest(report["imageUrl"])} == {
            "totalCountries": 250,
            "inserted": 0,
            "updated": 0,
            "unchanged": 250,
            "statements": 1,
            "imageUrl": f"{BASE_URL}/images/summary-3-250.png",
            **LIVE_REFRESH,
        }
        image = await client.get(httpx.URL(report["imageUrl"]).path)
        assert (image.status_code, image.headers["Content-Type"]) == (200, "image/png")
        assert image.content == (await client.get("/images/summary.png")).content


async def fetch_image_url(client: AppClient, **headers: str) -> str:
    """Return the URL of the current image."""
    return str((await client.query("{ status { imageUrl } }", **headers))["status"]["imageUrl"])


async def test_image_url_after_refresh(path: Path, upstream: Upstream) -> None:
    """After a refresh, the former image URL redirects to the current one."""
    await create_live_database(path, upstream)
    async with running_client(make_settings(path, upstream)) as client:
        old_path = httpx.URL(await fetch_image_url(client)).path
        assert (await client.get(old_path)).status_code == 200
        await client.query("mutation { refreshCountries { id } }")
        response = await client.get(old_path)
        assert (response.status_code, response.headers["Location"]) == (302, "/images/summary.png")
        new_url = await fetch_image_url(client)
        assert without_digest(new_url) == f"{BASE_URL}/images/summary-3-250.png"
        assert (await client.get(httpx.URL(new_url).path)).status_code == 200


async def test_absolute_urls(path: Path, upstream: Upstream) -> None:
    """Without PUBLIC_URL, absolute URLs start with the address that the client requested."""
    upstream.set_responses("countries", HANGING_RESPONSE)
    async with running_client(make_settings(path, upstream)) as client:
        image_url = await fetch_image_url(client, Host="10.1.2.3:81")
        assert without_digest(image_url) == "http://10.1.2.3:81/images/summary-1-250.png"


@pytest.mark.parametrize(
    ("client", "image"),
    [
        ("127.0.0.1", "https://countries.localhost:8000/images/summary-1-250.png"),
        ("10.0.0.9", "http://countries.localhost:8000/images/summary-1-250.png"),
    ],
)
async def test_forwarded_scheme(path: Path, upstream: Upstream, client: str, image: str) -> None:
    """X-Forwarded-Proto is trusted from a trusted proxy only."""
    upstream.set_responses("countries", HANGING_RESPONSE)
    settings = make_settings(path, upstream)
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    async with running_app(settings) as app:
        trusted_ips = settings.forwarded_allow_ips
        proxied_app: Any = ProxyHeadersMiddleware(app, trusted_ips)  # type: ignore[arg-type]  # stricter types
        app_client = AppClient(
            app,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(proxied_app, client=(client, 5000)), base_url=BASE_URL, headers=headers
            ),
        )
        assert without_digest(await fetch_image_url(app_client)) == image


async def test_warm_heap_is_frozen(path: Path, upstream: Upstream) -> None:
    """In a process whose heap was frozen, as by `serve`, start-up freezes what it builds and collects the rest less."""
    thresholds = gc.get_threshold()
    gc.freeze()
    frozen_before = gc.get_freeze_count()
    try:
        async with running_client(make_settings(path, upstream)) as client:
            await client.wait_for_version("2-250")
            assert gc.get_freeze_count() > frozen_before
            assert gc.get_threshold() == (700, 10, 100)
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


async def test_threads_let_go(path: Path, upstream: Upstream) -> None:
    """Threads that merge and draw let the event loop continue after half a millisecond."""
    interval = sys.getswitchinterval()
    try:
        async with running_client(make_settings(path, upstream)):
            assert sys.getswitchinterval() == 0.0005
    finally:
        sys.setswitchinterval(interval)


async def test_measured_before_it_is_served(path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first query of new data does not wait until it is measured: the refresh has done it."""
    measured: list[str] = []

    def measure(schema: GraphQLSchema, snapshot: Snapshot) -> ListSizes:
        measured.append(str(snapshot.version))
        return measure_graph(schema, snapshot)

    monkeypatch.setattr(engine, "measure_graph", measure)
    async with running_client(make_settings(path, upstream)) as client:
        await client.wait_for_version("2-250")
        await client.post({"query": REFRESH_MUTATION})
        assert measured[-1] == "3-250"
        del measured[:]
        response = await client.post({"query": "{ countries { nodes { code neighbours { code } } } }"})
        assert len(response.json()["data"]["countries"]["nodes"]) == 250
        assert measured == []


async def test_open_and_seed(path: Path, upstream: Upstream) -> None:
    """Opening fills an empty database from the bundled data, once."""
    settings = make_settings(path, upstream)
    for _ in range(2):
        async with opened_components(settings) as parts:
            await parts.open_and_seed()
            await parts.open_and_seed()
    assert upstream.requests == ()
    async with opened_components(settings) as parts:
        assert str(parts.catalog.snapshot.version) == "1-250"
        assert len(parts.catalog.history) == 1


async def test_migrate(path: Path, upstream: Upstream) -> None:
    """Migrating returns whether it changed anything, and loads no data."""
    settings = make_settings(path, upstream)
    assert [await migrate_database(settings) for _ in range(2)] == [True, False]
    async with opened_components(settings) as parts:
        assert parts.catalog.snapshot.rows == ()


KNOWN_PROVIDERS = "bundled, geonames, restcountries, restcountries-v3"
V3 = "restcountries-v3"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"countries_sources": (("atlas", None),)},
            f"COUNTRIES_SOURCES names 'atlas', which is not one of {KNOWN_PROVIDERS}.",
        ),
        ({"countries_sources": ((V3, None),)}, f"COUNTRIES_SOURCES names {V3!r}, which needs a URL: {V3}=https://…."),
        (
            {"rates_sources": (("bundled", "https://rates.example"),)},
            "RATES_SOURCES gives a URL to 'bundled', which is read from the package.",
        ),
    ],
)
def test_rejected_settings(path: Path, upstream: Upstream, changes: dict[str, Any], message: str) -> None:
    """A setting that a component rejects is reported before anything is opened."""
    with pytest.raises(InvalidSetting) as exc_info:
        create_app(make_settings(path, upstream, **changes))
    assert str(exc_info.value) == message
    assert not path.exists()


async def test_key_of_a_provider(path: Path, upstream: Upstream) -> None:
    """The configured key is sent to its provider, and all of its pages are read."""
    upstream.set_responses("countries", paginated_responder("hunter2"))
    sources = (("restcountries", upstream.countries_url),)
    key = SecretStr("hunter2")
    settings = make_settings(path, upstream, countries_sources=sources, restcountries_api_key=key)
    async with opened_components(settings) as parts:
        report = await parts.refresh_service.refresh()
    assert (report.sources[0].provider, report.inserted, len(report.skipped)) == ("restcountries", 250, 6)


async def test_unusable_database(path: Path, upstream: Upstream) -> None:
    """A server with an unusable database fails to start, and leaves the file as it was."""
    await asyncio.to_thread(path.write_bytes, b"garbage" * 1000)
    with pytest.raises(DatabaseUnavailable) as exc_info:
        async with running_client(make_settings(path, upstream)):
            pass
    assert str(exc_info.value) == (
        f"The database at sqlite:///{path} failed: file is not a database; "
        "DATABASE_URL must name a SQLite file that can be opened."
    )
    assert await asyncio.to_thread(path.read_bytes) == b"garbage" * 1000
    assert upstream.requests == ()


async def test_locked_file(path: Path, upstream: Upstream) -> None:
    """While the file is locked, queries are served and changes fail; then all works again."""
    await create_live_database(path, upstream)
    async with running_client(make_settings(path, upstream, database_timeout=0.1, snapshot_poll=0.01)) as client:
        with hold_write_lock(path):
            for mutation in ("refreshCountries { id }", 'deleteCountry(code: "FR") { id }'):
                body = (await client.post({"query": f"mutation {{ {mutation} }}"})).json()
                assert body["errors"][0]["extensions"]["code"] == "DATABASE_UNAVAILABLE"
            assert (await client.query('{ country(code: "FR") { name } }'))["country"]["name"]
            assert (await client.get("/readyz")).status_code == 200
        assert (await client.query('mutation { deleteCountry(code: "FR") { code } }')) == {
            "deleteCountry": {"code": "FR"}
        }
    assert await load_stored_version(path, upstream) == "3-249"


async def load_stored_version(path: Path, upstream: Upstream) -> str:
    """Return the version that a process loads which starts now."""
    async with opened_components(make_settings(path, upstream)) as parts:
        return str(parts.catalog.snapshot.version)
