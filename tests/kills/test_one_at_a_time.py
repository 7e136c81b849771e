"""Eight servers and four hundred callers at once: one refresh at a time, and all are answered."""

import asyncio
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kills.spawner import Child, Spawner
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.upstream.server import COUNTRIES, RATES, Answer, Upstream

PATIENCE = 120.0
"""Seconds after which a wait is a failure of the test; no test that passes waits so long."""
POLL = 0.1
ASKED = {"query": "mutation { refreshCountries(force: true) { id startedAt finishedAt } }"}

WAITING = re.compile(r"^graphql_api_refresh_waiting_callers(?:\{.*\})? (\S+)$", re.MULTILINE)

Record = Callable[[str, object], None]

TLS = ssl.create_default_context()
"""Made once for all clients, though none of them needs it: that takes longer than a call."""

pytestmark = pytest.mark.slow


def caller() -> httpx.AsyncClient:
    """Return one caller, whose connection stays.

    They share no pool: httpx closes an idle connection of a pool that it has just lent to another.
    """
    return httpx.AsyncClient(timeout=PATIENCE, trust_env=False, verify=TLS)


def address(server: Child) -> str:
    """Return where a server listens."""
    return f"http://{server.stderr.split('http://')[1].split(' ')[0].split('/')[0]}"


@dataclass(frozen=True)
class Crowd:
    """Servers on one database, each of which asks sources of its own, and their callers."""

    upstream: Upstream
    servers: list[Child]
    each: int
    """How many callers a server has."""

    def hold(self, until: Callable[[], bool] = lambda: True, delay: float = 0) -> None:
        """Hold the answers of all sources back."""
        for number in range(len(self.servers)):
            for kind, body in (("countries", COUNTRIES), ("rates", RATES)):
                answer = Answer(body=body, until=until, delay=delay)
                self.upstream.answer(f"{number}/{kind}", answer)

    async def ask(self, server: Child, query: dict[str, str] = ASKED) -> dict[str, Any]:
        """Ask once, and return the data of the answer, which has no errors."""
        async with caller() as client:
            return await self._post(client, server, query)

    async def all_wait(self, others: int = 0) -> bool:
        """Tell whether all callers have got through to their servers, and these others."""
        async with caller() as client:
            told = [(await client.get(f"{address(one)}/metrics")).text for one in self.servers]
        waiting = sum(float(WAITING.findall(text)[0]) for text in told)
        return waiting == len(self.servers) * self.each + others

    async def _post(
        self, client: httpx.AsyncClient, server: Child, query: dict[str, str]
    ) -> dict[str, Any]:
        answer = (await client.post(f"{address(server)}/graphql", json=query)).json()
        assert list(answer) == ["data"], answer
        data: dict[str, Any] = answer["data"]
        return data

    async def call(self, times: int = 1) -> list[str]:
        """Ask every server for a refresh, as often as it has callers, and return the answers."""

        async def refresh(server: Child) -> list[str]:
            async with caller() as client:
                answers = [await self._post(client, server, ASKED) for _ in range(times)]
            return [answer["refreshCountries"]["id"] for answer in answers]

        callers = (refresh(server) for server in self.servers for _ in range(self.each))
        return [answer for answers in await asyncio.gather(*callers) for answer in answers]

    async def history(self) -> list[dict[str, Any]]:
        """Return the reports of all refreshes so far, the newest first, once all have heard."""
        query = {
            "query": "{ status { version } failedRefreshes { message } "
            "refreshes(first: 1000) { id startedAt finishedAt inserted updated unchanged } }"
        }

        async def agree() -> bool:
            answers = [await self.ask(server, query) for server in self.servers]
            return all(answer == answers[0] for answer in answers)

        await until(agree)
        answer = await self.ask(self.servers[0], query)
        assert answer["failedRefreshes"] == []
        reports: list[dict[str, Any]] = answer["refreshes"]
        assert all(one["inserted"] + one["updated"] + one["unchanged"] == 250 for one in reports)
        return reports


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something has come true."""
    async with asyncio.timeout(PATIENCE):
        while not await true():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)


@pytest.fixture(params=[("sqlite", 2, 10), ("mariadb", 8, 50), ("postgresql", 4, 25)], ids=str)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, int, int]:
    """Return a database that nobody has used, how many servers there are, and callers of each."""
    kind, servers, callers = request.param
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/countries.db", servers, callers
    server: MariaDB | PostgreSQL = request.getfixturevalue(kind)
    return server.url(server.create_database()), servers, callers


@pytest.fixture
def servers(
    place: tuple[str, int, int], upstream: Upstream, tmp_path: Path
) -> Iterator[list[Child]]:
    """Lend so many servers that run, over live data: none refreshes because it has just started."""

    def settings(number: int) -> dict[str, str]:
        return {
            "DATABASE_URL": place[0],
            "SNAPSHOT_POLL": f"{POLL:g}",
            "STALE_AFTER": "1000000000",
            "API_TIMEOUT": f"{PATIENCE:g}",
            "REFRESH_TIMEOUT": f"{PATIENCE:g}",
            "DATABASE_TIMEOUT": f"{PATIENCE:g}",
            "REQUEST_TIMEOUT": f"{PATIENCE:g}",
            "COUNTRIES_SOURCES": f"geonames={upstream.url}/{number}/countries,bundled",
            "RATES_SOURCES": f"er-api={upstream.url}/{number}/rates,bundled",
        }

    upstream.answer("0/countries", Answer(body=COUNTRIES))
    upstream.answer("0/rates", Answer(body=RATES))
    with Spawner(tmp_path) as spawner:
        assert spawner.run("refresh", **settings(0))[0] == 0
        children = [
            spawner.start("serve", PORT="0", **settings(number)) for number in range(place[1])
        ]
        for child in children:
            child.wait_until_said("(Ctrl-C stops)")
        yield children


async def test_one_at_a_time(
    place: tuple[str, int, int],
    servers: list[Child],
    upstream: Upstream,
    record_property: Record,
) -> None:
    """However many ask, refreshes follow one another, ask each source once, and answer all."""
    crowd = Crowd(upstream, servers, place[2])
    crowd.hold()
    first = (await crowd.ask(servers[0]))["refreshCountries"]["id"]
    await crowd.history()
    seen = await after_a_look(crowd)
    race = await all_at_once(crowd)
    begun = time.monotonic()
    crowd.hold(delay=0.2)
    asked = len(upstream.visits)
    answers = await crowd.call(2)
    reports = await crowd.history()
    known = {report["id"] for report in reports}
    assert {first, *seen, *race, *answers} <= known
    ran = len(set(answers))
    each = Counter(visit.path for visit in upstream.visits[asked:])
    assert max(each.values()) <= ran
    served = sum(not visit.left for visit in upstream.visits[asked:]) / 2
    where = f"{place[0].split(':')[0]}, {len(servers)} processes"
    table = [
        [where, "all saw the lease", f"{len(seen)} answers from {len(set(seen))} refresh"],
        [where, "all at once", f"{len(race)} answers from {len(set(race))} refreshes"],
        [where, "two in a row", f"{len(answers)} answers from {ran} refreshes"],
        [where, "two in a row", f"{sum(each.values())} requests, {served:g} fetches answered"],
        [where, "two in a row", f"{time.monotonic() - begun:.1f} s"],
    ]
    record_property("one refresh at a time", table)


async def after_a_look(crowd: Crowd) -> list[str]:
    """Let all servers see that one of them refreshes before the others are asked."""
    asked, released = len(crowd.upstream.visits), threading.Event()
    crowd.hold(released.is_set)
    first = asyncio.create_task(crowd.ask(crowd.servers[0]))

    async def both() -> bool:
        return len(crowd.upstream.visits) == asked + 2

    await until(both)
    await asyncio.sleep(20 * POLL)
    calls = asyncio.create_task(crowd.call())
    await until(lambda: crowd.all_wait(others=1))
    assert await both()
    released.set()
    answers = await calls
    assert (await first)["refreshCountries"]["id"] in answers
    await crowd.history()
    return answers


async def all_at_once(crowd: Crowd) -> list[str]:
    """Let all servers be asked at once, when the last look has shown that nobody refreshes."""
    await asyncio.sleep(20 * POLL)
    asked, released = len(crowd.upstream.visits), threading.Event()
    crowd.hold(released.is_set)
    calls = asyncio.create_task(crowd.call())

    async def one_is_left() -> bool:
        new = crowd.upstream.visits[asked:]
        return sum(not visit.left for visit in new) == 2

    await until(crowd.all_wait)
    await until(one_is_left)
    each = Counter(visit.path for visit in crowd.upstream.visits[asked:])
    assert set(each.values()) == {1}
    released.set()
    answers = await calls
    await crowd.history()
    return answers
