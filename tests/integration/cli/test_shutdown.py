"""Shutdown: /readyz reports it first, running work is finished, and nothing delays it for long."""

import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.db_faults import HUNG
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.processes import BUNDLED_SOURCES, running_server, wait_for_port
from tests.support.tcp_proxy import TCPProxy

CAPITAL = '{ country(name: "brazil") { code capital } }'
REFRESH = "mutation { refreshCountries { totalCountries inserted updated unchanged } }"
REFRESHING = "{ status { refreshing } }"
BRASILIA = {"data": {"country": {"code": "BR", "capital": "Brasilia"}}}


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_readiness_during_stop_delay(tmp_path: Path, workers: str) -> None:
    """During STOP_DELAY the server accepts and serves requests while /readyz returns 503."""
    settings = {**BUNDLED_SOURCES, "STOP_DELAY": "60", "WORKERS": workers}
    with running_server(tmp_path, **settings) as server:
        assert server.get("/readyz").status_code == 200
        server.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        while (ready := server.get("/readyz")).status_code == 200:
            assert time.monotonic() < deadline
        assert (ready.status_code, ready.json()["status"]) == (503, "stopping")
        assert server.query(CAPITAL) == BRASILIA
        # A second signal skips the rest of STOP_DELAY.
        result = server.stop(signal.SIGTERM)
    assert (result.exit_code, "ERROR" in result.stderr, "Traceback" in result.stderr) == (0, False, False)


@pytest.mark.slow
def test_stop_delay_ends(tmp_path: Path) -> None:
    """The server exits when STOP_DELAY is over."""
    with running_server(tmp_path, **BUNDLED_SOURCES, STOP_DELAY="0.3") as server:
        assert server.url
        assert server.stop(signal.SIGTERM).exit_code == 0


def test_running_refresh_is_finished(tmp_path: Path, upstream: Upstream) -> None:
    """A running refresh is finished, returned and recorded before the server exits."""
    released = threading.Event()
    with running_server(tmp_path, **upstream.environment) as server, ThreadPoolExecutor() as pool:
        server.wait_for_log("countries from geonames")
        upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=released.is_set))
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
def test_database_that_hangs(tmp_path: Path, mysql_family: MySQLFamilyServer) -> None:
    """A database that hangs delays the exit by seconds, not by DATABASE_TIMEOUT."""
    with TCPProxy(mysql_family.port) as proxy:
        url = mysql_family.url(mysql_family.create_database(), port=proxy.port)
        settings = {**BUNDLED_SOURCES, "DATABASE_URL": url, "DATABASE_TIMEOUT": "600"}
        with running_server(tmp_path, **settings) as server:
            server.wait_for_log(r"250 unchanged\)")
            with HUNG.inject(mysql_family, proxy), ThreadPoolExecutor() as pool:
                future = pool.submit(server.query, REFRESH)
                while server.query(REFRESHING) != {"data": {"status": {"refreshing": True}}}:
                    time.sleep(0.01)
                result = server.stop(signal.SIGTERM)
                assert future.result()["errors"][0]["message"]
        assert result.exit_code == 0
