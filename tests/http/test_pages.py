"""The pages for people: well formed, every link and picture loads, and the schema is the schema."""

from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.requests import Request

from graphql_api.http.pages import PageEndpoints
from graphql_api.picture import describe
from tests.rows import make_country
from tests.schema.asking import SCHEMA, offline
from tests.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")
VOID = {"meta", "img"}


class Page(HTMLParser):
    """A page as a browser reads it: what is open is closed, in order."""

    def __init__(self, text: str) -> None:
        """Read the page."""
        super().__init__()
        self.declaration = ""
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_decl(self, decl: str) -> None:
        """Keep the declaration."""
        self.declaration = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the element that is open."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the text that is shown."""
        if "style" not in self._open:
            self.text += data

    def all(self, tag: str) -> list[Mapping[str, str | None]]:
        """Return the attributes of each element of that name."""
        return [attributes for name, attributes in self.tags if name == tag]


async def test_landing_page(server: Server) -> None:
    """The landing page is whole HTML, in a language, with a title, and not kept without asking."""
    response = await server.get("/")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    page = Page(response.text)
    assert page.declaration == "doctype html"
    assert page.all("html") == [{"lang": "en"}]
    assert page.all("meta")[0] == {"charset": "utf-8"}
    assert "\nCountries, by GraphQL\n" in page.text
    assert [len(page.all(tag)) for tag in ("title", "h1", "ul", "li", "img")] == [1, 1, 1, 3, 1]


async def test_links(server: Server) -> None:
    """Every link of the landing page leads somewhere, also for a browser."""
    page = Page((await server.get("/")).text)
    links = [str(link["href"]) for link in page.all("a")]
    assert links == ["graphql", "schema.graphql", "readyz"]
    answers = [await server.get(f"/{link}", Accept="text/html, */*;q=0.8") for link in links]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    kinds = [answer.headers["Content-Type"] for answer in answers]
    assert kinds == ["text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json"]


async def test_picture(server: Server) -> None:
    """The picture of the landing page loads, has its size and says in words what it shows."""
    [picture] = Page((await server.get("/")).text).all("img")
    assert (picture["width"], picture["height"]) == ("1200", "630")
    assert picture["src"] == "images/summary-1-250.png"
    response = await server.get(f"/{picture['src']}")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/png")
    assert str(picture["alt"]).startswith("250 countries")


async def test_hostile_names() -> None:
    """A name of a country is text on the page, whatever it would mean in HTML."""
    name = "\"><script>alert('x')</script>{links}{0}&amp;"
    asker = offline([make_country("FR", name=name)])
    endpoints = PageEndpoints(catalog=asker.catalog, schema_text=None, playground=False)
    response = await endpoints.landing(Request({"type": "http", "headers": []}))
    page = Page(bytes(response.body).decode())
    [picture] = page.all("img")
    assert picture["alt"] == describe(asker.catalog.snapshot.summary())
    assert name in str(picture["alt"])
    assert page.all("script") == []
    assert [link["href"] for link in page.all("a")] == ["readyz"]


async def test_schema(server: Server) -> None:
    """The schema is the file of the repository."""
    response = await server.get("/schema.graphql")
    assert (response.status_code, response.headers["Content-Type"]) == (
        200,
        "text/plain; charset=utf-8",
    )
    printed = Path(__file__).parents[2] / "schema.graphql"
    assert response.text == printed.read_text("utf-8") == f"{SCHEMA}\n"


async def test_nothing_else(server: Server) -> None:
    """What is not there is not found, the pages of other frameworks included."""
    for path in ("/docs", "/redoc", "/openapi.json", "/favicon.ico", "/graphql/x", "/images/"):
        assert (await server.get(path)).status_code == 404
