"""Cache of drawn summary images, and their paths."""

import asyncio
import hashlib
import logging
from dataclasses import dataclass

from graphql_api.domain.snapshot import DataVersion, Ranking, Snapshot, Summary
from graphql_api.images import Theme
from graphql_api.utils.lru import LRUCache
from graphql_api.utils.tasks import retrieve_exception

logger = logging.getLogger(__name__)

_MAX_IMAGES = 8
"""Two rankings and two themes of two versions."""
_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class SummaryImage:
    """A drawn image."""

    png: bytes
    digest: str
    """Hexadecimal digits that another image does not have, whatever the data or the drawing that makes it another."""


def build_image_path(version: DataVersion, digest: str | None) -> str:
    """Return the path of the image of a version, relative to the site.

    Without a digest it leads to the current image.
    """
    return f"images/summary-{version}{f'-{digest}' if digest else ''}.png"


class SummaryImageCache:
    """Draws each summary image once, however many callers request it at the same time."""

    def __init__(self) -> None:
        self._tasks: LRUCache[tuple[Summary, Theme], asyncio.Task[SummaryImage]] = LRUCache(_MAX_IMAGES)

    async def get(
        self, snapshot: Snapshot, *, ranking: Ranking = Ranking.GDP, theme: Theme = Theme.LIGHT
    ) -> SummaryImage:
        """Return the image of a snapshot, drawn in a thread unless it is cached.

        Cancelling a caller does not stop the drawing. A failed drawing raises in every caller that
        waits for it, and the next call draws again.
        """
        key = (snapshot.summarize(ranking), theme)
        task = self._tasks.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.create_task(asyncio.to_thread(_draw, *key))
            task.add_done_callback(retrieve_exception)
            self._tasks.put(key, task)
        return await asyncio.shield(task)

    async def get_path(self, snapshot: Snapshot, theme: Theme = Theme.LIGHT) -> str:
        """Return the path of the image of a snapshot, without a digest if the image cannot be drawn."""
        try:
            digest = (await self.get(snapshot, theme=theme)).digest
        except Exception:
            logger.exception("The summary image could not be drawn.")
            digest = None
        path = build_image_path(snapshot.version, digest)
        return path if theme is Theme.LIGHT else f"{path}?theme={theme}"


def _draw(summary: Summary, theme: Theme) -> SummaryImage:
    from graphql_api.images.summary_image import draw  # noqa: PLC0415 - Pillow delays every start

    png = draw(summary, theme)
    return SummaryImage(png, hashlib.blake2b(png, digest_size=_DIGEST_BYTES).hexdigest())
