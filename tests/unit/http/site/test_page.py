"""Heads of pages, and the cache of rendered pages."""

from graphql_api.http.site.page import PageCache, PageHead
from graphql_api.http.site.templates import render_template
from tests.support.app import AppClient
from tests.support.factories import make_country, make_snapshot
from tests.support.html import HTMLPage


def find_meta(page: HTMLPage) -> dict[str, str]:
    """Return the contents of the <meta> elements with a name or property."""
    metas = page.find_all("meta")
    return {str(meta.get("name") or meta.get("property")): str(meta["content"]) for meta in metas if "content" in meta}


def test_head() -> None:
    """A page names its URL and image in full below PUBLIC_URL, and hostile titles stay text."""
    title = '"><script>alert(1)</script>'
    head = PageHead(
        title=title,
        description="It's <b>",
        base_url="https://a.example/x",
        path="countries/FR",
        image_path="i.png?a=1&b",
    )
    page = HTMLPage(render_template("base.html", head=head, root="../"))
    metas = find_meta(page)
    assert title in page.text
    assert page.find_all("script") == []
    assert (metas["og:title"], metas["og:description"], metas["description"]) == (title, "It's <b>", "It's <b>")
    assert metas["og:url"] == "https://a.example/x/countries/FR"
    assert metas["og:image"] == "https://a.example/x/i.png?a=1&b"
    links = {str(link["rel"]): str(link["href"]) for link in page.find_all("link")}
    assert links["canonical"] == "https://a.example/x/countries/FR"
    assert links["icon"].startswith("../static/")
    assert links["stylesheet"].startswith("../static/")


async def test_landing_page(server: AppClient) -> None:
    """Without PUBLIC_URL the absolute URLs are those by which the client reaches the server."""
    metas = find_meta(HTMLPage((await server.get("/", Host="countries.example:81")).text))
    assert metas["og:url"] == "http://countries.example:81/"
    assert metas["og:image"] == "http://countries.example:81/images/summary.png"


def test_cache() -> None:
    """A text is rendered once for a snapshot and a key, and at most so many are held."""
    snapshots = [make_snapshot([make_country("FR")]) for _ in range(2)]
    cache, rendered = PageCache(2), []

    def get(number: int, key: str) -> object:
        def render() -> str:
            rendered.append((number, key))
            return key

        return cache.get(snapshots[number], key, render)

    assert get(0, "a") is get(0, "a")
    for number, key in ((0, "b"), (0, "a"), (0, "c"), (0, "a"), (0, "b"), (1, "b"), (1, "b")):
        get(number, key)
    assert rendered == [(0, "a"), (0, "b"), (0, "c"), (0, "b"), (1, "b")]
