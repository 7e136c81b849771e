"""What people read: the landing page and the text of the schema."""

import hashlib
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from graphql_api.catalog import Catalog
from graphql_api.domain.snapshot import Snapshot
from graphql_api.http.conditional import build_not_modified
from graphql_api.http.content_negotiation import IDENTITY, negotiate_encoding
from graphql_api.http.middleware.security_headers import build_csp
from graphql_api.http.site.landing import Freshness, Link, parse_sort_key, render
from graphql_api.http.site.static_files import compress

_CSP = build_csp()
_MAX_PAGES = 32
"""Pages that are kept: some 15 kB each, 70 for who takes them uncompressed alone."""


class _RenderedPage(NamedTuple):
    body: bytes
    headers: dict[str, str]
    """What is told also to whoever has the page."""
    encoding_headers: dict[str, str]

    @classmethod
    def of(cls, text: str, encoding: str) -> "_RenderedPage":
        body = compress(text.encode(), encoding)
        headers = {
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
        }
        return cls(body, headers, {} if encoding == IDENTITY else {"Content-Encoding": encoding})


class _PageCache:
    """The pages of one snapshot, by their order, what they say of time, and their coding."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._pages: dict[Hashable, _RenderedPage] = {}

    def find(self, snapshot: Snapshot, key: Hashable) -> _RenderedPage | None:
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._pages.clear()
        return self._pages.get(key)

    def add(self, key: Hashable, page: _RenderedPage) -> _RenderedPage:
        while len(self._pages) >= _MAX_PAGES:
            del self._pages[next(iter(self._pages))]
        self._pages[key] = page
        return page


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEndpoints:
    """Serves the pages; what is switched off is not linked."""

    catalog: Catalog
    clock: Callable[[], datetime]
    stale_after: timedelta
    schema_text: str | None
    """The schema in its own language; None where it is not to be told."""
    has_playground: bool
    _page_cache: _PageCache = field(default_factory=_PageCache)

    async def landing(self, request: Request) -> Response:
        """Answer with the landing page; 503 while there is nothing to show."""
        snapshot = self.catalog.snapshot
        order = parse_sort_key(request.query_params)
        freshness = Freshness.of(snapshot, now=self.clock(), stale_after=self.stale_after)
        if not snapshot.rows:
            text = render(snapshot, order, freshness, self._links())
            headers = {"Cache-Control": "no-store", "Retry-After": "2"}
            return _add_csp(HTMLResponse(text, 503, headers))
        encoding = negotiate_encoding(",".join(request.headers.getlist("Accept-Encoding")))
        page = self._page_cache.find(snapshot, (order, freshness, encoding))
        if page is None:
            text = render(snapshot, order, freshness, self._links())
            page = self._page_cache.add(
                (order, freshness, encoding), _RenderedPage.of(text, encoding)
            )
        headers = {**page.headers, **page.encoding_headers}
        not_modified = build_not_modified(request, page.headers)
        return _add_csp(not_modified or HTMLResponse(page.body, headers=headers))

    async def schema(self, _request: Request) -> Response:
        """Answer with the schema."""
        if self.schema_text is None:
            return PlainTextResponse("The schema is not public here.\n", 404)
        return PlainTextResponse(self.schema_text)

    def _links(self) -> Iterator[Link]:
        if self.has_playground:
            yield Link("graphql", "Playground", "try a query")
        if self.schema_text is not None:
            yield Link("schema.graphql", "Schema", "every type, field and argument")
        yield Link("readyz", "Health", "what is served now")


def _add_csp(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _CSP
    return response
