"""The application from its start to its end: first starts, restarts, refreshes, addresses."""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from graphql_api.app import Parts, create_app, end, migrate_database
from graphql_api.errors import DatabaseUnavailable, InvalidSetting
from tests.refresh.running import DOWN, execute, line, listing, locked
from tests.serving import HELD, ORIGIN, Server, given, opened, serving, until
from tests.upstream.server import COUNTRIES, Answer, Upstream, in_pages

STATUS = """
  { status {
    totalCountries version stale refreshing lastFailure { code }
    lastRefresh { sources { provider live } }
  } }
"""
BUNDLED = {"sources": [{"provider": "bundled", "live": False}] * 2}
LIVE = {"sources": [{"provider": "geonames", "live": True}, {"provider": "er-api", "live": True}]}
FROM_BUNDLED = {
    "totalCountries": 250,
    "version": "1-250",
    "stale": True,
    "refreshing": False,
    "lastFailure": None,
    "lastRefresh": BUNDLED,
}
"""The status of a server that has just filled itself from the bundled data."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database is."""
    return tmp_path / "countries.db"


async def status(server: Server) -> dict[str, Any]:
    """Return what the server says of its data."""
    told: dict[str, Any] = (await server.ask(STATUS))["status"]
    return told


async def live(path: Path, upstream: Upstream) -> None:
    """Leave a database that a server has refreshed from live sources, as version 2-250."""
    async with serving(given(path, upstream)) as server:
        await server.reach("2-250")


async def test_first_start_without_sources(path: Path) -> None:
    """A first start whose sources cannot be reached serves the bundled data at once."""
    with Upstream() as gone:
        settings = given(path, gone)
    async with serving(settings) as server:
        ready = await server.get("/readyz")
        assert (ready.status_code, ready.json()["countries"]) == (200, 250)
        nodes = (await server.ask("{ countries { nodes { id } } }"))["countries"]["nodes"]
        assert len({node["id"] for node in nodes}) == 250
        await server.reach("2-250")
        assert await status(server) == {**FROM_BUNDLED, "version": "2-250"}
        tried = "{ status { lastRefresh { sources { failures } } } }"
        report = (await server.ask(tried))["status"]["lastRefresh"]
        refused = "the server refuses connections"
        assert report["sources"] == [
            {"failures": [f"{name}: {refused}"]} for name in ("geonames", "er-api")
        ]


async def test_first_start_with_slow_sources(path: Path, upstream: Upstream) -> None:
    """The bundled data is served while the live sources are awaited, and then theirs is."""
    released = threading.Event()
    upstream.answer("countries", Answer(body=COUNTRIES, until=released.is_set))
    async with serving(given(path, upstream)) as server:
        await asyncio.to_thread(upstream.wait_until_asked, "countries")
        assert await status(server) == {**FROM_BUNDLED, "refreshing": True}
        released.set()
        await server.reach("2-250")
        assert await status(server) == {
            "totalCountries": 250,
            "version": "2-250",
            "stale": False,
            "refreshing": False,
            "lastFailure": None,
            "lastRefresh": LIVE,
        }


async def test_restart_with_fresh_data(path: Path, upstream: Upstream) -> None:
    """A restart with fresh live data serves it and asks nobody."""
    await live(path, upstream)
    asked = upstream.requests
    upstream.answer("countries", HELD)
    async with serving(given(path, upstream)) as server:
        told = await status(server)
    assert (told["version"], told["stale"], told["refreshing"]) == ("2-250", False, False)
    assert told["lastRefresh"] == LIVE
    assert upstream.requests == asked


async def test_restart_with_stale_data(path: Path, upstream: Upstream) -> None:
    """A restart with data that is older than is configured serves it, and refreshes it once."""
    await live(path, upstream)
    async with serving(given(path, upstream, stale_after=1e-6)) as server:
        await server.reach("3-250")
        assert (await status(server))["stale"] is True
        assert (upstream.asked("countries"), upstream.asked("rates")) == (2, 2)


async def test_restart_without_sources(path: Path, upstream: Upstream) -> None:
    """Live data outlives its sources: bundled data does not take its place at a restart."""
    await live(path, upstream)
    upstream.answer("countries", DOWN)
    async with serving(given(path, upstream, stale_after=1e-6)) as server:

        async def failed() -> bool:
            return (await status(server))["lastFailure"] is not None

        await until(failed)
        told = await status(server)
    assert (told["version"], told["lastRefresh"]) == ("2-250", LIVE)
    assert told["lastFailure"] == {"code": "SOURCE_UNAVAILABLE"}


async def test_restart_of_an_emptied_database(path: Path, upstream: Upstream) -> None:
    """A database that was emptied is filled again at the next start."""
    upstream.answer("countries", DOWN)
    async with Parts(given(path, upstream)) as parts:
        await parts.open_filled()
    await asyncio.to_thread(execute, path, "DELETE FROM countries")
    async with serving(given(path, upstream)) as server:
        assert (await server.get("/readyz")).json()["countries"] == 250


async def test_shutdown_during_a_refresh(
    path: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that ends while it refreshes does so at once, in silence, and changes nothing."""
    caplog.set_level(logging.INFO)
    upstream.answer("countries", HELD)
    async with serving(given(path, upstream)) as server:
        await asyncio.to_thread(upstream.wait_until_asked, "countries")
        assert (await status(server))["refreshing"] is True
        caplog.clear()
    assert [record for record in caplog.records if record.name.startswith("graphql_api")] == []
    async with Parts(given(path, upstream)) as parts:
        assert str(parts.catalog.snapshot.version) == "1-250"
        assert (len(parts.catalog.history), parts.catalog.last_failure) == (1, None)


async def test_end_of_what_loses_a_cancellation() -> None:
    """A task that a library keeps from hearing of its end is told again."""
    heard = 0

    async def deaf() -> None:
        nonlocal heard
        while heard < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                heard += 1

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await end([task])
    assert (heard, task.done()) == (2, True)


async def test_replicas_follow_one_another(path: Path, upstream: Upstream) -> None:
    """What one server changes, another one on the same database serves after its next look."""
    await live(path, upstream)
    async with (
        serving(given(path, upstream)) as one,
        serving(given(path, upstream, snapshot_poll=0.01)) as other,
    ):
        await one.ask('mutation { deleteCountry(code: "AD") { id } }')
        await other.reach("2-249")
        upstream.answer("countries", listing(line("AD", "77006", "77007")))
        await one.ask("mutation { refreshCountries { id } }")
        await other.reach("3-250")
        data = await other.ask('{ country(code: "AD") { population } }')
        assert data == {"country": {"population": 77007}}
        assert await status(other) == await status(one)


REFRESH = """
  mutation { refreshCountries {
    totalCountries inserted updated unchanged statements imageUrl sources { provider live }
  } }
"""


async def test_refresh_countries(path: Path, upstream: Upstream) -> None:
    """A refresh over HTTP counts what it did, and its picture loads from the address it tells."""
    async with serving(given(path, upstream)) as server:
        await server.reach("2-250")
        report = (await server.ask(REFRESH))["refreshCountries"]
        assert report == {
            "totalCountries": 250,
            "inserted": 0,
            "updated": 0,
            "unchanged": 250,
            "statements": 1,
            "imageUrl": f"{ORIGIN}/images/summary-3-250.png",
            **LIVE,
        }
        picture = await server.get(httpx.URL(report["imageUrl"]).path)
        assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/png")
        assert picture.content == (await server.get("/images/summary.png")).content


async def test_refresh_changes_the_picture_s_address(path: Path, upstream: Upstream) -> None:
    """After a refresh the former address of the picture leads to the newest one."""
    await live(path, upstream)
    async with serving(given(path, upstream)) as server:
        assert (await server.get("/images/summary-2-250.png")).status_code == 200
        await server.ask("mutation { refreshCountries { id } }")
        former = await server.get("/images/summary-2-250.png")
        assert (former.status_code, former.headers["Location"]) == (302, "/images/summary.png")
        assert (await server.get("/images/summary-3-250.png")).status_code == 200


async def test_client_s_address(path: Path, upstream: Upstream) -> None:
    """Without a public URL, absolute addresses begin with what the client asked for."""
    upstream.answer("countries", HELD)
    async with serving(given(path, upstream)) as server:
        data = await server.ask("{ status { imageUrl } }", Host="10.1.2.3:81")
        assert data["status"]["imageUrl"] == "http://10.1.2.3:81/images/summary-1-250.png"


@pytest.mark.parametrize(
    ("client", "image"),
    [
        ("127.0.0.1", "https://countries.example:8000/images/summary-1-250.png"),
        ("10.0.0.9", "http://countries.example:8000/images/summary-1-250.png"),
    ],
)
async def test_forwarded_scheme(path: Path, upstream: Upstream, client: str, image: str) -> None:
    """The scheme that a trusted proxy tells is believed, and that of anybody else is not."""
    upstream.answer("countries", HELD)
    settings = given(path, upstream)
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    async with opened(settings) as app:
        trusted = settings.forwarded_allow_ips
        proxied: Any = ProxyHeadersMiddleware(app, trusted)  # type: ignore[arg-type]  # stricter types
        server = Server(
            app,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(proxied, client=(client, 5000)),
                base_url=ORIGIN,
                headers=headers,
            ),
        )
        assert (await server.ask("{ status { imageUrl } }"))["status"]["imageUrl"] == image


async def test_open_filled(path: Path, upstream: Upstream) -> None:
    """Opening fills an empty database from the bundled data alone, once."""
    settings = given(path, upstream)
    for _ in range(2):
        async with Parts(settings) as parts:
            await parts.open_filled()
            await parts.open_filled()
    assert upstream.requests == ()
    async with Parts(settings) as parts:
        assert str(parts.catalog.snapshot.version) == "1-250"
        assert len(parts.catalog.history) == 1


async def test_migrate(path: Path, upstream: Upstream) -> None:
    """Migrating tells whether there was work to do, and loads nothing."""
    settings = given(path, upstream)
    assert [await migrate_database(settings) for _ in range(2)] == [True, False]
    async with Parts(settings) as parts:
        assert parts.catalog.snapshot.rows == ()


KNOWN = "bundled, geonames, restcountries, restcountries-v3"
V3 = "restcountries-v3"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"countries_sources": (("atlas", None),)},
            f"COUNTRIES_SOURCES names 'atlas', which is not one of {KNOWN}.",
        ),
        (
            {"countries_sources": ((V3, None),)},
            f"COUNTRIES_SOURCES names {V3!r}, which needs a URL: {V3}=https://….",
        ),
        (
            {"rates_sources": (("bundled", "https://rates.example"),)},
            "RATES_SOURCES gives a URL to 'bundled', which is read from the package.",
        ),
    ],
)
def test_refused_settings(
    path: Path, upstream: Upstream, changes: dict[str, Any], message: str
) -> None:
    """A setting that the parts cannot work with is refused before anything is opened."""
    with pytest.raises(InvalidSetting) as caught:
        create_app(given(path, upstream, **changes))
    assert str(caught.value) == message
    assert not path.exists()


async def test_key_of_a_provider(path: Path, upstream: Upstream) -> None:
    """The key that is set is sent to the provider that asks for it, and its pages are read."""
    upstream.answer("countries", in_pages("hunter2"))
    sources = (("restcountries", upstream.countries_url),)
    key = SecretStr("hunter2")
    settings = given(path, upstream, countries_sources=sources, restcountries_api_key=key)
    async with Parts(settings) as parts:
        report = await parts.refreshes.refresh()
    assert (report.sources[0].provider, report.inserted, len(report.skipped)) == (
        "restcountries",
        250,
        6,
    )


async def test_unusable_database(path: Path, upstream: Upstream) -> None:
    """A server whose database cannot be used does not start, and leaves the file as it was."""
    await asyncio.to_thread(path.write_bytes, b"garbage" * 1000)
    with pytest.raises(DatabaseUnavailable) as caught:
        async with serving(given(path, upstream)):
            pass
    assert str(caught.value) == (
        f"The database at sqlite:///{path} failed: file is not a database; "
        "DATABASE_URL must name a SQLite file that can be opened."
    )
    assert await asyncio.to_thread(path.read_bytes) == b"garbage" * 1000
    assert upstream.requests == ()


async def test_locked_file(path: Path, upstream: Upstream) -> None:
    """While somebody locks the file queries are answered and changes fail; then all goes on."""
    await live(path, upstream)
    async with serving(given(path, upstream, database_timeout=0.1, snapshot_poll=0.01)) as server:
        with locked(path):
            for change in ("refreshCountries { id }", 'deleteCountry(code: "FR") { id }'):
                answer = (await server.post({"query": f"mutation {{ {change} }}"})).json()
                assert answer["errors"][0]["extensions"]["code"] == "DATABASE_UNAVAILABLE"
            assert (await server.ask('{ country(code: "FR") { name } }'))["country"]["name"]
            assert (await server.get("/readyz")).status_code == 200
        assert (await server.ask('mutation { deleteCountry(code: "FR") { code } }')) == {
            "deleteCountry": {"code": "FR"}
        }
    assert await stored_version(path, upstream) == "2-249"


async def stored_version(path: Path, upstream: Upstream) -> str:
    """Return the version that a process finds which starts now."""
    async with Parts(given(path, upstream)) as parts:
        return str(parts.catalog.snapshot.version)
