"""Requests without credentials never use up the connections to the database, however many there are."""

import asyncio
from collections.abc import Iterator
from itertools import count

import httpx
import pytest

from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.tcp_proxy import TCPProxy
from tests.support.wait import WAIT_TIMEOUT

PATHS = (
    "/images/summary-{}-250-0123456789abcdef.png",
    "/images/summary.png",
    "/",
    "/readyz",
    "/metrics",
    "/schema.graphql",
)
"""Paths that need no credentials; the first one names a version that does not exist."""
MUTATIONS = ("mutation { refreshCountries { totalCountries } }", 'mutation { deleteCountry(code: "FR") { code } }')
CLIENTS = 100


@pytest.fixture
def database(mysql_family: MySQLFamilyServer) -> str:
    """Return the name of a new database."""
    return mysql_family.create_database()


@pytest.fixture
def process(
    mysql_family: MySQLFamilyServer, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    """Run a server whose database has a round trip of 300 ms."""
    with TCPProxy(mysql_family.port) as proxy:
        settings = {
            **BUNDLED_SOURCES,
            "DATABASE_URL": mysql_family.url(database, port=proxy.port),
            "DATABASE_POOL_SIZE": "3",
            "DATABASE_MAX_OVERFLOW": "0",
            "DATABASE_TIMEOUT": "5",
            "SNAPSHOT_POLL": "3600",
        }
        with running_server(tmp_path_factory.mktemp("load"), **settings) as process:
            process.wait_for_log(r"250 unchanged\)")
            proxy.delay = 0.15
            yield process


async def flood(process: Process, stop: asyncio.Event) -> None:
    """Request every path on many connections until told to stop."""
    revisions = count(1000)

    async def request_repeatedly(client: httpx.AsyncClient) -> None:
        while not stop.is_set():
            for path in PATHS:
                response = await client.get(path.format(next(revisions)))
                assert response.status_code in (200, 302), (path, response.status_code)

    limits = httpx.Limits(max_connections=CLIENTS)
    async with (
        httpx.AsyncClient(base_url=process.url, limits=limits, timeout=WAIT_TIMEOUT, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(CLIENTS):
            group.create_task(request_repeatedly(client))


@pytest.mark.slow
async def test_flood(process: Process, mysql_family: MySQLFamilyServer, database: str) -> None:
    """Beside a hundred clients without credentials, changes succeed, and all their requests cost one sync together."""

    def count_syncs() -> int:
        return sum("count(countries.code)" in statement for statement in mysql_family.queries(database))

    before, stop = count_syncs(), asyncio.Event()
    flood_task = asyncio.create_task(flood(process, stop))
    await asyncio.sleep(1)
    for mutation in MUTATIONS:
        body = await asyncio.to_thread(process.query, mutation)
        assert "errors" not in body, body
    stop.set()
    await flood_task
    # One for the unknown images, one for the refresh.
    assert count_syncs() - before == 2
