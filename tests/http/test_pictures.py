"""The summary picture over HTTP: the current one, one per version, and the ways between them."""

from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Route

from graphql_api.catalog import Catalog
from graphql_api.domain.snapshot import Version
from graphql_api.http.pictures import CURRENT, PictureEndpoints
from graphql_api.picture import SIZE, draw
from tests.databases import opened, statements
from tests.refresh.running import REFERENCE, asking, running
from tests.serving import Server
from tests.upstream.server import Upstream

FOR_EVER = "public, max-age=31536000, immutable"
on_module = pytest.mark.asyncio(loop_scope="module")


def is_picture(response: httpx.Response) -> bool:
    """Tell whether the answer is a PNG of the size that is promised, which can be read whole."""
    with Image.open(BytesIO(response.content)) as picture:
        picture.load()
        kind = (picture.format, picture.size, response.headers["Content-Type"])
    return kind == ("PNG", (1200, 630), "image/png") and SIZE == (1200, 630)


@on_module
async def test_current(server: Server) -> None:
    """The current picture is a PNG that clients ask about again each time, by its version."""
    response = await server.get(CURRENT)
    assert response.status_code == 200
    assert is_picture(response)
    assert (response.headers["ETag"], response.headers["Cache-Control"]) == ('"1-250"', "no-cache")
    assert int(response.headers["Content-Length"]) == len(response.content)


@on_module
@pytest.mark.parametrize(
    "known", ['"1-250"', 'W/"1-250"', '"0-1", "1-250"', '"0-1" , W/"1-250"  ,"x"']
)
async def test_not_modified(server: Server, known: str) -> None:
    """Who has the current picture is told so, without a body."""
    response = await server.get(CURRENT, If_None_Match=known)
    assert (response.status_code, response.content) == (304, b"")
    assert (response.headers["ETag"], response.headers["Cache-Control"]) == ('"1-250"', "no-cache")
    assert "Content-Type" not in response.headers


@on_module
@pytest.mark.parametrize("known", ["", "1-250", '"1-251"', '"2-250"', 'w/"1-250"', "garbage,,"])
async def test_modified(server: Server, known: str) -> None:
    """Who has another picture gets the current one."""
    response = await server.get(CURRENT, If_None_Match=known)
    assert response.status_code == 200
    assert is_picture(response)


@on_module
async def test_versioned(server: Server) -> None:
    """The picture of the version that is served is the same one, to be kept for ever."""
    response = await server.get("/images/summary-1-250.png")
    assert response.status_code == 200
    assert is_picture(response)
    assert response.headers["Cache-Control"] == FOR_EVER
    assert response.content == (await server.get(CURRENT)).content


@on_module
@pytest.mark.parametrize("path", [CURRENT, "/images/summary-1-250.png"])
async def test_head(server: Server, path: str) -> None:
    """HEAD tells about a picture what GET does, without it."""
    got, told = await server.get(path), await server.client.head(path)
    assert (told.status_code, told.content) == (200, b"")
    one, other = ({**answer.headers, "x-request-id": ""} for answer in (got, told))
    assert one == other


@on_module
@pytest.mark.parametrize("version", ["0-0", "1-249", "2-250", "9999999999-9999999999"])
async def test_gone_version(server: Server, version: str) -> None:
    """A version that is not served leads to the current picture, for now only."""
    response = await server.get(f"/images/summary-{version}.png")
    assert (response.status_code, response.headers["Location"]) == (302, CURRENT)
    assert (response.headers["Cache-Control"], response.content) == ("no-store", b"")


@on_module
@pytest.mark.parametrize(
    "version",
    [
        "",
        "1",
        "1-",
        "-250",
        "1-250-1",
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
async def test_malformed_version(server: Server, version: str) -> None:
    """What cannot be a version is not found."""
    assert (await server.get(f"/images/summary-{version}.png")).status_code == 404


@on_module
@pytest.mark.parametrize("path", [CURRENT, "/images/summary-1-250.png"])
async def test_other_methods(server: Server, path: str) -> None:
    """Pictures cannot be sent."""
    response = await server.client.post(path)
    assert response.status_code == 405
    assert {*response.headers["Allow"].split(", ")} == {"GET", "HEAD"}


def client_of(catalog: Catalog) -> httpx.AsyncClient:
    """Return a client of a replica that serves the pictures of `catalog`."""
    endpoints = PictureEndpoints(catalog)
    app = Starlette(routes=[Route("/images/summary-{version}.png", endpoints.versioned)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://replica")


async def test_picture_of_another_process(tmp_path: Path, upstream: Upstream) -> None:
    """A version that another process has just published is served after one look."""
    path = tmp_path / "countries.db"
    async with running(path, asking(upstream)) as publisher, opened(f"sqlite:///{path}") as mine:
        replica = Catalog(mine, REFERENCE)
        await replica.sync()
        await publisher.service.refresh()
        await publisher.service.close()
        assert replica.snapshot.version == Version(0, 0)
        async with client_of(replica) as client:
            response = await client.get("/images/summary-1-250.png")
            assert (response.status_code, response.headers["Cache-Control"]) == (200, FOR_EVER)
            assert response.content == draw(publisher.catalog.snapshot.summary())
            seen = statements(mine)
            assert (await client.get("/images/summary-1-250.png")).status_code == 200
            assert seen == []
            assert (await client.get("/images/summary-5-250.png")).status_code == 302
            assert len(seen) == 1


async def test_pictures_without_the_database(tmp_path: Path, upstream: Upstream) -> None:
    """While the database is gone, what is served has its picture, and what is not leads to it."""
    async with running(tmp_path / "countries.db", asking(upstream)) as home:
        await home.service.refresh()
        await home.meddle("ALTER TABLE countries RENAME TO elsewhere")
        async with client_of(home.catalog) as client:
            assert (await client.get("/images/summary-1-250.png")).status_code == 200
            assert home.catalog.database_answers is True
            assert (await client.get("/images/summary-2-250.png")).status_code == 302
            assert home.catalog.database_answers is False
