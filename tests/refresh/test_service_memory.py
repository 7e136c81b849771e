"""No needless asking: what sources said is kept, told from live, and outlives the process."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from graphql_api.domain.report import RefreshReport, SourceKind
from graphql_api.errors import SourceUnavailable
from graphql_api.sources.keeping import Memory
from tests.refresh.running import DOWN, START, Before, Running, asking, running
from tests.upstream.server import COUNTRIES, RATES, Answer, Reply, Request, Upstream

TOMORROW = START + timedelta(days=1)


@pytest.fixture
async def second(path: Path, upstream: Upstream, home: Running) -> AsyncIterator[Running]:
    """Lend another process on the same database."""
    assert home.path == path
    async with running(path, asking(upstream), name="second") as started:
        yield started


@pytest.fixture(autouse=True)
def answers(upstream: Upstream) -> None:
    """Let the sources say when they have something new, as the real ones do."""
    upstream.answer("countries", revalidating('"1"'))
    upstream.answer("rates", Answer(body=due(TOMORROW.timestamp())))


def revalidating(etag: str, until: Callable[[], bool] = lambda: True) -> Reply:
    """Return what answers with the countries, or that they are what they were."""

    def reply(request: Request) -> Answer:
        if request.headers.get("if-none-match") == etag:
            return Answer(status=304, until=until)
        return Answer(body=COUNTRIES, headers={"ETag": etag}, until=until)

    return reply


def due(next_update: float) -> bytes:
    """Return the rates, with the instant of their next update."""
    return json.dumps({**json.loads(RATES), "time_next_update_unix": int(next_update)}).encode()


def told(report: RefreshReport) -> list[tuple[str, bool, bool]]:
    """Return who answered, whether live, and whether as kept."""
    return [(source.provider, source.live, source.cached) for source in report.sources]


FIRST = [("geonames", True, False), ("er-api", True, False)]
SECOND = [("geonames", True, False), ("er-api", False, True)]


async def test_second_refresh(upstream: Upstream, home: Running) -> None:
    """The rates are not asked for before they are new, the countries only for what is new."""
    first = await home.service.refresh()
    second = await home.service.refresh()
    assert (told(first), told(second)) == (FIRST, SECOND)
    assert (upstream.asked("countries"), upstream.asked("rates")) == (2, 1)
    assert [source.as_of for source in second.sources] == [source.as_of for source in first.sources]
    assert (second.total_countries, second.unchanged, second.skipped) == (250, 250, first.skipped)
    assert (second.version.revision, second.statements) == (2, 1)


async def test_after_a_restart(upstream: Upstream, path: Path) -> None:
    """A process that starts anew knows what the one before it was told."""
    for _ in range(2):
        async with running(path, asking(upstream)) as started:
            await started.catalog.sync()
            report = await started.service.refresh()
    assert told(report) == SECOND
    assert (upstream.asked("countries"), upstream.asked("rates")) == (2, 1)
    assert upstream.requests[-1].headers["if-none-match"] == '"1"'


async def test_on_another_replica(upstream: Upstream, home: Running, second: Running) -> None:
    """A replica that has looked at the database knows what another one was told."""
    await home.service.refresh()
    await home.service.close()
    await second.catalog.sync()
    assert second.catalog.memory == home.catalog.memory
    assert told(await second.service.refresh()) == SECOND
    assert upstream.asked("rates") == 1


async def test_force(upstream: Upstream, home: Running) -> None:
    """Whoever insists has every source asked, as if nothing were known."""
    await home.service.refresh()
    report = await home.service.refresh(force=True)
    assert told(report) == FIRST
    assert (upstream.asked("countries"), upstream.asked("rates")) == (2, 2)
    assert "if-none-match" not in upstream.requests[-1].headers


async def test_force_while_another_runs(upstream: Upstream, home: Running) -> None:
    """Whoever insists and joins a refresh that has not asked every source gets one that does."""
    released = threading.Event()
    await home.service.refresh()
    upstream.answer("countries", revalidating('"1"', released.is_set))
    patient = asyncio.create_task(home.service.refresh())
    await asyncio.to_thread(upstream.wait_until_asked, "countries", 2)
    insisting = [asyncio.create_task(home.service.refresh(force=True)) for _ in range(3)]
    await asyncio.sleep(0)
    released.set()
    assert told(await patient) == SECOND
    reports = await asyncio.gather(*insisting)
    assert told(reports[0]) == FIRST
    assert reports == [reports[0]] * 3
    assert (upstream.asked("countries"), upstream.asked("rates")) == (3, 2)


async def test_something_new(upstream: Upstream, home: Running) -> None:
    """New countries and new rates are taken, and remembered in the place of the old ones."""
    await home.service.refresh()
    upstream.answer("countries", revalidating('"2"'))
    assert told(await home.service.refresh()) == SECOND
    await home.service.close()
    kept = (await home.reloaded()).memory.countries
    assert kept is not None
    assert kept.validators.etag == '"2"'


async def test_deleted_country(upstream: Upstream, home: Running) -> None:
    """A deleted country returns though the source has nothing new."""
    await home.service.refresh()
    await home.catalog.delete(home.catalog.snapshot.by_code["FR"])
    report = await home.service.refresh()
    assert (report.inserted, report.total_countries) == (1, 250)
    assert upstream.requests[-1].headers["if-none-match"] == '"1"'


async def test_one_kind_kept_and_the_other_down(upstream: Upstream, careful: Running) -> None:
    """Kept rates do not make up for countries that are down: all or nothing."""
    await careful.service.refresh()
    before, memory = await Before.of(careful), careful.catalog.memory
    upstream.answer("countries", DOWN)
    with pytest.raises(SourceUnavailable) as raised:
        await careful.service.refresh()
    assert str(raised.value) == (
        "No live source of countries could be used, and bundled data never replaces live data. "
        "geonames: it answered with status 500."
    )
    assert await before.is_unchanged()
    assert careful.catalog.memory == memory
    assert upstream.asked("rates") == 1


@pytest.mark.parametrize("down", list(SourceKind))
async def test_one_kind_live_and_the_other_down(
    upstream: Upstream, careful: Running, down: SourceKind
) -> None:
    """With live data stored one kind that is down is a failure, whichever it is."""
    await careful.service.refresh()
    before = await Before.of(careful)
    upstream.answer(down, DOWN)
    with pytest.raises(SourceUnavailable) as raised:
        await careful.service.refresh(force=True)
    assert str(raised.value).startswith(f"No live source of {down} could be used")
    assert await before.is_unchanged()


async def test_failed_refresh_is_not_remembered(upstream: Upstream, home: Running) -> None:
    """What was heard in a refresh that failed is not kept: nothing of it was stored."""
    upstream.answer("countries", DOWN)
    with pytest.raises(SourceUnavailable):
        await home.service.refresh()
    await home.service.close()
    assert home.catalog.memory == (await home.reloaded()).memory == Memory()
