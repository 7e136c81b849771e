"""A scrape covers all workers, whichever responds, and the counters of dead ones."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.fake_providers.server import Upstream
from tests.support.metrics_scrape import Samples, Scraper, counter_increases
from tests.support.process_state import child_pids, paused
from tests.support.processes import Process, run_command, running_server
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow

QUERY = "{ countries(first: 1) { totalCount } }"
KIND = 'kind="query"'
REQUESTS = f'graphql_api_requests_total{{{KIND},status="200"}}'


@pytest.fixture
def server(tmp_path: Path, upstream: Upstream) -> Iterator[Process]:
    """Run a server of two workers with fresh data, so that they do not refresh."""
    assert run_command(tmp_path, "refresh", **upstream.environment).exit_code == 0
    with running_server(tmp_path, **upstream.environment, WORKERS="2") as server:
        wait_until(lambda: Scraper(server).scrape()["graphql_api_workers"] == 2)
        yield server


def send_queries(server: Process, count: int) -> None:
    """Send `count` queries, each over a connection of its own, eight at once."""
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda _: server.query(QUERY), range(count)))
    assert bodies == [{"data": {"countries": {"totalCount": 250}}}] * count


def scrape_each(server: Process) -> list[Samples]:
    """Scrape each worker while the other one is paused."""
    scrapes = []
    first, second = child_pids(server.pid)
    for paused_pid in (first, second):
        with paused(paused_pid):
            scrapes.append(Scraper(server).scrape())
    return scrapes


def test_totals(server: Process) -> None:
    """Each worker reports the exact counts of both, also after one was killed and replaced."""
    before = Scraper(server).scrape()
    for worker in child_pids(server.pid):
        with paused(worker):
            for _ in range(2):  # the first one is not kept; several at once would each be a miss
                send_queries(server, 1)
    send_queries(server, 56)
    for worker in child_pids(server.pid):
        with paused(worker):
            send_queries(server, 20)
    first, second = scrape_each(server)
    assert counter_increases(before, first) == {
        REQUESTS: 100,
        f"graphql_api_request_duration_seconds_count{{{KIND}}}": 100,
        'graphql_api_cache_lookups_total{result="hit"}': 96,
        'graphql_api_cache_lookups_total{result="miss"}': 4,
    }
    assert counter_increases(first, second) == {}
    killed, surviving = child_pids(server.pid)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len({*child_pids(server.pid)} - {killed, surviving}) == 1)
    wait_until(lambda: Scraper(server).scrape()["graphql_api_workers"] == 2)
    after = Scraper(server).scrape()
    decreased = [name for name in second if "_total" in name and after[name] < second[name]]
    assert (after[REQUESTS], decreased) == (first[REQUESTS], [])
    send_queries(server, 10)
    assert [samples[REQUESTS] - after[REQUESTS] for samples in scrape_each(server)] == [10, 10]
