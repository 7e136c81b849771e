"""Heads and caches of the pages of the site."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.requests import HTTPConnection

from graphql_api.domain.snapshot import Snapshot
from graphql_api.http.conditional import EncodedText
from graphql_api.utils.lru import LRUCache

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
    """Rendered texts of the current snapshot. They are dropped when another one is served."""

    def __init__(self, max_pages: int) -> None:
        """Hold at most this number of texts."""
        self._texts: LRUCache[Hashable, EncodedText] = LRUCache(max_pages)
        self._snapshot: Snapshot | None = None

    def get(self, snapshot: Snapshot, key: Hashable, render: Callable[[], str]) -> EncodedText:
        """Return the text of a snapshot with a key, rendered unless it is held."""
        if snapshot is not self._snapshot:
            self._texts.clear()
            self._snapshot = snapshot
        text = self._texts.get(key)
        if text is None:
            text = EncodedText(render())
            self._texts.put(key, text)
        return text
