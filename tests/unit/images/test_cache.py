"""The cache of summary images."""

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Any

import pytest

from graphql_api.domain.snapshot import Ranking, Snapshot
from graphql_api.images import Theme, summary_text
from graphql_api.images.cache import SummaryImageCache
from graphql_api.images.country_card import draw_card
from graphql_api.images.summary_image import build_layout, draw
from tests.support.call_counts import counted_steps
from tests.support.factories import make_country, make_snapshot


def make_sized_snapshot(total: int, gdp: float = 1e9) -> Snapshot:
    """Return a snapshot of `total` countries; each number gives another image."""
    rows = [make_country(f"{number:02}", gdp=gdp) for number in range(total)]
    return Snapshot.from_rows(rows, {})


UNDRAWABLE = make_sized_snapshot(1, float("nan"))
"""Fails to draw: no stored GDP is NaN."""


async def test_image_is_drawn_once() -> None:
    """Concurrent and later callers get the bytes that were drawn first."""
    images = SummaryImageCache()
    first, *others = await asyncio.gather(*(images.get(make_sized_snapshot(1)) for _ in range(5)))
    others.append(await images.get(make_sized_snapshot(1)))
    assert first.png == draw(make_sized_snapshot(1).summarize())
    assert [image is first for image in others] == [True] * 5


async def test_digest() -> None:
    """The digest is that of the PNG, so it differs for other data and for another drawing of the same."""
    images = SummaryImageCache()
    drawn = [await images.get(make_sized_snapshot(total)) for total in (1, 1, 2)]
    assert [image.digest for image in drawn] == [blake2b(image.png, digest_size=8).hexdigest() for image in drawn]
    assert [image.digest == drawn[0].digest for image in drawn] == [True, True, False]


async def test_drawn_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that draws the same data otherwise has another path for it."""
    snapshot = make_sized_snapshot(1)
    path = await SummaryImageCache().get_path(snapshot)
    assert await SummaryImageCache().get_path(make_sized_snapshot(1)) == path
    monkeypatch.setitem(summary_text.TITLES, Ranking.GDP, "Largest GDP")
    assert await SummaryImageCache().get_path(snapshot) != path


async def test_path() -> None:
    """A path has version, digest and theme, or no digest if the image cannot be drawn."""
    images, snapshot = SummaryImageCache(), make_sized_snapshot(1)
    dark = await images.get(snapshot, theme=Theme.DARK)
    assert await images.get_path(snapshot) == f"images/summary-1-1-{(await images.get(snapshot)).digest}.png"
    assert await images.get_path(snapshot, theme=Theme.DARK) == f"images/summary-1-1-{dark.digest}.png?theme=dark"
    assert await images.get_path(UNDRAWABLE) == "images/summary-1-1.png"


async def test_eight_images_are_cached() -> None:
    """The ninth image evicts the least recently used one and no other."""
    images = SummaryImageCache()
    drawn = [await images.get(make_sized_snapshot(total)) for total in range(9)]
    assert len({image.digest for image in drawn}) == 9
    is_cached = [await images.get(make_sized_snapshot(total)) is drawn[total] for total in (*range(1, 9), 0)]
    assert is_cached == [True] * 8 + [False]


async def test_cards() -> None:
    """The card of a country is drawn once per theme, and again if a figure of the country changes."""
    images = SummaryImageCache()
    france, changed = make_country("FR", gdp=2e12), make_country("FR", gdp=3e12)
    snapshot = make_snapshot([france])
    light = await images.get_card(snapshot, france)
    assert light.png == draw_card(france, snapshot.graph.find_currency("EUR"))
    assert await images.get_card(snapshot, france) is light
    others = [await images.get_card(snapshot, france, theme=Theme.DARK), await images.get_card(snapshot, changed)]
    assert len({image.digest for image in (light, *others)}) == 3


async def test_cards_evict_no_summaries() -> None:
    """Cards of many countries evict the oldest of them, and no image of the summary."""
    images, snapshot = SummaryImageCache(), make_snapshot([make_country("FR")])
    images._cards.max_size = 2
    summary = await images.get(snapshot)
    cards = [await images.get_card(snapshot, make_country("FR", population=count)) for count in range(3)]
    assert await images.get(snapshot) is summary
    assert await images.get_card(snapshot, make_country("FR", population=2)) is cards[2]
    assert await images.get_card(snapshot, make_country("FR", population=0)) is not cards[0]


async def test_rankings_and_themes_are_images() -> None:
    """Each ranking in each theme is an image of its own, drawn once."""
    images, snapshot = SummaryImageCache(), make_sized_snapshot(2)
    drawn = {
        (ranking, theme): await images.get(snapshot, ranking=ranking, theme=theme)
        for ranking in Ranking
        for theme in Theme
    }
    assert len({image.digest for image in drawn.values()}) == 4
    assert await images.get(snapshot) is drawn[Ranking.GDP, Theme.LIGHT]
    for (ranking, theme), image in drawn.items():
        assert await images.get(snapshot, ranking=ranking, theme=theme) is image
        assert image.png == draw(snapshot.summarize(ranking), theme)


async def test_cancelled_caller() -> None:
    """Cancelling a caller stops neither the drawing nor another caller."""
    images = SummaryImageCache()
    cancelled = asyncio.create_task(images.get(make_sized_snapshot(1)))
    waiting = asyncio.create_task(images.get(make_sized_snapshot(1)))
    await asyncio.sleep(0)
    cancelled.cancel()
    image = await waiting
    assert cancelled.cancelled()
    assert await images.get(make_sized_snapshot(1)) is image


async def test_failed_drawing_is_retried() -> None:
    """A failed drawing raises in every waiting caller, and the next call draws again."""
    images = SummaryImageCache()
    requests = (images.get(UNDRAWABLE), images.get(UNDRAWABLE))
    first, second = await asyncio.gather(*requests, return_exceptions=True)
    assert (type(first), first is second) == (ValueError, True)
    with pytest.raises(ValueError, match="cannot convert float NaN to integer") as exc_info:
        await images.get(UNDRAWABLE)
    assert exc_info.value is not first


async def test_failure_without_caller() -> None:
    """A failed drawing whose callers were all cancelled reports nothing to the event loop."""
    reported: list[dict[str, Any]] = []
    loop, unblock, images = asyncio.get_running_loop(), threading.Event(), SummaryImageCache()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    loop.set_default_executor(ThreadPoolExecutor(1))
    blocker = loop.run_in_executor(None, unblock.wait)
    task = asyncio.create_task(images.get(UNDRAWABLE))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    unblock.set()
    assert await blocker is True
    drawing = images._summaries.get((UNDRAWABLE.summarize(), Theme.LIGHT))
    assert drawing is not None
    await asyncio.wait([drawing])
    assert task.cancelled()
    del task, images, drawing
    gc.collect()
    assert reported == []


async def test_slices() -> None:
    """A drawing lets the event loop go on before each text or bar, and before each line of pixels it compresses."""
    snapshot = make_sized_snapshot(2)
    boxes, lines = len(build_layout(snapshot.summarize())), 630
    with counted_steps() as steps:
        await SummaryImageCache().get(snapshot)
    assert len(steps) > boxes + lines
