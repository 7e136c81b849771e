"""Many servers and callers at once: refreshes run one at a time, and every caller gets a report."""

import asyncio
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.crash.fork_server import FolderForks, ForkedProcess
from tests.support.db_servers.process import DatabaseServer
from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Upstream
from tests.support.wait import WAIT_TIMEOUT, wait_until_async

SNAPSHOT_POLL = 0.1
REFRESH_REQUEST = {"query": "mutation { refreshCountries(force: true) { id startedAt finishedAt } }"}

WAITING_PATTERN = re.compile(r"^graphql_api_refresh_waiting_callers(?:\{.*\})? (\S+)$", re.MULTILINE)

RecordProperty = Callable[[str, object], None]

TLS = ssl.create_default_context()
"""One context for all clients: making one takes longer than a request."""

pytestmark = pytest.mark.slow


def make_client() -> httpx.AsyncClient:
    """Return a client with a connection of its own.

    They share no pool: httpx closes an idle connection of a pool that it has just lent to another.
    """
    return httpx.AsyncClient(timeout=WAIT_TIMEOUT, trust_env=False, verify=TLS)


@dataclass(frozen=True)
class CallerGroup:
    """Servers on one database, each with sources of its own, and their callers."""

    upstream: Upstream
    servers: list[ForkedProcess]
    callers_per_server: int
    """Number of callers of each server."""

    def hold_sources(self, until: Callable[[], bool] = lambda: True, delay: float = 0) -> None:
        """Hold the responses of all sources back."""
        for number in range(len(self.servers)):
            for kind, body in (("countries", COUNTRIES), ("rates", RATES)):
                reply = FakeResponse(body=body, hold_until=until, delay=delay)
                self.upstream.set_responses(f"{number}/{kind}", reply)

    async def execute(self, server: ForkedProcess, query: dict[str, str] = REFRESH_REQUEST) -> dict[str, Any]:
        """Send one request, and return its data; it must have no errors."""
        async with make_client() as client:
            return await self._post(client, server, query)

    async def all_are_waiting(self, extra: int = 0) -> bool:
        """Return whether all callers, and `extra` others, wait on their servers."""
        async with make_client() as client:
            texts = [(await client.get(f"{server.url}/metrics")).text for server in self.servers]
        waiting = sum(float(WAITING_PATTERN.findall(text)[0]) for text in texts)
        return waiting == len(self.servers) * self.callers_per_server + extra

    async def _post(self, client: httpx.AsyncClient, server: ForkedProcess, query: dict[str, str]) -> dict[str, Any]:
        body = (await client.post(f"{server.url}/graphql", json=query)).json()
        assert list(body) == ["data"], body
        data: dict[str, Any] = body["data"]
        return data

    async def refresh_all(self, times: int = 1) -> list[str]:
        """Refresh `times` times for each caller of each server, and return the refresh ids."""

        async def refresh(server: ForkedProcess) -> list[str]:
            async with make_client() as client:
                bodies = [await self._post(client, server, REFRESH_REQUEST) for _ in range(times)]
            return [body["refreshCountries"]["id"] for body in bodies]

        callers = (refresh(server) for server in self.servers for _ in range(self.callers_per_server))
        return [refresh_id for ids in await asyncio.gather(*callers) for refresh_id in ids]

    async def read_history(self) -> list[dict[str, Any]]:
        """Return the reports of all refreshes, newest first, once all servers agree on them."""
        query = {
            "query": "{ status { version } failedRefreshes { message } "
            "refreshes(first: 1000) { id startedAt finishedAt inserted updated unchanged } }"
        }

        async def servers_agree() -> bool:
            bodies = [await self.execute(server, query) for server in self.servers]
            return all(body == bodies[0] for body in bodies)

        await wait_until_async(servers_agree)
        body = await self.execute(self.servers[0], query)
        assert body["failedRefreshes"] == []
        reports: list[dict[str, Any]] = body["refreshes"]
        assert all(report["inserted"] + report["updated"] + report["unchanged"] == 250 for report in reports)
        return reports


@pytest.fixture(params=[("sqlite", 2, 10), ("mariadb", 8, 50), ("mysql", 4, 25), ("postgresql", 4, 25)], ids=str)
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, int, int]:
    """Return the URL of a new database, the number of servers, and of callers of each."""
    kind, servers, callers = request.param
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/countries.db", servers, callers
    server: DatabaseServer = request.getfixturevalue(kind)
    return server.url(server.create_database()), servers, callers


@pytest.fixture
def servers(deployment: tuple[str, int, int], upstream: Upstream, tmp_path: Path) -> Iterator[list[ForkedProcess]]:
    """Return running servers over live data, so that none refreshes at its start."""

    def settings(number: int) -> dict[str, str]:
        return {
            "DATABASE_URL": deployment[0],
            "SNAPSHOT_POLL": f"{SNAPSHOT_POLL:g}",
            "STALE_AFTER": "1000000000",
            "API_TIMEOUT": f"{WAIT_TIMEOUT:g}",
            "REFRESH_TIMEOUT": f"{WAIT_TIMEOUT:g}",
            "DATABASE_TIMEOUT": f"{WAIT_TIMEOUT:g}",
            "REQUEST_TIMEOUT": f"{WAIT_TIMEOUT:g}",
            "COUNTRIES_SOURCES": f"geonames={upstream.url}/{number}/countries,bundled",
            "RATES_SOURCES": f"er-api={upstream.url}/{number}/rates,bundled",
            "STATISTICS_SOURCES": "bundled",
        }

    upstream.set_responses("0/countries", FakeResponse(body=COUNTRIES))
    upstream.set_responses("0/rates", FakeResponse(body=RATES))
    with FolderForks(tmp_path) as fork_server:
        assert fork_server.run("refresh", **settings(0))[0] == 0
        children = [fork_server.start("serve", PORT="0", **settings(number)) for number in range(deployment[1])]
        for child in children:
            child.wait_for_output("(Ctrl-C stops)")
        yield children


async def test_one_at_a_time(
    deployment: tuple[str, int, int], servers: list[ForkedProcess], upstream: Upstream, record_property: RecordProperty
) -> None:
    """Refreshes of many callers follow each other, fetch each source once, and all get a report."""
    group = CallerGroup(upstream, servers, deployment[2])
    group.hold_sources()
    first = (await group.execute(servers[0]))["refreshCountries"]["id"]
    await group.read_history()
    seen_ids = await refresh_after_poll(group)
    race_ids = await refresh_at_once(group)
    started_at = time.monotonic()
    group.hold_sources(delay=0.2)
    visit_count = len(upstream.exchanges)
    refresh_ids = await group.refresh_all(2)
    reports = await group.read_history()
    known_ids = {report["id"] for report in reports}
    assert {first, *seen_ids, *race_ids, *refresh_ids} <= known_ids
    refresh_count = len(set(refresh_ids))
    visits_by_path = Counter(visit.path for visit in upstream.exchanges[visit_count:])
    assert max(visits_by_path.values()) <= refresh_count
    fetch_count = sum(not visit.is_abandoned for visit in upstream.exchanges[visit_count:]) / 2
    label = f"{deployment[0].split(':')[0]}, {len(servers)} processes"
    table = [
        [label, "all saw the lease", f"{len(seen_ids)} answers from {len(set(seen_ids))} refresh"],
        [label, "all at once", f"{len(race_ids)} answers from {len(set(race_ids))} refreshes"],
        [label, "two in a row", f"{len(refresh_ids)} answers from {refresh_count} refreshes"],
        [label, "two in a row", f"{sum(visits_by_path.values())} requests, {fetch_count:g} fetches answered"],
        [label, "two in a row", f"{time.monotonic() - started_at:.1f} s"],
    ]
    record_property("one refresh at a time", table)


async def refresh_after_poll(group: CallerGroup) -> list[str]:
    """Refresh on all servers after each has seen that one of them refreshes."""
    visit_count, released = len(group.upstream.exchanges), threading.Event()
    group.hold_sources(released.is_set)
    first = asyncio.create_task(group.execute(group.servers[0]))

    async def both_requested() -> bool:
        return len(group.upstream.exchanges) == visit_count + 2

    await wait_until_async(both_requested)
    await asyncio.sleep(20 * SNAPSHOT_POLL)
    refreshes = asyncio.create_task(group.refresh_all())
    await wait_until_async(lambda: group.all_are_waiting(extra=1))
    assert await both_requested()
    released.set()
    refresh_ids = await refreshes
    assert (await first)["refreshCountries"]["id"] in refresh_ids
    await group.read_history()
    return refresh_ids


async def refresh_at_once(group: CallerGroup) -> list[str]:
    """Refresh on all servers at once, after each has seen that none refreshes."""
    await asyncio.sleep(20 * SNAPSHOT_POLL)
    visit_count, released = len(group.upstream.exchanges), threading.Event()
    group.hold_sources(released.is_set)
    refreshes = asyncio.create_task(group.refresh_all())

    async def one_remains() -> bool:
        visits = group.upstream.exchanges[visit_count:]
        return sum(not visit.is_abandoned for visit in visits) == 2

    await wait_until_async(group.all_are_waiting)
    await wait_until_async(one_remains)
    visits_by_path = Counter(visit.path for visit in group.upstream.exchanges[visit_count:])
    assert set(visits_by_path.values()) == {1}
    released.set()
    refresh_ids = await refreshes
    await group.read_history()
    return refresh_ids
