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
from graphql_api.http.assets import compress
from graphql_api.http.landing import Link, Moment, read_order, render
from graphql_api.http.negotiation import IDENTITY, preferred_coding
from graphql_api.http.security import policy_of

_POLICY = policy_of()
_MOST = 32
"""Pages that are kept: some 15 kB each, 70 for who takes them uncompressed alone."""


class _Page(NamedTuple):
    body: bytes
    headers: dict[str, str]
    """What is told also to whoever has the page."""
    coding: dict[str, str]

    @classmethod
    def of(cls, text: str, coding: str) -> "_Page":
        body = compress(text.encode(), coding)
        headers = {
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
        }
        return cls(body, headers, {} if coding == IDENTITY else {"Content-Encoding": coding})


class _Kept:
    """The pages of one snapshot, by their order, what they say of time, and their coding."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._pages: dict[Hashable, _Page] = {}

    def find(self, snapshot: Snapshot, key: Hashable) -> _Page | None:
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._pages.clear()
        return self._pages.get(key)

    def keep(self, key: Hashable, page: _Page) -> _Page:
        while len(self._pages) >= _MOST:
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
    playground: bool
    _kept: _Kept = field(default_factory=_Kept)

    async def landing(self, request: Request) -> Response:
        """Answer with the landing page; 503 while there is nothing to show."""
        snapshot = self.catalog.snapshot
        order = read_order(request.query_params)
        moment = Moment.of(snapshot, now=self.clock(), stale_after=self.stale_after)
        if not snapshot.rows:
            text = render(snapshot, order, moment, self._links())
            headers = {"Cache-Control": "no-store", "Retry-After": "2"}
            return _secured(HTMLResponse(text, 503, headers))
        coding = preferred_coding(",".join(request.headers.getlist("Accept-Encoding")))
        page = self._kept.find(snapshot, (order, moment, coding))
        if page is None:
            text = render(snapshot, order, moment, self._links())
            page = self._kept.keep((order, moment, coding), _Page.of(text, coding))
        if page.headers["ETag"] in request.headers.get("If-None-Match", ""):
            return _secured(Response(status_code=304, headers=page.headers))
        return _secured(HTMLResponse(page.body, headers={**page.headers, **page.coding}))

    async def schema(self, _request: Request) -> Response:
        """Answer with the schema."""
        if self.schema_text is None:
            return PlainTextResponse("The schema is not public here.\n", 404)
        return PlainTextResponse(self.schema_text)

    def _links(self) -> Iterator[Link]:
        if self.playground:
            yield Link("graphql", "Playground", "try a query")
        if self.schema_text is not None:
            yield Link("schema.graphql", "Schema", "every type, field and argument")
        yield Link("readyz", "Health", "what is served now")


def _secured(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    return response
