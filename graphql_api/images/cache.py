"""Cache of drawn summary images."""

import asyncio

from graphql_api.domain.snapshot import Snapshot, Summary
from graphql_api.utils.lru import LRUCache
from graphql_api.utils.tasks import retrieve_exception

_MAX_IMAGES = 4


class SummaryImageCache:
    """Draws each summary image once, however many callers request it at the same time."""

    def __init__(self) -> None:
        self._tasks: LRUCache[Summary, asyncio.Task[bytes]] = LRUCache(_MAX_IMAGES)

    async def get(self, snapshot: Snapshot) -> bytes:
        """Return the image of a snapshot as PNG, drawn in a thread unless it is cached.

        Cancelling a caller does not stop the drawing. A failed drawing raises in every caller that
        waits for it, and the next call draws again.
        """
        summary = snapshot.summarize()
        task = self._tasks.get(summary)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.create_task(asyncio.to_thread(_draw, summary))
            task.add_done_callback(retrieve_exception)
            self._tasks.put(summary, task)
        return await asyncio.shield(task)


def _draw(summary: Summary) -> bytes:
    from graphql_api.images.summary_image import draw  # noqa: PLC0415 - Pillow delays every start

    return draw(summary)
