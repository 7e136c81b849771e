"""The pages as a server sends them: well-formed, linked, conditional and compressed."""

import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from urllib.parse import urljoin

import pytest
from starlette.requests import Request
from starlette.responses import Response

from graphql_api.domain.country import Country
from graphql_api.http import conditional
from graphql_api.http.site import landing_page
from graphql_api.http.site.landing_page import ASSETS, LandingPage
from graphql_api.http.site.playground_link import EXAMPLE_QUERY, build_playground_link
from graphql_api.images.cache import SummaryImageCache
from graphql_api.images.summary_text import describe
from tests.support.app import BASE_URL, AppClient, make_settings, running_client
from tests.support.factories import make_country
from tests.support.fake_providers.server import Upstream
from tests.support.html import HTMLPage
from tests.support.image_urls import without_digest
from tests.support.paths import ROOT
from tests.support.schema_client import PUBLIC_URL, SCHEMA, STALE_AFTER, now, offline_client

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOW = now()


def make_landing_page(*rows: Country, now: datetime = NOW) -> LandingPage:
    """Return the landing page of these rows, without playground and schema."""
    return LandingPage(
        catalog=offline_client(rows).catalog,
        summary_images=SummaryImageCache(),
        clock=lambda: now,
        stale_after=STALE_AFTER,
        has_playground=False,
        has_schema=False,
        get_base_url=lambda _: PUBLIC_URL,
    )


async def get(landing_page: LandingPage) -> Response:
    """Return the response to a plain request."""
    return await landing_page.serve(Request({"type": "http", "headers": [], "query_string": b""}))


async def test_landing_page(server: AppClient) -> None:
    """The landing page is complete HTML with language and title, and is revalidated."""
    response = await server.get("/")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    page = HTMLPage(response.text)
    assert page.declaration == "doctype html"
    assert page.find_all("html") == [{"lang": "en"}]
    assert page.find_all("meta")[0] == {"charset": "utf-8"}
    assert "\nCountries, by GraphQL\n" in page.text
    counts = {tag: len(page.find_all(tag)) for tag in ("h1", "main", "table", "picture", "script")}
    assert counts == {"h1": 1, "main": 1, "table": 2, "picture": 1, "script": 3}
    assert len(page.find_all("tr")) == 2 * 251


async def test_csp(server: AppClient) -> None:
    """The landing page loads files of this server only, and has no inline script or style."""
    response = await server.get("/")
    assert response.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
    page = HTMLPage(response.text)
    assert page.find_all("style") == []
    assert [attributes for attributes in page.find_all("script") if "src" not in attributes] == [
        {"type": "application/ld+json"}  # which no browser executes
    ]
    assert [name for _, attributes in page.tags for name in attributes if name.startswith(("on", "sty"))] == []


async def test_links(server: AppClient) -> None:
    """Every link of the landing page works, also for the Accept header of a browser, and each country has one."""
    page = HTMLPage((await server.get("/")).text)
    links = [str(link["href"]) for link in page.find_all("a")]
    data = await server.query("{ countries { nodes { code } } }")
    country_links = {link for link in links if link.startswith("countries/")}
    assert country_links == {f"countries/{country['code']}" for country in data["countries"]["nodes"]}
    export_links = {link for link in links if link.startswith("countries.")}
    assert len(export_links) == 2
    for link in ("countries/FR", *export_links):
        assert (await server.get(f"/{link}")).status_code == 200
    local_links = [link for link in links if not link.startswith(("#", "?", "https://", "countries"))]
    assert local_links == ["graphql", "schema.graphql", "readyz", f"./{build_playground_link(EXAMPLE_QUERY)}"]
    responses = [await server.get(f"/{link}", Accept="text/html, */*;q=0.8") for link in local_links]
    assert [response.status_code for response in responses] == [200, 200, 200, 200]
    content_types = [response.headers["Content-Type"] for response in responses]
    assert content_types == [
        "text/html; charset=utf-8",
        "text/plain; charset=utf-8",
        "application/json",
        "text/html; charset=utf-8",
    ]
    files = [str(link["href"]) for link in page.find_all("link") if link["rel"] != "canonical"]
    files += [str(script["src"]) for script in page.find_all("script") if "src" in script]
    assert [(await server.get(f"/{file}")).status_code for file in files] == [200] * 5


async def test_region(server: AppClient) -> None:
    """The form has the region of the URL, whose countries are shown alone."""
    page = HTMLPage((await server.get("/?region=oceania")).text)
    assert [option.get("value") for option in page.find_all("option") if "selected" in option] == [None]
    assert "29 of 250 countries,\nby name." in page.text


async def test_nothing_found(server: AppClient) -> None:
    """Without a match the page repeats what was searched, and links to more that keep the order."""
    page = HTMLPage((await server.get("/?q=%3Cnowhere%3E&region=Asia&sort=gdp")).text)
    assert "No country matches <nowhere> in Asia. Search all regions Show all 250" in " ".join(page.text.split())
    links = [str(link["href"]) for link in page.find_all("a")]
    assert {"?sort=gdp&direction=desc&q=%3Cnowhere%3E", "?sort=gdp&direction=desc"} <= set(links)


async def test_wrong_parameters(server: AppClient) -> None:
    """The page refuses what the exports refuse, in the same words, and shows browsers a way out."""
    query = "region=%3Cb%3E&sort=up"
    exports = [await server.get(f"/countries.{name}?{query}") for name in ("csv", "json")]
    [detail] = {response.json()["detail"] for response in exports}
    assert detail.startswith("region must be one of Africa, Americas, Antarctica, Asia, Europe, Oceania, not '<b>'. ")
    response = await server.get(f"/?{query}&map=x&q=", Accept="text/html")
    page = HTMLPage(response.text)
    assert response.status_code == 400
    assert f"\n{detail} map must be one of population, population_density, gdp" in page.text
    assert page.find_all("a")[0]["href"] == "?"


async def test_weight(server: AppClient) -> None:
    """The page with 250 countries, the world map, their styles and their scripts are below 60 kB together."""
    page = HTMLPage((await server.get("/")).text)
    paths = ["", *(str(link["href"]) for link in page.find_all("link") if link["rel"] != "canonical")]
    paths += [str(script["src"]) for script in page.find_all("script") if "src" in script]
    responses = [await server.get(f"/{path}", Accept_Encoding="gzip") for path in paths]
    sizes = [int(response.headers["Content-Length"]) for response in responses]
    assert sum(sizes) < 60_000


async def test_image(server: AppClient) -> None:
    """The image of the landing page loads, and has its size and an alt text."""
    images = HTMLPage((await server.get("/")).text).find_all("img")
    [image] = [image for image in images if image.get("class") != "flag"]
    assert (image["width"], image["height"]) == ("1200", "630")
    assert without_digest(str(image["src"])) == "images/summary-1-250.png"
    response = await server.get(f"/{image['src']}")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/png")
    assert str(image["alt"]).startswith("250 countries")


async def test_not_modified(server: AppClient) -> None:
    """A browser that sends the current ETag receives a 304 with the CSP."""
    page = await server.get("/?sort=population")
    again = await server.get("/?sort=population", If_None_Match=page.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    for name in ("ETag", "Content-Security-Policy", "Cache-Control", "Vary"):
        assert again.headers[name] == page.headers[name]
    other = await server.get("/?sort=name", If_None_Match=page.headers["ETag"])
    assert other.status_code == 200


async def test_etag_follows_time() -> None:
    """The ETag changes with the displayed age."""
    row = make_country("FR")
    etags = []
    for minutes in (0, 0.5, 1, 61, 90, 1500):
        landing_page = make_landing_page(row, now=row.last_refreshed_at + timedelta(minutes=minutes))
        etags.append((await get(landing_page)).headers["ETag"])
    assert len(set(etags)) == 4
    assert (etags[0], etags[3]) == (etags[1], etags[4])


async def test_pages_are_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is rendered and compressed again only for another order or encoding, another age, or other data."""
    counts: Counter[str] = Counter()

    def count_calls(module: ModuleType, name: str) -> None:
        function = getattr(module, name)

        def counted(*args: object, **kwargs: object) -> object:
            counts[name] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)

    count_calls(landing_page, "render_template")
    count_calls(conditional, "compress")
    moments, row = [NOW], make_country("FR", name="Rendered once")
    page = make_landing_page(row)
    page.clock = lambda: moments[-1]
    counted_calls = []
    for query, encoding, days in (
        *(("", "br", 0), ("", "br", 0), ("", "gzip", 0)),
        *(("sort=population", "br", 0), ("sort=population&x=1", "br", 0)),
        *(("", "br", 1), ("", "br", 1)),
    ):
        moments.append(NOW + timedelta(days=days))
        headers = [(b"accept-encoding", encoding.encode())]
        scope = {"type": "http", "headers": headers, "query_string": query.encode()}
        await page.serve(Request(scope))
        counted_calls.append((counts["render_template"], counts["compress"]))
    assert counted_calls == [(1, 1), (1, 1), (1, 2), (2, 3), (2, 3), (3, 4), (3, 4)]
    page.catalog = offline_client([row, make_country("DE")]).catalog
    await get(page)
    assert counts["render_template"] == 4


async def test_etag_follows_data(tmp_path: Path, upstream: Upstream) -> None:
    """After a change of the data a browser with an old ETag receives the new page."""
    async with running_client(make_settings(tmp_path / "countries.db", upstream)) as server:
        await server.wait_for_version("2-250")
        page = await server.get("/")
        await server.query('mutation { deleteCountry(code: "DE") { id } }')
        again = await server.get("/", If_None_Match=page.headers["ETag"])
    assert again.status_code == 200
    assert "Germany" in page.text
    assert "Germany" not in again.text


async def test_compressed(server: AppClient) -> None:
    """A compressed page has the same text and another ETag."""
    plain = await server.get("/", Accept_Encoding="identity")
    for encoding in ("br", "gzip"):
        compressed = await server.get("/", Accept_Encoding=encoding)
        assert compressed.headers["Content-Encoding"] == encoding
        assert compressed.text == plain.text
        assert compressed.headers["ETag"] != plain.headers["ETag"]


async def test_hostile_names() -> None:
    """A name with HTML in it is text on the page."""
    name = "\"><script>alert('x')</script>{links}{0}{{ 1 }}&amp;"
    landing_page = make_landing_page(make_country("FR", name=name, capital=name, region=name))
    page = HTMLPage(bytes((await get(landing_page)).body).decode())
    [image] = page.find_all("img")
    assert image["alt"] == describe(landing_page.catalog.snapshot.summarize())
    assert name in str(image["alt"])
    assert page.text.count(name) == 6
    assert len(page.find_all("script")) == 3
    assert "graphql" not in [link["href"] for link in page.find_all("a")]


async def test_no_data() -> None:
    """Without data the page is a 503 with Retry-After that says so."""
    response = await get(make_landing_page())
    assert response.status_code == 503
    assert (response.headers["Retry-After"], response.headers["Cache-Control"]) == ("2", "no-store")
    page = HTMLPage(bytes(response.body).decode())
    assert "No countries are loaded yet." in page.text
    assert page.find_all("img") == page.find_all("table") == []
    assert [link["href"] for link in page.find_all("a")] == ["#countries", "readyz"]


async def test_schema(server: AppClient) -> None:
    """/schema.graphql returns the file of the repository."""
    response = await server.get("/schema.graphql", Accept_Encoding="br")
    assert response.headers["Content-Encoding"] == "br"
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    schema_file = ROOT / "schema.graphql"
    assert response.text == schema_file.read_text("utf-8") == f"{SCHEMA}\n"


QUERY_PATH = "/graphql?query={countries(first:1){totalCount}}"
CONDITIONAL_PATHS = [
    QUERY_PATH,
    QUERY_PATH.replace("?", "/?"),
    "/",
    "/schema.graphql",
    "/images/summary.png",
    *(f"/{asset.url}" for asset in ASSETS),
]


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br"])
@pytest.mark.parametrize("path", CONDITIONAL_PATHS)
async def test_conditional(server: AppClient, path: str, encoding: str) -> None:
    """Every response with an ETag follows one rule for If-None-Match: lists, weak tags, and `*` alone."""
    first = await server.get(path, Accept_Encoding=encoding)
    tag = first.headers["ETag"]
    assert first.status_code == 200
    for matching in (tag, f"W/{tag}", f'"a,b", {tag}', f' W/"x" ,\t{tag}, "y"', "*", " * ", f'"x",,{tag}'):
        response = await server.get(path, Accept_Encoding=encoding, If_None_Match=matching)
        assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", tag)
        for name in ("Cache-Control", "Vary", "Content-Location"):
            assert response.headers.get(name) == first.headers.get(name)
    for other in ('"x"', "", tag[1:-1], f'"x{tag[1:]}', '"*"', f'"x" {tag}', '"x", *', f"w/{tag}"):
        response = await server.get(path, Accept_Encoding=encoding, If_None_Match=other)
        assert (response.status_code, response.content) == (200, first.content)


@pytest.mark.parametrize(
    "path", ["/graphql?query={nothing}", "/readyz", "/healthz", "/metrics", "/none", "/static/none", "/images/none"]
)
async def test_unconditional(server: AppClient, path: str) -> None:
    """Where no response has an ETag, `*` matches none."""
    response = await server.get(path, If_None_Match="*")
    assert response.status_code != 304
    assert "ETag" not in response.headers


async def test_nothing_else(server: AppClient) -> None:
    """Other paths are not found, among them FastAPI's own pages."""
    for path in ("/docs", "/redoc", "/openapi.json", "/graphql/x", "/images/"):
        assert (await server.get(path)).status_code == 404


@pytest.mark.parametrize(("path", "root"), [("/nope", "./"), ("/images/a/nope", "../../")])
async def test_page_for_browsers(server: AppClient, path: str, root: str) -> None:
    """A browser gets a page that leads to the data, and other clients get a line."""
    response = await server.get(path, Accept="text/html,*/*;q=0.8")
    assert (response.status_code, response.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert f'<a href="{root}">a page with the data</a>' in response.text
    (stylesheet,) = re.findall(r'rel="stylesheet" href="([^"]+)"', response.text)
    assert (await server.get(urljoin(path, stylesheet))).status_code == 200
    response = await server.get(path)
    assert (response.status_code, response.text) == (404, "There is nothing at this path.\n")


@pytest.mark.parametrize("path", ["/?map=<b>nope", "/images/summary.png?theme=<b>nope"])
async def test_mistakes(server: AppClient, path: str) -> None:
    """A wrong parameter is a 400 that names what is right: a page to a browser, JSON to other clients."""
    response = await server.get(path)
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/json")
    page = await server.get(path, Accept="text/html,*/*;q=0.8")
    assert (page.status_code, page.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert response.json()["detail"] in HTMLPage(page.text).text
    assert "<b>" not in page.text


async def test_icon(server: AppClient) -> None:
    """Browsers that look for /favicon.ico are sent to the icon."""
    response = await server.get("/favicon.ico")
    assert (response.status_code, response.headers["Location"][:7]) == (302, "static/")
    icon = await server.get(f"/{response.headers['Location']}")
    assert (icon.status_code, icon.headers["Content-Type"]) == (200, "image/svg+xml")


@pytest.mark.parametrize(
    "path",
    [
        "/readyz/",
        "/healthz/",
        "/metrics/",
        "/schema.graphql/",
        "/images/summary.png/",
        "/static",
        "/graphql//",
        "/graphql/x/",
        "/none/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
async def test_no_redirects(server: AppClient, path: str, method: str) -> None:
    """A path with a slash too many or too few is not found: a redirect would go to the Host that the client sent."""
    response = await server.client.request(method, f"{BASE_URL}{path}", headers={"Host": "evil.example"})
    assert (response.status_code, response.headers.get("Location")) == (404, None)
    assert "evil.example" not in str(response.headers) + response.text
