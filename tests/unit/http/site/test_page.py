"""Heads of pages, and the cache of rendered pages."""

import asyncio
import threading

import brotli
import pytest
from starlette.requests import Request

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


@pytest.mark.asyncio(loop_scope="module")
async def test_landing_page(server: AppClient) -> None:
    """Without PUBLIC_URL the absolute URLs are those by which the client reaches the server."""
    metas = find_meta(HTMLPage((await server.get("/", Host="countries.example:81")).text))
    assert metas["og:url"] == "http://countries.example:81/"
    assert metas["og:image"] == "http://countries.example:81/images/summary.png"


async def test_cache() -> None:
    """A page is rendered once for a snapshot and a key, by a thread, and at most so many are held."""
    snapshots = [make_snapshot([make_country("FR")]) for _ in range(2)]
    cache, rendered = PageCache(2), []
    request = Request({"type": "http", "headers": [(b"accept-encoding", b"br")]})

    async def get(number: int, key: str) -> None:
        def render() -> str:
            rendered.append((number, key, threading.current_thread() is threading.main_thread()))
            return key * 9

        response = await cache.respond(request, snapshots[number], key, render, headers={"X-Own": "1"})
        assert (response.headers["Content-Encoding"], response.headers["X-Own"]) == ("br", "1")
        assert brotli.decompress(bytes(response.body)) == key.encode() * 9

    await asyncio.gather(get(0, "a"), get(0, "a"))
    for number, key in ((0, "b"), (0, "a"), (0, "c"), (0, "a"), (0, "b"), (1, "b"), (1, "b")):
        await get(number, key)
    assert rendered == [(0, "a", False), (0, "b", False), (0, "c", False), (0, "b", False), (1, "b", False)]


async def test_failed_page() -> None:
    """A page that could not be rendered is rendered again by the next request."""
    cache, snapshot, divisors = PageCache(2), make_snapshot(), iter([0, 1])
    request = Request({"type": "http", "headers": []})

    def render() -> str:
        return f"{1 // next(divisors)}"

    with pytest.raises(ZeroDivisionError):
        await cache.respond(request, snapshot, "a", render, headers={})
    assert (await cache.respond(request, snapshot, "a", render, headers={})).body == b"1"
