"""A scrape tells of all workers, whichever answers it, and of those that have died."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.running import Process, run, serving
from tests.cli.test_workers import paused, wait, workers_of
from tests.http.scraping import Scraper, Series, counted
from tests.upstream.server import Upstream

pytestmark = pytest.mark.slow

QUERY = "{ countries(first: 1) { totalCount } }"
KIND = 'kind="query"'
REQUESTS = f'graphql_api_requests_total{{{KIND},status="200"}}'


@pytest.fixture
def server(tmp_path: Path, upstream: Upstream) -> Iterator[Process]:
    """Lend a server of two workers, which have no reason to refresh."""
    assert run(tmp_path, "refresh", **upstream.environment).code == 0
    with serving(tmp_path, **upstream.environment, WORKERS="2") as server:
        wait(lambda: Scraper(server).scrape()["graphql_api_workers"] == 2)
        yield server


def ask(server: Process, times: int) -> None:
    """Ask so often, each time over a connection of its own, several at once."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: server.query(QUERY), range(times)))
    assert answers == [{"data": {"countries": {"totalCount": 250}}}] * times


def by_each(server: Process) -> list[Series]:
    """Scrape each worker, while the other one cannot answer."""
    told = []
    one, other = workers_of(server)
    for silent in (one, other):
        with paused(silent):
            told.append(Scraper(server).scrape())
    return told


def test_one_number(server: Process) -> None:
    """What both have answered is told exactly by each, also after one was killed and replaced."""
    before = Scraper(server).scrape()
    ask(server, 60)
    for worker in workers_of(server):
        with paused(worker):
            ask(server, 20)
    first, second = by_each(server)
    assert counted(before, first) == {
        REQUESTS: 100,
        f"graphql_api_request_duration_seconds_count{{{KIND}}}": 100,
        'graphql_api_cache_lookups_total{result="hit"}': 98,
        'graphql_api_cache_lookups_total{result="miss"}': 2,
    }
    assert counted(first, second) == {}
    killed, kept = workers_of(server)
    os.kill(killed, signal.SIGKILL)
    wait(lambda: len({*workers_of(server)} - {killed, kept}) == 1)
    wait(lambda: Scraper(server).scrape()["graphql_api_workers"] == 2)
    after = Scraper(server).scrape()
    fallen = [name for name in second if "_total" in name and after[name] < second[name]]
    assert (after[REQUESTS], fallen) == (first[REQUESTS], [])
    ask(server, 10)
    assert [told[REQUESTS] - after[REQUESTS] for told in by_each(server)] == [10, 10]
