"""What people read: the landing page and the text of the schema."""

from dataclasses import dataclass
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from graphql_api.catalog import Catalog
from graphql_api.http.security import policy_of
from graphql_api.picture import SIZE, describe

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Countries, by GraphQL</title>
<style>
  body {{ font: 1.05rem/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
         padding: 0 1.5rem; }}
  h1 {{ line-height: 1.2; }}
  img {{ width: 100%; height: auto; border-radius: .5rem; }}
  li {{ margin: .3rem 0; }}
</style>
<h1>Countries, by GraphQL</h1>
<p>The world’s countries with population, capital, currency, exchange rate and an estimated GDP,
filtered and sorted as you ask.</p>
<ul>
{links}
</ul>
<p><img src="{picture}" width="{width}" height="{height}" alt="{alt}"></p>
</html>
"""
_LINK = '  <li><a href="{path}">{text}</a></li>'


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEndpoints:
    """Serves the pages; what is switched off is not linked."""

    catalog: Catalog
    schema_text: str | None
    """The schema in its own language; None where it is not to be told."""
    playground: bool

    async def landing(self, _request: Request) -> Response:
        """Answer with the landing page."""
        snapshot = self.catalog.snapshot
        width, height = SIZE
        page = _PAGE.format(
            links="\n".join(_LINK.format(path=path, text=text) for path, text in self._links()),
            picture=f"images/summary-{snapshot.version}.png",
            width=width,
            height=height,
            alt=escape(describe(snapshot.summary())),
        )
        policy = policy_of(page)
        return HTMLResponse(
            page, headers={"Cache-Control": "no-cache", "Content-Security-Policy": policy}
        )

    async def schema(self, _request: Request) -> Response:
        """Answer with the schema."""
        if self.schema_text is None:
            return PlainTextResponse("The schema is not public here.\n", 404)
        return PlainTextResponse(self.schema_text)

    def _links(self) -> list[tuple[str, str]]:
        links = [("readyz", "Health: what is served now")]
        if self.schema_text is not None:
            links.insert(0, ("schema.graphql", "Schema"))
        if self.playground:
            links.insert(0, ("graphql", "Playground: try a query"))
        return links
