"""Several servers on one database: they start together, and serve the same bytes soon after."""

import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.cli.running import BUNDLED, PATIENCE, Process, run, serving
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.upstream.server import Upstream

pytestmark = pytest.mark.slow

EVERYTHING = (
    "{ countries { totalCount edges { cursor node { id name population exchangeRate } } } }"
)


@pytest.fixture(params=["mariadb", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the address of a database that nobody has used, on each kind of server in turn."""
    server: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return server.url(server.create_database())


def body(process: Process) -> bytes:
    """Return the bytes of everything that a server serves."""
    response = httpx.post(
        f"{process.url}/graphql", json={"query": EVERYTHING}, trust_env=False, timeout=PATIENCE
    )
    return response.content


def version(process: Process) -> str:
    """Return the version of what a server serves."""
    return str(process.query("{ status { version } }")["data"]["status"]["version"])


def test_refresh_of_one_is_served_by_the_other(
    tmp_path: Path, url: str, upstream: Upstream
) -> None:
    """A refresh in one server is served by the other within SNAPSHOT_POLL + 1 s, byte for byte."""
    sources = {**BUNDLED, "DATABASE_URL": url, "SNAPSHOT_POLL": "0.5"}
    with serving(tmp_path, **{**sources, **upstream.environment}) as one:
        # Loads bundled data, then refreshes from the upstream at once.
        one.wait_until_said("Refresh .* countries from geonames")
        with serving(tmp_path, **sources) as other:
            assert body(one) == body(other)
            before = version(other)
            answer = one.query("mutation { refreshCountries { totalCountries unchanged } }")
            assert answer == {
                "data": {"refreshCountries": {"totalCountries": 250, "unchanged": 250}}
            }
            deadline = time.monotonic() + PATIENCE
            while version(other) == before and time.monotonic() < deadline:
                time.sleep(0.02)
            assert version(other) == version(one) != before
            assert body(other) == body(one)


def test_four_start_at_once(tmp_path: Path, url: str) -> None:
    """Four servers that start on an empty database migrate it once, fill it, and all serve."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving(tmp_path, **BUNDLED, DATABASE_URL=url)) for _ in range(4)
        ]
        counts = [server.query("{ countries { totalCount } }") for server in servers]
        assert counts == [{"data": {"countries": {"totalCount": 250}}}] * 4
        said = "".join(server.said for server in servers)
        assert said.count("Migrated the database at ") == 1
        assert "Traceback" not in said
        assert "p@ss" not in said
        assert "p%40ss" not in said


def test_commands_on_a_server(tmp_path: Path, url: str, upstream: Upstream) -> None:
    """The commands migrate and refresh work on a database server as they do on a file."""
    migrated = run(tmp_path, "migrate", DATABASE_URL=url)
    assert migrated == (0, "Migrated.\n", "")
    refreshed = run(tmp_path, "refresh", DATABASE_URL=url, **upstream.environment)
    assert (refreshed.code, refreshed.stderr) == (0, "")
    assert "250 countries: 250 new, 0 changed, 0 unchanged, 0 missing" in refreshed.stdout
