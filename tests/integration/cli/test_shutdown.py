"""Being told to stop: who asks is told first, what runs is finished, and nothing holds it up."""

import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.db_faults import HUNG
from tests.support.db_servers.mariadb import MariaDB
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.processes import BUNDLED_SOURCES, running_server, wait_for_port
from tests.support.tcp_proxy import TCPProxy

CAPITAL = '{ country(name: "brazil") { code capital } }'
REFRESH = "mutation { refreshCountries { totalCountries inserted updated unchanged } }"
REFRESHING = "{ status { refreshing } }"
BRASILIA = {"data": {"country": {"code": "BR", "capital": "Brasilia"}}}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_says_so_before_it_stops(tmp_path: Path, workers: str) -> None:
    """For STOP_DELAY it serves on, on new connections too, and says that it is not ready."""
    settings = {**BUNDLED_SOURCES, "STOP_DELAY": "60", "WORKERS": workers}
    with running_server(tmp_path, **settings) as server:
        assert server.get("/readyz").status_code == 200
        server.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        while (ready := server.get("/readyz")).status_code == 200:
            assert time.monotonic() < deadline
        assert (ready.status_code, ready.json()["status"]) == (503, "stopping")
        assert server.query(CAPITAL) == BRASILIA
        # Told again, it does not wait.
        result = server.stop(signal.SIGTERM)
    assert (result.exit_code, "ERROR" in result.stderr, "Traceback" in result.stderr) == (
        0,
        False,
        False,
    )


def test_delay_ends(tmp_path: Path) -> None:
    """When STOP_DELAY is over it stops by itself."""
    with running_server(tmp_path, **BUNDLED_SOURCES, STOP_DELAY="0.3") as server:
        assert server.url
        assert server.stop(signal.SIGTERM).exit_code == 0


def test_what_runs_is_finished(tmp_path: Path, upstream: Upstream) -> None:
    """A refresh that runs is finished and answered, and so is what follows it: nothing is lost."""
    released = threading.Event()
    with running_server(tmp_path, **upstream.environment) as server, ThreadPoolExecutor() as pool:
        server.wait_for_log("countries from geonames")
        upstream.set_responses(
            "countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set)
        )
        request_count = upstream.request_count("countries")
        future = pool.submit(server.query, REFRESH)
        upstream.wait_for_requests("countries", request_count + 1)
        server.send_signal(signal.SIGTERM)
        wait_for_port(server.port, listening=False)
        released.set()
        assert future.result()["data"]["refreshCountries"]["totalCountries"] == 250
        result = server.wait()
    assert result.exit_code == 0
    with closing(sqlite3.connect(tmp_path / "var" / "countries.db")) as database:
        history = database.execute("SELECT outcome FROM refreshes").fetchall()
        assert history == [("SUCCEEDED",)] * 3
        assert database.execute("SELECT expires_at FROM leases").fetchall() == [(0,)]


@pytest.mark.slow
def test_database_that_hangs(tmp_path: Path, mariadb: MariaDB) -> None:
    """A database that does not answer any more holds up the end for seconds at most."""
    with TCPProxy(mariadb.port) as proxy:
        url = mariadb.url(mariadb.create_database(), port=proxy.port)
        settings = {**BUNDLED_SOURCES, "DATABASE_URL": url, "DATABASE_TIMEOUT": "600"}
        with running_server(tmp_path, **settings) as server:
            server.wait_for_log(r"250 unchanged\)")
            with HUNG.inject(mariadb, proxy), ThreadPoolExecutor() as pool:
                future = pool.submit(server.query, REFRESH)
                while server.query(REFRESHING) != {"data": {"status": {"refreshing": True}}}:
                    time.sleep(0.01)
                result = server.stop(signal.SIGTERM)
                assert future.result()["errors"][0]["message"]
        assert result.exit_code == 0
