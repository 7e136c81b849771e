"""Heads and caches of the pages of the site."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from graphql_api.domain.snapshot import Snapshot
from graphql_api.http.conditional import EncodedText, build_text_response, get_encoding
from graphql_api.http.content_negotiation import HTML
from graphql_api.utils.lru import LRUCache
from graphql_api.utils.tasks import retrieve_exception

SITE_NAME = "Countries, by GraphQL"
GetBaseURL: TypeAlias = Callable[[HTTPConnection], str]
"""Returns PUBLIC_URL, or the URL by which the client reaches the site. It does not end with a slash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageHead:
    """The head of a page: what browsers, search engines and previews of links show of it."""

    title: str
    description: str
    base_url: str
    """Absolute URL of the site, without a slash at its end."""
    path: str = ""
    """Path of the page, relative to the site."""
    image_path: str = "images/summary.png"
    """Path of the image of previews, relative to the site."""

    @property
    def url(self) -> str:
        """Return the canonical URL of the page."""
        return f"{self.base_url}/{self.path}"

    @property
    def image_url(self) -> str:
        """Return the absolute URL of the image."""
        return f"{self.base_url}/{self.image_path}"


class PageCache:
    """Rendered pages of the current snapshot. They are dropped when another one is served.

    Rendering a table of 250 countries takes some 25 ms and compressing it 5 ms, so threads do both.
    """

    def __init__(self, max_pages: int) -> None:
        """Hold at most this number of pages."""
        self._tasks: LRUCache[Hashable, asyncio.Task[EncodedText]] = LRUCache(max_pages)
        self._snapshot: Snapshot | None = None

    async def respond(  # noqa: PLR0913 - what a page is, and what of the response is its own
        self,
        request: Request,
        snapshot: Snapshot,
        key: Hashable,
        render: Callable[[], str],
        *,
        headers: Mapping[str, str],
        media_type: str = HTML,
    ) -> Response:
        """Return the page of a snapshot with a key, rendered unless it is held; a 304 if the client holds it."""
        text = await self._get_text(snapshot, key, render)
        encoding = get_encoding(request)
        if not text.has(encoding):
            await asyncio.to_thread(text.represent, encoding)
        return build_text_response(request, text, headers, media_type)

    async def _get_text(self, snapshot: Snapshot, key: Hashable, render: Callable[[], str]) -> EncodedText:
        """Return a rendered text. However many callers wait for it, it is rendered once."""
        if snapshot is not self._snapshot:
            self._tasks.clear()
            self._snapshot = snapshot
        task = self._tasks.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.create_task(asyncio.to_thread(lambda: EncodedText(render())))
            task.add_done_callback(retrieve_exception)
            self._tasks.put(key, task)
        return await asyncio.shield(task)
