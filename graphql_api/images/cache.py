"""Cache of drawn images, and their paths."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from importlib import import_module
from typing import TypeAlias

from graphql_api.domain.country import Country
from graphql_api.domain.nodes import Currency
from graphql_api.domain.snapshot import DataVersion, Ranking, Snapshot, Summary
from graphql_api.images import Theme
from graphql_api.utils.lru import LRUCache
from graphql_api.utils.slices import run_in_slices
from graphql_api.utils.tasks import retrieve_exception

logger = logging.getLogger(__name__)

_MAX_SUMMARIES = 8
"""Two rankings and two themes of two versions."""
_MAX_CARDS = 64
"""Cards of countries, 25 kB each."""
_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class SummaryImage:
    """A drawn image."""

    png: bytes
    digest: str
    """Hexadecimal digits that another image does not have, whatever the data or the drawing that makes it another."""


_Tasks: TypeAlias = LRUCache[Hashable, asyncio.Task[SummaryImage]]


def build_image_path(version: DataVersion, digest: str | None) -> str:
    """Return the path of the image of a version, relative to the site.

    Without a digest it leads to the current image.
    """
    return f"images/summary-{version}{f'-{digest}' if digest else ''}.png"


class SummaryImageCache:
    """Draws each summary image, and each card of a country, once, however many callers request it at the same time."""

    def __init__(self) -> None:
        self._summaries: _Tasks = LRUCache(_MAX_SUMMARIES)
        self._cards: _Tasks = LRUCache(_MAX_CARDS)

    async def get(
        self, snapshot: Snapshot, *, ranking: Ranking = Ranking.GDP, theme: Theme = Theme.LIGHT
    ) -> SummaryImage:
        """Return the image of a snapshot, drawn in slices unless it is cached.

        Cancelling a caller does not stop the drawing. A failed drawing raises in every caller that
        waits for it, and the next call draws again.
        """
        summary = snapshot.summarize(ranking)
        return await _get(self._summaries, (summary, theme), lambda: _draw_summary(summary, theme))

    async def get_card(self, snapshot: Snapshot, country: Country, *, theme: Theme = Theme.LIGHT) -> SummaryImage:
        """Return the card of a country, like `get`."""
        currency = snapshot.graph.find_currency(country.currency_code or "")
        return await _get(self._cards, (country, currency, theme), lambda: _draw_card(country, currency, theme))

    async def get_path(self, snapshot: Snapshot, theme: Theme = Theme.LIGHT) -> str:
        """Return the path of the image of a snapshot, without a digest if the image cannot be drawn."""
        try:
            digest = (await self.get(snapshot, theme=theme)).digest
        except Exception:
            logger.exception("The summary image could not be drawn.")
            digest = None
        path = build_image_path(snapshot.version, digest)
        return path if theme is Theme.LIGHT else f"{path}?theme={theme}"


async def _get(tasks: _Tasks, key: Hashable, draw: Callable[[], bytes]) -> SummaryImage:
    task = tasks.get(key)
    if task is None or (task.done() and (task.cancelled() or task.exception())):
        task = asyncio.create_task(_draw(draw))
        task.add_done_callback(retrieve_exception)
        tasks.put(key, task)
    return await asyncio.shield(task)


async def _draw(draw: Callable[[], bytes]) -> SummaryImage:
    await asyncio.to_thread(import_module, "PIL.ImageFont")  # delays every start, and the first image
    png = await run_in_slices(draw)
    return SummaryImage(png, hashlib.blake2b(png, digest_size=_DIGEST_BYTES).hexdigest())


def _draw_summary(summary: Summary, theme: Theme) -> bytes:
    from graphql_api.images.summary_image import draw  # noqa: PLC0415 - Pillow delays every start

    return draw(summary, theme)


def _draw_card(country: Country, currency: Currency | None, theme: Theme) -> bytes:
    from graphql_api.images.country_card import draw_card  # noqa: PLC0415 - Pillow delays every start

    return draw_card(country, currency, theme)
