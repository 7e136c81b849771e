"""The summary picture over HTTP: the current one, one per version, and the ways between them."""

import asyncio
import re
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Route

from graphql_api.catalog import Catalog
from graphql_api.domain.snapshot import DataVersion
from graphql_api.http.site.images import CURRENT_IMAGE_PATH, ImageEndpoints
from graphql_api.images.cache import SummaryImageCache
from graphql_api.images.summary_image import draw
from graphql_api.storage.migrations import migrate
from graphql_api.utils.tasks import SharedCall
from tests.support.app import AppClient
from tests.support.database import open_database, record_statements
from tests.support.factories import make_country, make_snapshot
from tests.support.fake_providers.server import Upstream
from tests.support.html import HTMLPage
from tests.support.refresh_service import REFERENCE, make_source_config, running_instance

IMMUTABLE = "public, max-age=31536000, immutable"
module_loop = pytest.mark.asyncio(loop_scope="module")


def is_summary_image(response: httpx.Response) -> bool:
    """Return whether the response is a complete PNG of 1200 by 630 pixels."""
    with Image.open(BytesIO(response.content)) as picture:
        picture.load()
        properties = (picture.format, picture.size, response.headers["Content-Type"])
    return properties == ("PNG", (1200, 630), "image/png")


@module_loop
async def test_current(server: AppClient) -> None:
    """The current image is a PNG that clients revalidate by its digest."""
    response = await server.get(CURRENT_IMAGE_PATH)
    assert response.status_code == 200
    assert is_summary_image(response)
    digest = blake2b(response.content, digest_size=8).hexdigest()
    assert (response.headers["ETag"], response.headers["Cache-Control"]) == (f'"{digest}"', "no-cache")
    assert await fetch_image_path(server) == f"/images/summary-1-250-{digest}.png"
    assert int(response.headers["Content-Length"]) == len(response.content)


@module_loop
@pytest.mark.parametrize("known", ["{}", "W/{}", '"0-1", {}', '"0-1" , W/{}  ,"x"'])
async def test_not_modified(server: AppClient, known: str) -> None:
    """A client that sends the current ETag receives a 304 without a body."""
    etag = (await server.get(CURRENT_IMAGE_PATH)).headers["ETag"]
    response = await server.get(CURRENT_IMAGE_PATH, If_None_Match=known.format(etag))
    assert (response.status_code, response.content) == (304, b"")
    assert (response.headers["ETag"], response.headers["Cache-Control"]) == (etag, "no-cache")
    assert "Content-Type" not in response.headers


@module_loop
@pytest.mark.parametrize("known", ["", "1-250", '"1-250"', '"0123456789abcdef"', "garbage,,"])
async def test_modified(server: AppClient, known: str) -> None:
    """A client that sends another ETag receives the current image."""
    response = await server.get(CURRENT_IMAGE_PATH, If_None_Match=known)
    assert response.status_code == 200
    assert is_summary_image(response)


async def fetch_image_path(server: AppClient) -> str:
    """Return the path of the immutable image."""
    return httpx.URL((await server.query("{ status { imageUrl } }"))["status"]["imageUrl"]).path


@module_loop
async def test_versioned(server: AppClient) -> None:
    """The image of the current version equals the current image and is immutable."""
    response = await server.get(await fetch_image_path(server))
    assert response.status_code == 200
    assert is_summary_image(response)
    assert response.headers["Cache-Control"] == IMMUTABLE
    assert response.content == (await server.get(CURRENT_IMAGE_PATH)).content


@module_loop
async def test_card(server: AppClient) -> None:
    """With a code of a country, of any kind and case, the image is its card, in each theme, with an ETag of its own."""
    summary, card, dark, other = [
        await server.get(f"{CURRENT_IMAGE_PATH}{query}")
        for query in ("", "?country=FR", "?country=FR&theme=dark", "?country=de")
    ]
    assert [is_summary_image(response) for response in (card, dark, other)] == [True, True, True]
    assert len({response.headers["ETag"] for response in (summary, card, dark, other)}) == 4
    for query in ("?country=fra", "?country=250", "?country=%20fr%20"):
        assert (await server.get(f"{CURRENT_IMAGE_PATH}{query}")).content == card.content
    again = await server.get(f"{CURRENT_IMAGE_PATH}?country=FR", If_None_Match=card.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")


@module_loop
@pytest.mark.parametrize("code", ["ZZ", "<script>", "F" * 1000, "FR,DE"])
async def test_unknown_country(server: AppClient, code: str) -> None:
    """An unknown code is a 400 that quotes it, shortened, and says what is right."""
    text = f"country must be a code of ISO 3166-1, such as FR, not {code[:40]!r}."
    path = f"{CURRENT_IMAGE_PATH}?{urlencode({'country': code})}"
    response = await server.get(path)
    assert (response.status_code, response.json()) == (400, {"detail": text})
    page = await server.get(path, Accept="text/html")
    assert page.status_code == 400
    assert text in HTMLPage(page.text).text
    assert "<script>" not in page.text


@module_loop
@pytest.mark.parametrize("path", [CURRENT_IMAGE_PATH, "/images/summary-1-250.png"])
async def test_options(server: AppClient, path: str) -> None:
    """The query chooses the theme and the ranking; the defaults may be named."""
    plain = (await server.get(CURRENT_IMAGE_PATH)).content
    assert (await server.client.get(f"{path}?by=gdp&theme=light", follow_redirects=True)).content == plain
    dark = await server.client.get(f"{path}?theme=dark", follow_redirects=True)
    assert is_summary_image(dark)
    assert dark.content != plain


@module_loop
async def test_dark_image_is_immutable(server: AppClient) -> None:
    """The landing page names an immutable image for dark screens, the dark one."""
    [source] = HTMLPage((await server.get("/")).text).find_all("source")
    response = await server.get(f"/{source['srcset']}")
    assert response.headers["Cache-Control"] == IMMUTABLE
    assert response.content == (await server.get(f"{CURRENT_IMAGE_PATH}?theme=dark")).content


@module_loop
async def test_digest_of_other_theme(server: AppClient) -> None:
    """A URL whose digest is that of another theme redirects to the current image of the theme that it names."""
    response = await server.get(f"{await fetch_image_path(server)}?theme=dark")
    assert (response.status_code, response.headers["Location"]) == (302, f"{CURRENT_IMAGE_PATH}?theme=dark")


@module_loop
@pytest.mark.parametrize("path", [CURRENT_IMAGE_PATH, "/images/summary-1-250.png", "/images/summary-0-0.png"])
@pytest.mark.parametrize("query", ["by=population", "theme=<script>", "by=gdp&theme=darker"])
async def test_unknown_options(server: AppClient, path: str, query: str) -> None:
    """An option that does not exist is rejected with those that do."""
    response = await server.get(f"{path}?{query}")
    assert response.status_code == 400
    assert re.search("by must be one of gdp, estimated, not|theme must be one of light, dark, not", response.text)


@module_loop
@pytest.mark.parametrize("is_current", [True, False])
async def test_head(server: AppClient, is_current: bool) -> None:
    """HEAD returns the headers of GET without the image."""
    path = CURRENT_IMAGE_PATH if is_current else await fetch_image_path(server)
    get_response, head_response = await server.get(path), await server.client.head(path)
    assert (head_response.status_code, head_response.content) == (200, b"")
    get_headers, head_headers = ({**response.headers, "x-request-id": ""} for response in (get_response, head_response))
    assert get_headers == head_headers


@module_loop
@pytest.mark.parametrize(
    "name", ["0-0", "1-250", "1-249", "9999999999-9999999999", "1-250-0123456789abcdef", "2-250-0123456789abcdef"]
)
async def test_gone_version(server: AppClient, name: str) -> None:
    """A URL of another version, another image, or without a digest redirects to the current image, uncached."""
    response = await server.get(f"/images/summary-{name}.png")
    assert (response.status_code, response.headers["Location"]) == (302, CURRENT_IMAGE_PATH)
    assert (response.headers["Cache-Control"], response.content) == ("no-store", b"")


@module_loop
async def test_gone_version_with_options(server: AppClient) -> None:
    """A redirect to the current image keeps the options."""
    response = await server.get("/images/summary-2-250.png?by=estimated&theme=dark")
    assert (response.status_code, response.headers["Location"]) == (
        302,
        f"{CURRENT_IMAGE_PATH}?by=estimated&theme=dark",
    )


@module_loop
@pytest.mark.parametrize(
    "version",
    [
        "",
        "1",
        "1-",
        "-250",
        "1-250-1",
        "1-250-",
        "1-250-0123456789abcde",
        "1-250-0123456789abcdef0",
        "1-250-0123456789ABCDEF",
        "1-250-0123456789abcdef-1",
        "-0123456789abcdef",
        "01-250-0123456789abcdef",
        "01-250",
        "+1-250",
        "1-25O",
        "1-250 ",
        "1-250%0A",
        "%D9%A1-250",
        "10000000000-1",
        "..",
        "%2e%2e%2f",
    ],
)
async def test_malformed_version(server: AppClient, version: str) -> None:
    """A malformed version is not found."""
    assert (await server.get(f"/images/summary-{version}.png")).status_code == 404


@module_loop
@pytest.mark.parametrize("path", [CURRENT_IMAGE_PATH, "/images/summary-1-250.png"])
async def test_other_methods(server: AppClient, path: str) -> None:
    """Methods other than GET and HEAD are not allowed."""
    response = await server.client.post(path)
    assert response.status_code == 405
    assert {*response.headers["Allow"].split(", ")} == {"GET", "HEAD"}


def make_client(catalog: Catalog, *, min_interval: float = 3600) -> httpx.AsyncClient:
    """Return a client of a replica that serves the images of `catalog`, and syncs it once per interval."""
    endpoints = ImageEndpoints(catalog, SummaryImageCache(), SharedCall(catalog.sync, min_interval=min_interval))
    routes = [Route(CURRENT_IMAGE_PATH, endpoints.current), Route("/images/summary-{name}.png", endpoints.versioned)]
    app = Starlette(routes=routes)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://replica")


async def test_image_of_another_process(tmp_path: Path, upstream: Upstream) -> None:
    """A version that another process just published is served after one sync."""
    path = tmp_path / "countries.db"
    async with (
        running_instance(path, make_source_config(upstream)) as publisher,
        open_database(f"sqlite:///{path}") as database,
    ):
        replica = Catalog(database, REFERENCE)
        await replica.sync()
        await publisher.service.refresh()
        await publisher.service.close()
        assert replica.snapshot.version == DataVersion(0, 0)
        image_path = await SummaryImageCache().get_path(publisher.catalog.snapshot)
        async with make_client(replica) as client:
            response = await client.get(image_path)
            assert (response.status_code, response.headers["Cache-Control"]) == (200, IMMUTABLE)
            assert response.content == draw(publisher.catalog.snapshot.summarize())
            executed = record_statements(database)
            assert (await client.get(image_path)).status_code == 200
            assert executed == []


async def test_database_that_began_anew(tmp_path: Path) -> None:
    """Two databases with the same version of different rows have different URLs and ETags."""
    rows = [make_country("FR"), make_country("TR")], [make_country("FR"), make_country("TR", gdp=1.0)]
    paths, etags = list[str](), list[str]()
    async with open_database(f"sqlite:///{tmp_path / 'countries.db'}") as database:
        catalog = Catalog(database, {})
        async with make_client(catalog) as client:
            for catalog.snapshot in map(make_snapshot, rows):
                assert catalog.snapshot.version == DataVersion(1, 2)
                paths.append(await SummaryImageCache().get_path(catalog.snapshot))
                response = await client.get(CURRENT_IMAGE_PATH, headers={"If-None-Match": ",".join(etags)})
                etags.append(response.headers["ETag"])
                assert response.status_code == 200
            assert [(await client.get(path)).status_code for path in paths] == [302, 200]
    assert (len(set(paths)), len(set(etags))) == (2, 2)


@pytest.mark.parametrize(("min_interval", "statements"), [(3600, (1, 1)), (0, (1, 2))])
async def test_unknown_versions(tmp_path: Path, min_interval: float, statements: tuple[int, int]) -> None:
    """Requests for unknown versions share one statement, and within the interval the next ones cost none."""
    async with (
        open_database(f"sqlite:///{tmp_path / 'countries.db'}") as database,
        make_client(Catalog(database, REFERENCE), min_interval=min_interval) as client,
    ):
        await migrate(database)
        executed, counts = record_statements(database), []
        for _ in range(2):
            requests = (client.get(f"/images/summary-{revision}-250-{0:016}.png") for revision in range(1, 61))
            assert {response.status_code for response in await asyncio.gather(*requests)} == {302}
            counts.append(len(executed))
    assert tuple(counts) == statements


async def test_images_without_database(tmp_path: Path, upstream: Upstream) -> None:
    """Without the database the served version has its image, and others redirect to it."""
    async with running_instance(tmp_path / "countries.db", make_source_config(upstream)) as replica:
        await replica.service.refresh()
        await replica.execute_externally("ALTER TABLE countries RENAME TO elsewhere")
        async with make_client(replica.catalog) as client:
            assert (await client.get(await SummaryImageCache().get_path(replica.catalog.snapshot))).status_code == 200
            assert replica.catalog.is_database_available is True
            assert (await client.get(f"/images/summary-2-250-{0:016}.png")).status_code == 302
            assert replica.catalog.is_database_available is False
