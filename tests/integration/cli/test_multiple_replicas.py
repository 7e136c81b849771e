"""Replicas on one database start together, and serve each other's changes byte for byte."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from graphql_api.storage.database import Database
from tests.support import http_client
from tests.support.database import SERVERS, dump_tables, open_database, restore_tables
from tests.support.db_servers.process import DatabaseServer
from tests.support.fake_providers.server import Upstream
from tests.support.processes import BUNDLED_SOURCES, Process, run_command, running_server
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow

ALL_COUNTRIES = "{ countries { totalCount edges { cursor node { id name population exchangeRate } } } }"

T = TypeVar("T")


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an unused database on a server of each kind."""
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server.url(server.create_database())


def fetch_body(process: Process) -> bytes:
    """Return the bytes of the responses that depend on the data."""
    response = http_client.post(f"{process.url}/graphql", json={"query": ALL_COUNTRIES})
    return response.content


def fetch_version(process: Process) -> str:
    """Return the version of the data that a server serves."""
    return str(process.query("{ status { version } }")["data"]["status"]["version"])


def test_replica_serves_refresh_of_other(tmp_path: Path, url: str, upstream: Upstream) -> None:
    """A replica serves the other one's refresh within SNAPSHOT_POLL + 1 s, byte for byte."""
    settings = {**BUNDLED_SOURCES, "DATABASE_URL": url, "SNAPSHOT_POLL": "0.5"}
    with running_server(tmp_path, **{**settings, **upstream.environment}) as first:
        # Loads the bundled data, then refreshes at once.
        first.wait_for_log("Refresh .* countries from geonames")
        with running_server(tmp_path, **settings) as second:
            assert fetch_body(first) == fetch_body(second)
            before = fetch_version(second)
            refresh_body = first.query("mutation { refreshCountries { totalCountries unchanged } }")
            assert refresh_body == {"data": {"refreshCountries": {"totalCountries": 250, "unchanged": 250}}}
            wait_until(lambda: fetch_version(second) != before)
            assert fetch_version(second) == fetch_version(first) != before
            assert fetch_body(second) == fetch_body(first)


def test_four_start_at_once(tmp_path: Path, url: str) -> None:
    """Four servers that start on an empty database migrate and fill it once, and all serve."""
    with ExitStack() as stack:
        servers = [stack.enter_context(running_server(tmp_path, **BUNDLED_SOURCES, DATABASE_URL=url)) for _ in range(4)]
        counts = [server.query("{ countries { totalCount } }") for server in servers]
        assert counts == [{"data": {"countries": {"totalCount": 250}}}] * 4
        logs = "".join(server.stderr for server in servers)
        assert logs.count("Migrated the database at ") == 1
        assert "Traceback" not in logs
        assert "p@ss" not in logs
        assert "p%40ss" not in logs


def test_commands_on_a_server(tmp_path: Path, url: str, upstream: Upstream) -> None:
    """`migrate` and `refresh` work on a database server as on a file."""
    migrated = run_command(tmp_path, "migrate", DATABASE_URL=url)
    assert migrated == (0, "Migrated.\n", "")
    refreshed = run_command(tmp_path, "refresh", DATABASE_URL=url, **upstream.environment)
    assert (refreshed.exit_code, refreshed.stderr) == (0, "")
    assert "250 countries: 250 new, 0 changed, 0 unchanged, 0 missing" in refreshed.stdout


def fetch_etag(process: Process, known_etag: str = "") -> tuple[int, str]:
    """Return status and ETag of the response to a query, to a client that holds `known_etag`."""
    response = process.get("/graphql?query={countries{nodes{code}}}", **{"If-None-Match": known_etag})
    return response.status_code, response.headers["ETag"]


def fetch_image_path(process: Process) -> str:
    """Return the path of the immutable image."""
    return httpx.URL(process.query("{ status { imageUrl } }")["data"]["status"]["imageUrl"]).path


def test_one_version_of_two_databases(tmp_path: Path, url: str, upstream: Upstream) -> None:
    """After a restore, deletions reach a former version with other rows: its ETag and its image URL are not served."""
    settings = {**upstream.environment, "DATABASE_URL": url, "SNAPSHOT_POLL": "0.2"}
    assert run_command(tmp_path, "refresh", **settings).exit_code == 0
    backup = asyncio.run(run_on_database(url, dump_tables))
    with running_server(tmp_path, **settings) as first, running_server(tmp_path, **settings) as second:
        first.query('mutation { deleteCountry(code: "US") { code } }')
        wait_until(lambda: fetch_version(second) == "2-249")
        (_, etag), image_path = fetch_etag(first), fetch_image_path(first)
        assert (fetch_etag(second, etag), fetch_image_path(second)) == ((304, etag), image_path)
        asyncio.run(run_on_database(url, lambda database: restore_tables(database, backup)))
        wait_until(lambda: fetch_version(first) == fetch_version(second) == "1-250")
        second.query('mutation { deleteCountry(code: "CN") { code } }')
        wait_until(lambda: fetch_version(first) == "2-249")
        (status, other_etag), other_path = fetch_etag(first, etag), fetch_image_path(first)
        assert (status, other_etag != etag, other_path != image_path) == (200, True, True)
        assert (fetch_etag(second, other_etag), fetch_image_path(second)) == ((304, other_etag), other_path)
        statuses = [process.get(path).status_code for process in (first, second) for path in (image_path, other_path)]
        assert statuses == [302, 200, 302, 200]


async def run_on_database(url: str, operation: Callable[[Database], Awaitable[T]]) -> T:
    """Run an operation of another program on a database."""
    async with open_database(url) as database:
        return await operation(database)
