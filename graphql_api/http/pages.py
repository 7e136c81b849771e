"""What people read: the landing page and the text of the schema."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from graphql_api.catalog import Catalog
from graphql_api.http.answers import Answer, Answers, Asked
from graphql_api.http.landing import Link, Moment, read_order, render
from graphql_api.http.negotiation import HTML, preferred_coding
from graphql_api.http.security import policy_of

_POLICY = policy_of()
_KEPT = 2_000_000
"""Bytes of pages that are kept, each plain and compressed: some twenty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEndpoints:
    """Serves the pages; what is switched off is not linked."""

    catalog: Catalog
    clock: Callable[[], datetime]
    stale_after: timedelta
    schema_text: str | None
    """The schema in its own language; None where it is not to be told."""
    playground: bool
    _pages: Answers = field(default_factory=lambda: Answers(limit=_KEPT, max_age=0))

    async def landing(self, request: Request) -> Response:
        """Answer with the landing page; 503 while there is nothing to show."""
        snapshot = self.catalog.snapshot
        order = read_order(request.query_params)
        moment = Moment.of(snapshot, now=self.clock(), stale_after=self.stale_after)
        if not snapshot.rows:
            page = render(snapshot, order, moment, self._links())
            headers = {"Cache-Control": "no-store", "Retry-After": "2"}
            return _secured(HTMLResponse(page, 503, headers))
        coding = preferred_coding(",".join(request.headers.getlist("Accept-Encoding")))
        asked = Asked("GET", repr((order, moment)).encode(), HTML, coding)
        tag = self._pages.tag(asked, snapshot)
        if tag.decode() in request.headers.get("If-None-Match", ""):
            return _respond(self._pages.not_modified(tag))
        answer = self._pages.find(asked, snapshot)
        if answer is None:
            page = render(snapshot, order, moment, self._links())
            answer = self._pages.add(asked, page.encode(), snapshot)
        return _respond(answer)

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


def _respond(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    response.raw_headers = list(answer.headers)
    return _secured(response)


def _secured(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    return response
